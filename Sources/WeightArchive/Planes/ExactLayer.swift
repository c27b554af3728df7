import CZlib
import Glibc
import ModelFiles
import WeightMapper

/// Gives the one plane of a layer back bit for bit.
struct ExactLayerCodebook: LayerCodebook {
    let codebook: ExactCodebook

    var record: Manifest.LayerQuantizer { .init(name: "exact") }

    var serialized: [UInt8] { codebook.serialized }

    func entropyBits(of planes: [Plane]) -> Double { planes[0].narrow.map(codebook.entropyBits) ?? 0 }

    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        var position = 0
        try Self.run(of: planes).withUnsafeBufferPointer { run throws(MapperError) in
            try codebook.restore(run) { piece in
                UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + piece.count])
                    .copyMemory(from: piece)
                position += piece.count
            }
        }
    }

    func forEachPiece(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try Self.run(of: planes).withUnsafeBytes { try forEachPiece(ofRun: $0, body) }
    }

    /// Calls `body` with consecutive bytes of the tensor whose run these are.
    func forEachPiece(
        ofRun run: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var failure: (any Error)?
        try codebook.restore(run.bindMemory(to: UInt8.self)) { piece in
            guard failure == nil else { return }
            do { try body(piece) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private static func run(of planes: [Plane]) throws(MapperError) -> [UInt8] {
        guard planes.count == 1, case .narrow(let run) = planes[0].samples else {
            throw .parameters(expected: "one plane of bytes", found: "\(planes.count) planes")
        }
        return run
    }
}

extension Plane {
    /// Samples of up to 8 bits.
    var narrow: [UInt8]? {
        if case .narrow(let samples) = samples { samples } else { nil }
    }
}

extension LayerGeometry {
    /// Weights that follow each other in memory before the output channel changes, or before it begins anew.
    ///
    /// In rows of that length both rows and columns tend to have scales of their own.
    var rowLength: Int { channels.inner > 1 ? channels.inner : channels.count }
}

extension DType {
    /// Whether a tensor of this type can be packed bit for bit.
    var isExactlyPackable: Bool { FloatFormat(rawValue: rawValue) != nil }
}

extension Packer {
    /// Compares a tensor that was restored bit for bit with the original.
    ///
    /// - Throws: `ArchiveError.notExact` unless they are equal.
    func measureExact(
        _ tensor: TensorRecord, _ job: LayerJob, _ planes: [Plane], _ codebook: any LayerCodebook,
        _ restored: UnsafeRawBufferPointer
    ) throws -> (hash: String, crc: UInt, statistics: LayerStatistics) {
        let isEqual = model.withBytes(of: tensor.extent) { original in
            guard let a = original.baseAddress, let b = restored.baseAddress else { return restored.isEmpty }
            return original.count == restored.count && memcmp(a, b, original.count) == 0
        }
        guard isEqual else { throw ArchiveError.notExact(codec: "bit planes", tensor: job.name) }
        let crc = model.checksums.isEmpty ? 0 : crc32_z(0, restored.baseAddress, restored.count)
        return (
            Hasher128.hash(restored), crc,
            LayerStatistics(
                entropy: codebook.entropyBits(of: planes) / Double(max(tensor.count, 1)),
                variance: variance(of: tensor), meanSquaredError: 0, maximumError: 0)
        )
    }

    /// The variance of a tensor's weights; 0 where it is no number.
    private func variance(of tensor: TensorRecord) -> Double {
        guard tensor.dtype.isPackableFloat else { return 0 }
        func run<Scalar: WeightScalar>(_ weights: TensorWeights<Scalar>) -> Double {
            var meter = ErrorMeter()
            weights.forEachChunk { _, chunk in meter.add(chunk, chunk) }
            return meter.variance.isFinite ? meter.variance : 0
        }
        return tensor.dtype == .f64
            ? run(TensorWeights<Double>(model, tensor)) : run(TensorWeights<Float>(model, tensor))
    }
}

/// Whether deflate finds enough repetition in some pieces of a run to be worth trying on all of it.
func mayRepeat(_ run: [UInt8]) -> Bool {
    let length = 1 << 15
    let step = max(run.count / 5, length)
    var sizes = (with: 0, without: 0)
    for start in stride(from: 0, to: run.count, by: step) {
        let piece = run[start..<min(start + length, run.count)]
        piece.withUnsafeBytes { piece in
            sizes.with += deflatedSize(piece)
            sizes.without += deflatedSize(piece, strategy: Z_HUFFMAN_ONLY)
        }
    }
    return sizes.with * 1000 < sizes.without * 999
}
