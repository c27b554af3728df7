/// A layer as one mono track: the bins of its pictures in row order, one picture after the other, without padding.
public struct AudioTiling: Sendable {
    private let pictures: Tiling

    /// The track of a layer.
    public init(_ geometry: LayerGeometry) {
        pictures = Tiling(image: geometry)
    }

    /// Samples in the track: one for each weight.
    public var sampleCount: Int { pictures.geometry.count }

    /// Whether the track holds the bins in their order.
    public var keepsOrder: Bool { pictures.keepsOrder }

    /// Writes the track of the layer's `bins` into `samples`.
    @specialized(where Bin == UInt8)
    @specialized(where Bin == UInt16)
    public func tile<Bin: BinScalar>(_ bins: Span<Bin>, into samples: inout MutableSpan<Bin>) {
        guard pictures.paddingCount == 0 else {
            // A folded layer is in row order already; only its last row is short.
            for i in bins.indices { samples[i] = bins[i] }
            return
        }
        let size = pictures.frameWidth * pictures.frameHeight
        for frame in 0..<pictures.frameCount {
            samples.withUnsafeMutableBufferPointer { samples in
                let picture = UnsafeMutableBufferPointer(rebasing: samples[frame * size..<(frame + 1) * size])
                var pixels = picture.mutableSpan
                pictures.tile(bins, frame: frame, padding: 0, into: &pixels)
            }
        }
    }

    /// The inverse of `tile`.
    @specialized(where Bin == UInt8)
    @specialized(where Bin == UInt16)
    public func untile<Bin: BinScalar>(_ samples: Span<Bin>, into bins: inout MutableSpan<Bin>) {
        guard pictures.paddingCount == 0 else {
            for i in samples.indices { bins[i] = samples[i] }
            return
        }
        let size = pictures.frameWidth * pictures.frameHeight
        for frame in 0..<pictures.frameCount {
            pictures.untile(samples.extracting(frame * size..<(frame + 1) * size), frame: frame, into: &bins)
        }
    }
}
