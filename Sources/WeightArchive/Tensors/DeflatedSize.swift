import CZlib

/// Size of some bytes as zlib deflates them at its level 6.
func deflatedSize(_ bytes: UnsafeRawBufferPointer, strategy: Int32 = Z_DEFAULT_STRATEGY) -> Int {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    guard deflateInit2_(&stream, 6, Z_DEFLATED, 15, 9, strategy, zlibVersion(), size) == Z_OK else { return 0 }
    defer { deflateEnd(&stream) }
    var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))))
    return output.withUnsafeMutableBufferPointer { output in
        // zlib only reads what it calls its input, which C cannot say.
        stream.next_in = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(bytes.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        _ = deflate(&stream, Z_FINISH)
        return Int(stream.total_out)
    }
}

/// Measures how short zlib's fastest level makes bytes that come piece by piece.
final class DeflateMeter {
    /// Bytes of the result so far.
    private(set) var size = 0
    // zlib notices when its stream moves in memory.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var output = [UInt8](repeating: 0, count: 1 << 16)

    init() {
        stream.initialize(to: z_stream())
        let status = deflateInit2_(
            stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, zlibVersion(), Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has no memory")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Adds a piece, the last of which ends the stream.
    func add(_ bytes: inout [UInt8], isLast: Bool) {
        bytes.withUnsafeMutableBufferPointer { bytes in
            output.withUnsafeMutableBufferPointer { output in
                stream.pointee.next_in = bytes.baseAddress
                stream.pointee.avail_in = UInt32(bytes.count)
                repeat {
                    stream.pointee.next_out = output.baseAddress
                    stream.pointee.avail_out = UInt32(output.count)
                    _ = deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                    size += output.count - Int(stream.pointee.avail_out)
                } while stream.pointee.avail_out == 0
            }
        }
    }
}
