import CZlib

/// Raw deflate streams (RFC 1951), piece by piece through zlib.
enum Deflate {
    /// What a byte of a deflate stream can stand for at most (a match of 258 bytes takes two bits).
    static let maximumRatio = 1032

    private static let pieceSize = 1 << 18

    /// Decompresses one stream.
    ///
    /// - Parameters:
    ///   - bytes: the stream.
    ///   - limit: bytes that it may give.
    ///   - take: receives them.
    /// - Returns: sizes and checksum; nil when the stream is damaged, ends too early or gives more than `limit`.
    static func decompress(
        _ bytes: UnsafeRawBufferPointer, limit: Int, _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) -> CodedStream.Decoded? {
        var stream = z_stream()
        guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        var result = CodedStream.Decoded()
        var isComplete = false
        try pump(&stream, bytes, { CZlib.inflate(&$0, Z_NO_FLUSH) }) { (piece, status) throws(ModelFileError) in
            result.size += piece.count
            result.crc = crc32_z(result.crc, piece.baseAddress, piece.count)
            isComplete = status == Z_STREAM_END
            // Z_BUF_ERROR is all of the input without an end.
            guard status == Z_OK || isComplete, result.size <= limit else { return false }
            try take(piece)
            return true
        }
        result.consumed = Int(stream.total_in)
        return isComplete && result.size <= limit ? result : nil
    }

    /// Compresses bytes to one stream.
    ///
    /// - Parameters:
    ///   - level: 0 to 9, as zlib has them.
    ///   - take: receives the stream.
    static func compress(
        _ bytes: UnsafeRawBufferPointer, level: Int, _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        var stream = z_stream()
        let status = deflateInit2_(
            &stream, Int32(level), Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        // Levels are checked where they are read.
        precondition(status == Z_OK, "zlib takes no level \(level), or has no memory")
        defer { deflateEnd(&stream) }
        try pump(&stream, bytes, { CZlib.deflate(&$0, $0.avail_in == 0 ? Z_FINISH : Z_NO_FLUSH) }) {
            (piece, status) throws(ModelFileError) in
            try take(piece)
            return status == Z_OK || status == Z_BUF_ERROR || status == Z_STREAM_END
        }
    }

    /// Drives a stream until it ends, or `take` says so.
    private static func pump(
        _ stream: inout z_stream, _ bytes: UnsafeRawBufferPointer, _ step: (inout z_stream) -> Int32,
        _ take: (UnsafeRawBufferPointer, Int32) throws(ModelFileError) -> Bool
    ) throws(ModelFileError) {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
        defer { piece.deallocate() }
        var offset = 0
        var status = Z_OK
        var goesOn = true
        while goesOn, status != Z_STREAM_END {
            if stream.avail_in == 0, offset < bytes.count {
                let count = min(bytes.count - offset, 1 << 20)
                // zlib reads only, though its field is not const.
                stream.next_in = bytes.baseAddress.map {
                    UnsafeMutablePointer(mutating: ($0 + offset).assumingMemoryBound(to: UInt8.self))
                }
                stream.avail_in = UInt32(count)
                offset += count
            }
            stream.next_out = piece.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.avail_out = UInt32(piece.count)
            status = step(&stream)
            let made = piece.count - Int(stream.avail_out)
            // More input may follow what was used up without a result.
            if status == Z_BUF_ERROR, offset < bytes.count { status = Z_OK }
            goesOn = try take(UnsafeRawBufferPointer(rebasing: piece[..<made]), status)
        }
    }
}
