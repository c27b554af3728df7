import CBzip2

/// Streams of bzip2, as entries of ZIP files hold them (method 12).
enum Bzip2 {
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
        var stream = bz_stream()
        guard BZ2_bzDecompressInit(&stream, 0, 0) == BZ_OK else { return nil }
        defer { BZ2_bzDecompressEnd(&stream) }
        return try CodedStream.decode(
            bytes, limit: limit,
            { input, room, _ in
                step(&stream, input, room) {
                    switch BZ2_bzDecompress(&$0) {
                    case BZ_OK: .goesOn
                    case BZ_STREAM_END: .ended
                    default: .failed
                    }
                }
            }, take)
    }

    /// Compresses bytes to one stream, as Python's zipfile does: in blocks of 900 kB.
    ///
    /// - Parameter take: receives the stream.
    static func compress(
        _ bytes: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        var stream = bz_stream()
        let status = BZ2_bzCompressInit(&stream, 9, 0, 0)
        precondition(status == BZ_OK, "libbz2 has no memory")
        defer { BZ2_bzCompressEnd(&stream) }
        let consumed = try CodedStream.run(bytes) { input, room, isLast in
            step(&stream, input, room) {
                switch BZ2_bzCompress(&$0, isLast ? BZ_FINISH : BZ_RUN) {
                case BZ_RUN_OK, BZ_FINISH_OK: .goesOn
                case BZ_STREAM_END: .ended
                default: .failed
                }
            }
        } _: { (piece) throws(ModelFileError) in
            try take(piece)
            return true
        }
        precondition(consumed == bytes.count, "libbz2 compresses anything")
    }

    private static func step(
        _ stream: inout bz_stream, _ input: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer,
        _ work: (inout bz_stream) -> CodedStream.Status
    ) -> CodedStream.Step {
        // libbz2 reads only, though its field is not const.
        stream.next_in = input.baseAddress.map {
            UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: CChar.self))
        }
        stream.avail_in = UInt32(input.count)
        stream.next_out = room.baseAddress?.assumingMemoryBound(to: CChar.self)
        stream.avail_out = UInt32(room.count)
        let status = work(&stream)
        return .init(
            read: input.count - Int(stream.avail_in), made: room.count - Int(stream.avail_out), status: status)
    }
}
