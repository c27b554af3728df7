import CZlib
import CZstd
import ModelFiles
import Synchronization
import WeightArchive

/// What general-purpose compressors make of the same tensors, for comparison.
public struct GeneralCompressors: Sendable {
    /// Size after deflate at level 6, as zip uses it, in bytes.
    public var zip = 0
    /// Size after zstd at level 3, its default, in bytes.
    public var zstd = 0
    /// Size before, in bytes.
    public var plain = 0

    /// Compresses the bins of every layer, packed to n bits each as plain n-bit storage would have them.
    ///
    /// - Parameters:
    ///   - packed: the packed file whose bins to compress.
    ///   - threads: layers at the same time.
    public static func bins(of packed: PackedModel, threads: Int) async throws -> GeneralCompressors {
        let total = Mutex(GeneralCompressors())
        try await packed.forEachDecodedLayer(threads: threads) { layer in
            let one = GeneralCompressors(bins: layer.bins, bits: layer.bits)
            total.withLock { $0.add(one) }
        }
        return total.withLock { $0 }
    }

    /// Compresses the bins of one layer, one byte or two each.
    init(bins: UnsafeRawBufferPointer, bits: Int) {
        // Compressors see bytes: they do better on one bin a byte than on bins across bytes.
        add(bins)
        let count = bins.count / (bits > 8 ? 2 : 1)
        plain = (count * bits + 7) / 8
    }

    /// Nothing compressed yet.
    init() {}

    /// Compresses the files of a model as they are.
    public static func files(of model: ModelFile) -> GeneralCompressors {
        var total = GeneralCompressors()
        for source in model.files {
            total.plain += source.file.size
            // Pieces far larger than either compressor's window of these levels; memory stays bounded.
            source.file.forEachPiece(of: 0..<source.file.size, size: 1 << 23) { total.add($1) }
        }
        return total
    }

    private mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var scratch = [UInt8](
            repeating: 0, count: max(Int(compressBound(uLong(bytes.count))), ZSTD_compressBound(bytes.count)))
        var length = uLong(scratch.count)
        if compress2(&scratch, &length, bytes.baseAddress, uLong(bytes.count), 6) == Z_OK { zip += Int(length) }
        let size = ZSTD_compress(&scratch, scratch.count, bytes.baseAddress, bytes.count, 3)
        if ZSTD_isError(size) == 0 { zstd += size }
    }

    mutating func add(_ other: GeneralCompressors) {
        zip += other.zip
        zstd += other.zstd
        plain += other.plain
    }
}
