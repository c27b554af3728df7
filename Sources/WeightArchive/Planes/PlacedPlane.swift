import Codecs
import WeightMapper

/// A plane on its way through a codec.
struct PlacedPlane: Sendable {
    let bits: Int
    let shape: Plane.Shape
    /// The streams, which hold this plane and nothing else; of a plane in a film the part of its stream that does.
    let group: StreamGroup
    /// Number of the first frame in a film; `nil` where the streams are the plane's own.
    let frame: Int?

    /// Where a plane of a layer goes.
    ///
    /// - Parameters:
    ///   - tensor: the layer's tensor in the selection or the manifest.
    ///   - layer: the layer.
    ///   - block: for video, the sub-block of one frame; `nil` for a good default.
    ///   - isTransposed: for images, whether they lie on their side.
    ///   - frame: number of the first frame in a film.
    /// - Throws: `MapperError`, or `CodecError` where the codec cannot hold such pictures.
    init(
        bits: Int, _ shape: Plane.Shape, _ codec: any MediaCodec, tensor: Int, name: String, layer: LayerGeometry,
        block: BlockShape?, isTransposed: Bool = false, frame: Int? = nil
    ) throws {
        let geometry = try shape.geometry(of: layer)
        let medium = codec.description.medium
        let placement = try Placement(
            geometry, medium, block: block ?? shape.frameBlock(of: geometry), isTransposed: isTransposed)
        let size = placement.frameSize
        let frames = placement.frameCount
        let isOneStream = frames <= codec.description.maximumCount
        self.bits = bits
        self.shape = shape
        self.frame = frame
        group = StreamGroup(
            codec: codec, format: try FrameFormat(width: size.width, height: size.height, bitDepth: bits),
            layers: [
                PlacedLayer(
                    tensor: tensor, name: name, bits: bits, geometry: geometry, placement: placement, isDouble: false)
            ], framesOfStreams: isOneStream ? [frames] : Array(repeating: 1, count: frames))
    }

    /// A plane as a manifest describes it.
    ///
    /// - Parameter capacity: the most samples that a run may have.
    /// - Throws: `MapperError`, or `CodecError` for what cannot be.
    init(
        _ plane: Manifest.Plane, _ specification: String, tensor: Int, name: String, layer: LayerGeometry, capacity: Int
    ) throws {
        let shape: Plane.Shape
        switch (plane.shape, plane.count, plane.width) {
        case ("layer", nil, nil): shape = .layer
        case ("channels", nil, nil): shape = .channels
        case ("run", .some(let count), nil) where 1 <= count && count <= capacity: shape = .run(count)
        case ("strip", .some(let count), nil) where 1 <= count && count <= capacity: shape = .strip(count)
        case ("rows", .some(let count), .some(let width))
        where 1 <= count && count <= capacity && 1 <= width && width <= count:
            shape = .rows(count, width: width)
        default:
            throw MapperError.parameters(
                expected: "a plane as layer, channels, or run, strip or rows of 1 to \(capacity) samples",
                found: "\(plane.shape), \(plane.count.map(String.init) ?? "none")")
        }
        guard (1...16).contains(plane.bits) else { throw MapperError.bits(plane.bits) }
        let codec = try CodecRegistry.codec(specification)
        try self.init(
            bits: plane.bits, shape, codec, tensor: tensor, name: name, layer: layer,
            block: codec.description.medium == .video ? try BlockShape(sides: plane.block) : nil,
            isTransposed: plane.transposed == true, frame: plane.frame)
        guard plane.transposed != true || codec.description.medium == .image else {
            throw MapperError.parameters(expected: "an image, which may be transposed", found: specification)
        }
        guard frame == nil || codec.description.medium == .video && group.framesOfStreams.count == 1 else {
            throw MapperError.parameters(expected: "a film that is one video", found: specification)
        }
    }

    /// What the manifest says of it, its streams beginning at number `stream`.
    func record(stream: Int) -> Manifest.Plane {
        var (name, count, width, block) = ("layer", nil as Int?, nil as Int?, nil as [Int]?)
        switch shape {
        case .layer: break
        case .channels: name = "channels"
        case .run(let length): (name, count) = ("run", length)
        case .strip(let length): (name, count) = ("strip", length)
        case .rows(let length, let row): (name, count, width) = ("rows", length, row)
        }
        if group.codec.description.medium == .video, case .pictures(let tiling) = group.layers[0].placement {
            block = tiling.block.sides
        }
        return Manifest.Plane(
            bits: bits, shape: name, count: count, width: width, block: block, stream: stream,
            streams: group.framesOfStreams.count,
            frame: frame, transposed: group.layers[0].placement.isTransposed ? true : nil)
    }

