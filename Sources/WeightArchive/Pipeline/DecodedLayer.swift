import Codecs
import ModelFiles
import WeightMapper

/// A layer of a packed file whose bins were decoded, to be looked at; valid during the call that hands it over.
///
/// The bins of a layer of planes are the samples of its first.
public struct DecodedLayer {
    /// Place among `ArchiveSummary.layers`.
    public let index: Int
    /// Bits of a bin number.
    public let bits: Int
    /// Bins: one byte each up to 8 bits, two (little-endian) above.
    public let bins: UnsafeRawBufferPointer
    /// The ranges of the channels' intervals; `nil` where the quantizer has none.
    public let ranges: ChannelRanges?
    /// Number of weights.
    public let count: Int
    /// The pictures as the file stores them; those of an image where it stores a track.
    private let tiling: Tiling
    private let weights: Weights

    private enum Weights {
        case reconstructed(any Codebook)
        case restored(UnsafeRawBufferPointer, DType)
    }

    init(index: Int, _ layer: PlacedLayer, _ codebook: any Codebook, _ bins: UnsafeRawBufferPointer) {
        self.index = index
        self.bins = bins
        bits = layer.bits
        ranges = (codebook as? UniformCodebook)?.ranges
        count = layer.geometry.count
        tiling = layer.placement.pictures(of: layer.geometry)
        weights = .reconstructed(codebook)
    }

    init(
        index: Int, _ layer: PlanedLayer, _ codebook: any LayerCodebook, _ bins: UnsafeRawBufferPointer,
        _ bytes: UnsafeRawBufferPointer, _ dtype: DType
    ) {
        self.index = index
        self.bins = bins
        bits = layer.planes[0].bits
        ranges = (codebook as? UniformLayerCodebook)?.codebook.ranges
        count = layer.geometry.count
        let first = layer.planes[0].group.layers[0]
        tiling = first.placement.pictures(of: first.geometry)
        weights = .restored(bytes, dtype)
    }

    /// Number of pictures: one for each matrix of an image or a track, one for each frame of a video.
    public var pictureCount: Int { tiling.frameCount }
    /// Width and height of each picture, in weights.
    public var pictureSize: (width: Int, height: Int) { (tiling.frameWidth, tiling.frameHeight) }

    /// Calls `body` with consecutive chunks of the restored weights, in memory order.
    public func forEachChunkOfWeights(_ body: (Span<Double>) -> Void) {
        let chunk = 1 << 16
        var scratch = [Double](repeating: 0, count: min(chunk, count))
        for start in stride(from: 0, to: count, by: chunk) {
            let length = min(chunk, count - start)
            scratch.withUnsafeMutableBufferPointer { scratch in
                let target = UnsafeMutableBufferPointer(rebasing: scratch[..<length])
                switch weights {
                case .reconstructed(let codebook): reconstruct(codebook, at: start, into: target)
                case .restored(let bytes, let dtype): loadDoubles(bytes, dtype, at: start, into: target)
                }
            }
            body(scratch.span.extracting(first: length))
        }
    }

    private func reconstruct(_ codebook: any Codebook, at start: Int, into target: UnsafeMutableBufferPointer<Double>) {
        func run<Bin: BinScalar>(_: Bin.Type) {
            let piece = UnsafeBufferPointer(rebasing: bins.bindMemory(to: Bin.self)[start..<start + target.count])
            var span = target.mutableSpan
            codebook.reconstruct(piece.span, at: start, into: &span)
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
        try await whileUnchanged { try await decodeAll(threads: threads, progress, body) }
    }

    private func decodeAll(
        threads: Int, _ progress: ProgressHandler, _ body: @escaping @Sendable (DecodedLayer) throws -> Void
    ) async throws {
        let groups = valid.groups
        let planed = valid.planed
        var numbers: [Int] = []
        for tensor in valid.manifest.tensors {
            numbers.append((numbers.last ?? -1) + (tensor.packed == nil ? 0 : 1))
        }
        let indices = numbers
        let total = groups.reduce(0) { $0 + $1.weightCount } + planed.reduce(0) { $0 + $1.geometry.count }
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
        let units = valid.units
        let needs = units.map { 2 * planed[$0[0]].memory }
        try await runJobs(memory: needs, limit: max(threads, 1), budget: (needs.max() ?? 0) + 64 << 20) { number in
            try forEachDecoded(units[number]) { layer, planes in
                let dtype = DType(rawValue: valid.manifest.tensors[layer.tensor].dtype)
                try withBytes(of: layer, planes) { codebook, bytes in
                    try planes[0].samples.withBytes { bins in
                        try body(DecodedLayer(index: indices[layer.tensor], layer, codebook, bins, bytes, dtype))
                    }
                }
            }
        } done: { number, _ in
            done += units[number].reduce(0) { $0 + planed[$1].geometry.count }
            progress(Progress(done: done, total: total))
        }
    }
}

extension Placement {
    /// The pictures of a placement; of a track those that an image would have.
    fileprivate func pictures(of geometry: LayerGeometry) -> Tiling {
        switch self {
        case .pictures(let tiling): tiling
        case .track: Tiling(image: geometry)
        }
    }
}
