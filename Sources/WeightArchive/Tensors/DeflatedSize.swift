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