    /// Encodes the plane.
    ///
    /// - Throws: `ArchiveError.layer` when the codec fails.
    func encode(_ samples: Plane.Samples) throws -> [[UInt8]] {
        func run<Sample: BinScalar>(_ samples: [Sample]) throws -> [[UInt8]] {
            try WeightArchive.encode(group, as: Sample.self) { _, bins in
                bins.withUnsafeMutableBufferPointer { _ = $0.update(from: samples) }
            }.streams
        }
        return switch samples {
        case .narrow(let samples): try run(samples)
        case .wide(let samples): try run(samples)
        }
    }

    /// Whether one frame, as a codec gives it, is the plane: no need to take it apart.
    var isOneFrame: Bool { group.layers[0].placement.keepsOrder && group.framesOfStreams == [1] }

    /// Decodes the plane of one frame, whose samples `body` sees as they lie in memory.
    ///
    /// - Parameter stream: the bytes of its stream.
    /// - Throws: `ArchiveError.layer` when the codec fails, and what `body` throws.
    func withSamples(of stream: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        var failure: (any Error)?
        do throws(CodecError) {
            try group.codec.decode(stream, group.format, count: 1) { _, frame in
                let size = group.layers[0].geometry.count * group.format.bytesPerSample
                do {
                    try body(UnsafeRawBufferPointer(rebasing: frame[..<size]))
                } catch { failure = error }
            }
        } catch {
            throw ArchiveError.layer(tensor: group.layers[0].name, reason: error.description)
        }
        if let failure { throw failure }
    }

    /// Decodes the plane.
    ///
    /// - Throws: `ArchiveError.layer` when the codec fails, and what `stream` throws.
    func decode(_ stream: (Int) throws -> [UInt8]) throws -> Plane {
        func run<Sample: BinScalar>(_ wrap: ([Sample]) -> Plane.Samples) throws -> Plane {
            var samples: [Sample] = []
            if isOneFrame {
                try stream(0).withUnsafeBytes { stream in
                    try withSamples(of: stream) { samples = Array($0.bindMemory(to: Sample.self)) }
                }
            } else {
                try WeightArchive.decode(group, as: Sample.self, stream: stream) { _, bins in
                    samples = bins.withUnsafeBufferPointer { Array($0) }
                }
            }
            return Plane(bits: bits, shape: shape, samples: wrap(samples))
        }
        return bits <= 8 ? try run { .narrow($0) } : try run { .wide($0) }
    }
}

extension BlockShape {
    /// The block as a manifest has it.
    var sides: [Int] { [bfin, bfout, bx, by] }

    /// A block as a manifest has it.
    ///
    /// - Throws: `MapperError.parameters` unless there are four sides.
    init(sides: [Int]?) throws(MapperError) {
        guard let sides, sides.count == 4 else {
            throw .parameters(expected: "a block of four sides", found: "\(sides ?? [])")
        }
        self.init(bfin: sides[0], bfout: sides[1], bx: sides[2], by: sides[3])
    }
}

/// A layer whose planes go through codecs.
struct PlanedLayer: Sendable {
    /// Index of the tensor in the selection or the manifest.
    let tensor: Int
    let name: String
    let geometry: LayerGeometry
    let planes: [PlacedPlane]
    /// Number of the first stream.
    let firstStream: Int
    /// Index of the film that holds its plane; `nil` where its streams are its own.
    var film: Int?

    /// A good guess at the memory that restoring the layer needs, in bytes: planes, and weights twice.
    var memory: Int { geometry.count * 10 + (planes.map(\.group.memory).max() ?? 0) }

    /// Whether every decoder gives the same samples.
    var decodesExactly: Bool { planes.allSatisfy(\.group.codec.description.decodesExactly) }

    /// Decodes all planes.
    ///
    /// - Parameter stream: the bytes of the stream with that number in the file.
    func decode(_ stream: (Int) throws -> [UInt8]) throws -> [Plane] {
        var next = firstStream
        return try planes.map { plane in
            defer { next += plane.group.framesOfStreams.count }
            return try plane.decode { try stream(next + $0) }
        }
    }
}
