import Glibc

/// Samples of at most 16 bits that a codec holds as pictures, frames or a track.
///
/// A quantizer gives a layer as one or several planes; most layers are one.
public struct Plane: Sendable {
    /// Which sample is where.
    public enum Shape: Hashable, Sendable {
        /// One for each weight, in the order of memory; pictures are those of the layer.
        case layer
        /// One for each weight, channel by channel (`WeightOrder`); pictures are those of the layer.
        case channels
        /// So many in a row, folded to a near-square picture.
        case run(Int)
        /// So many in a row, folded to a picture as wide as 8,192 samples, where few rows matter more than a look.
        case strip(Int)
        /// So many in rows of a width, so that what is a column of the layer remains one.
        case rows(Int, width: Int)

        /// The geometry by which samples become pictures.
        ///
        /// - Throws: `MapperError.shape` for an empty run.
        public func geometry(of layer: LayerGeometry) throws(MapperError) -> LayerGeometry {
            switch self {
            case .layer: layer
            case .channels: layer.channelsFirst
            case .run(let count): try .folded(count: count)
            case .strip(let count): try .strip(count: count)
            case .rows(let count, let width): try .rows(count: count, width: width)
            }
        }
    }

    /// Samples of a frame into which a strip is cut for a video: enough for a code of their own, few enough that most frames
    /// hold what is alike.
    static let stripFrame = 1 << 16

    /// The samples: one byte each up to 8 bits, two above.
    public enum Samples: Sendable, Equatable {
        case narrow([UInt8])
        case wide([UInt16])

        /// Number of samples.
        public var count: Int {
            switch self {
            case .narrow(let samples): samples.count
            case .wide(let samples): samples.count
            }
        }
    }

    /// Bits of a sample, 1...16.
    public let bits: Int
    public let shape: Shape
    public var samples: Samples

    /// A plane; samples are narrow exactly when `bits` is at most 8.
    public init(bits: Int, shape: Shape, samples: Samples) {
        self.bits = bits
        self.shape = shape
        self.samples = samples
    }
}

extension Plane {
    /// Bits that an ideal code without context would take for all samples.
    public var entropyBits: Double {
        var counts = [Int](repeating: 0, count: 1 << bits)
        counts.withUnsafeMutableBufferPointer { counts in
            switch samples {
            case .narrow(let samples): for sample in samples { counts[Int(sample)] &+= 1 }
            case .wide(let samples): for sample in samples { counts[Int(sample)] &+= 1 }
            }
        }
        let total = Double(samples.count)
        return counts.reduce(0) { $1 == 0 ? $0 : $0 - Double($1) * log2(Double($1) / total) }
    }
}

extension Plane.Shape {
    /// The block that fills a video's frame; `nil` for the default.
    public func frameBlock(of geometry: LayerGeometry) -> BlockShape? {
        guard case .strip = self else { return nil }
        let whole = BlockShape(whole: geometry)
        let rows = max(Plane.stripFrame / whole.bfin, 1)
        return BlockShape(bfin: whole.bfin, bfout: min(rows, whole.bfout))
    }
}
