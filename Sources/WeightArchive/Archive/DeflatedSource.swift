import CDeflate
import CZip
import CZlib

/// Bytes that are deflated by libdeflate, which takes a tenth less than zlib of the names and numbers around layers, as a source that
/// libzip copies as it is.
final class DeflatedSource {
    /// Bytes of an entry that are deflated at once, in memory; at 1 to 5 MB/s that takes seconds.
    static let most = 4 << 20

    private let compressed: [UInt8]
    private let size: Int
    private let crc: UInt32
    private var position = 0

    /// `nil` when the bytes do not get shorter.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > 1, let compressor = libdeflate_alloc_compressor(12) else { return nil }
        defer { libdeflate_free_compressor(compressor) }
        // Without room for what is not shorter there is no result.
        compressed = [UInt8](unsafeUninitializedCapacity: bytes.count - 1) { buffer, count in
            count = libdeflate_deflate_compress(compressor, bytes, bytes.count, buffer.baseAddress, buffer.count)
        }
        guard !compressed.isEmpty else { return nil }
        size = bytes.count
        crc = UInt32(truncatingIfNeeded: crc32_z(0, bytes, bytes.count))
    }

    /// libzip's source; the object must live as long as that.
    func source(_ archive: OpaquePointer) -> OpaquePointer? {
        zip_source_function(
            archive,
            { object, data, length, command in
                guard let object else { return -1 }
                return Unmanaged<DeflatedSource>.fromOpaque(object).takeUnretainedValue().answer(command, data, length)
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private func answer(_ command: zip_source_cmd_t, _ data: UnsafeMutableRawPointer?, _ length: UInt64) -> Int64 {
        switch command {
        case ZIP_SOURCE_OPEN:
            position = 0
            return 0
        case ZIP_SOURCE_READ:
            let count = min(Int(clamping: length), compressed.count - position)
            UnsafeMutableRawBufferPointer(start: data, count: count).copyBytes(
                from: compressed[position..<position + count])
            position += count
            return Int64(count)
        case ZIP_SOURCE_STAT:
            guard let status = data?.assumingMemoryBound(to: zip_stat_t.self) else { return -1 }
            zip_stat_init(status)
            status.pointee.size = UInt64(size)
            status.pointee.comp_size = UInt64(compressed.count)
            status.pointee.crc = crc
            status.pointee.comp_method = UInt16(ZIP_CM_DEFLATE)
            status.pointee.valid = UInt64(ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC | ZIP_STAT_COMP_METHOD)
            return Int64(MemoryLayout<zip_stat_t>.size)
        case ZIP_SOURCE_ERROR:
            // None ever, in two numbers.
            data?.initializeMemory(as: Int32.self, repeating: 0, count: 2)
            return Int64(2 * MemoryLayout<Int32>.size)
        case ZIP_SOURCE_CLOSE, ZIP_SOURCE_FREE:
            return 0
        case ZIP_SOURCE_SUPPORTS:
            let known = [
                ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
                ZIP_SOURCE_SUPPORTS,
            ]
            return known.reduce(0) { $0 | 1 << Int64($1.rawValue) }
        default:
            return -1
        }
    }
}
