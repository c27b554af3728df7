import Codecs
import ModelFiles
import WeightMapper

/// A layer of a packed file whose bins were decoded, to be looked at; valid during the call that hands it over.
public struct DecodedLayer {
    /// Place among `ArchiveSummary.layers`.
    public let index: Int
    /// Bits of a bin number.
    public let bits: Int
    /// What gives the bins back as weights.
    public let codebook: any Codebook
    /// Bins in memory order: one byte each up to 8 bits, two (little-endian) above.
    public let bins: UnsafeRawBufferPointer
    /// The pictures as the file stores them; those of an image where it stores a track.
    private let tiling: Tiling

    init(index: Int, _ layer: PlacedLayer, _ codebook: any Codebook, _ bins: UnsafeRawBufferPointer) {
        self.index = index
        self.codebook = codebook
        self.bins = bins
        bits = layer.bits
        tiling =
            switch layer.placement {
            case .pictures(let tiling): tiling
            case .track: Tiling(image: layer.geometry)
            }
    }

    /// Number of weights.
    public var count: Int { bins.count / (bits > 8 ? 2 : 1) }
    /// Number of pictures: one for each matrix of an image or a track, one for each frame of a video.
    public var pictureCount: Int { tiling.frameCount }
    /// Width and height of each picture, in weights.
    public var pictureSize: (width: Int, height: Int) { (tiling.frameWidth, tiling.frameHeight) }

    /// Calls `body` with consecutive chunks of the restored weights, in memory order.
    public func forEachChunkOfWeights(_ body: (Span<Double>) -> Void) {
        func run<Bin: BinScalar>(_: Bin.Type) {
            let bins = bins.bindMemory(to: Bin.self)
            let chunk = 1 << 16
            var weights = [Double](repeating: 0, count: min(chunk, bins.count))
            for start in stride(from: 0, to: bins.count, by: chunk) {
                let piece = UnsafeBufferPointer(rebasing: bins[start..<min(start + chunk, bins.count)])
                weights.withUnsafeMutableBufferPointer { weights in
                    var target = UnsafeMutableBufferPointer(rebasing: weights[..<piece.count]).mutableSpan
                    codebook.reconstruct(piece.span, at: start, into: &target)
                }
                body(weights.span.extracting(first: piece.count))
            }
        }
        bits > 8 ? run(UInt16.self) : run(UInt8.self)
    }

    /// Calls `body` with the bins of picture `number`, row by row, at the width of a bin that `bins` has.
    public func withPicture<Result>(
        _ number: Int, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        func run<Bin: BinScalar>(_: Bin.Type) throws -> Result {
            var pixels = [Bin](repeating: 0, count: tiling.frameWidth * tiling.frameHeight)
            var span = pixels.mutableSpan
            tiling.tile(
                bins.bindMemory(to: Bin.self).span, frame: number, padding: 1 << (bits - 1), into: &span)
            return try pixels.withUnsafeBytes(body)
        }
        return try bits > 8 ? run(UInt16.self) : run(UInt8.self)
    }

    /// Picture `number` as PNG, at the layer's bit depth.
    public func picture(_ number: Int) throws -> [UInt8] {
        try withPicture(number) { pixels in
            try grayPNG(pixels, width: tiling.frameWidth, height: tiling.frameHeight, bits: bits)
        }
    }
}

/// Gray samples, one byte each up to 8 bits and two above, as PNG.
///
/// - Throws: `CodecError` for sizes that a PNG does not have.
public func grayPNG(_ samples: UnsafeRawBufferPointer, width: Int, height: Int, bits: Int) throws -> [UInt8] {
    let format = try FrameFormat(width: width, height: height, bitDepth: bits)
    return try CodecRegistry.codec("png").encode(format, count: 1) { _, buffer in buffer.copyMemory(from: samples) }
}

extension PackedModel {
    /// Calls `body` with every layer, decoded; those of one stream in order, others at the same time.
    ///
    /// - Parameters:
    ///   - threads: streams decoded at the same time, as far as memory for the largest layer allows.
    ///   - progress: receives progress.
    ///   - body: receives each layer once.
    /// - Throws: `ArchiveError`, and what `body` throws.
    public func forEachDecodedLayer(
        threads: Int, progress: ProgressHandler = { _ in }, _ body: @escaping @Sendable (DecodedLayer) throws -> Void
    ) async throws {
        let groups = valid.groups
        var numbers: [Int] = []
        for tensor in valid.manifest.tensors {
            numbers.append((numbers.last ?? -1) + (tensor.packed == nil ? 0 : 1))
        }
        let indices = numbers
        let total = groups.reduce(0) { $0 + $1.weightCount }
        // As much again for what is made of a layer: a picture of it, or its bins compressed.
        let memory = groups.map { 2 * $0.memory }
        var done = 0
        progress(Progress(done: 0, total: total))
        try await runJobs(
            memory: memory, limit: max(threads, 1), budget: (memory.max() ?? 0) + 64 << 20
        ) {
            group in
            func run<Bin: BinScalar>(_: Bin.Type) throws {
                try decode(groups[group], as: Bin.self) {
                    try stream(group, $0)
                } takeLayer: { number, bins in
                    let layer = groups[group].layers[number]
                    let codebook = try codebook(layer)
                    try bins.withUnsafeBufferPointer {
                        try body(
                            DecodedLayer(index: indices[layer.tensor], layer, codebook, UnsafeRawBufferPointer($0)))
                    }
                }
            }
            try groups[group].format.bytesPerSample == 1 ? run(UInt8.self) : run(UInt16.self)
        } done: { group, _ in
            done += groups[group].weightCount
            progress(Progress(done: done, total: total))
        }
    }
}
