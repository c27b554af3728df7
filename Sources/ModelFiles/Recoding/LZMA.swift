import CLZMA

/// Streams of LZMA, as entries of ZIP files hold them (method 14).
///
/// A version comes first, the size of the properties and these, then the stream with a mark at its end. Source: PKWARE's
/// APPNOTE.TXT 6.3.10, section 5.8.8.
enum LZMA {
    /// The flag of an entry whose stream has a mark at its end.
    static let endMarkFlag: UInt16 = 2

    /// Bytes before the stream: the version, here that of Python's zipfile, and 5 bytes of properties.
    private static let headerSize = 9
    private static let filter: lzma_vli = 0x4000_0000_0000_0001
    private static let preset: UInt32 = 6

    /// Decompresses one stream.
    ///
    /// - Parameters:
    ///   - bytes: an entry's content.
    ///   - limit: bytes that it may give.
    ///   - take: receives them.
    /// - Returns: sizes and checksum; nil when the stream is damaged, ends too early or gives more than `limit`.
    static func decompress(
        _ bytes: UnsafeRawBufferPointer, limit: Int, _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) -> CodedStream.Decoded? {
        guard bytes.count >= headerSize, bytes[2] == 5, bytes[3] == 0, bytes[4] < 225 else { return nil }
        var options = lzma_options_lzma()
        guard lzma_lzma_preset(&options, preset) == 0 else { return nil }
        options.lc = UInt32(bytes[4] % 9)
        options.lp = UInt32(bytes[4] / 9 % 5)
        options.pb = UInt32(bytes[4] / 45)
        let dictionary = bytes.loadUnaligned(fromByteOffset: 5, as: UInt32.self)
        // It is allocated, and nothing farther back than the result is long can be asked for.
        options.dict_size = min(UInt32(littleEndian: dictionary), UInt32(clamping: max(limit, 4096)))
        var stream = lzma_stream()
        guard withFilters(&options, { lzma_raw_decoder(&stream, $0) }) == LZMA_OK else { return nil }
        defer { lzma_end(&stream) }
        var result = try CodedStream.decode(
            UnsafeRawBufferPointer(rebasing: bytes[headerSize...]), limit: limit,
            { input, room, _ in step(&stream, input, room, LZMA_RUN) }, take)
        result?.consumed += headerSize
        return result
    }

    /// Compresses bytes to one stream, as Python's zipfile does.
    ///
    /// - Parameter take: receives the entry's content.
    static func compress(
        _ bytes: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        var options = lzma_options_lzma()
        var stream = lzma_stream()
        let isReady =
            lzma_lzma_preset(&options, preset) == 0
            && withFilters(&options) { lzma_raw_encoder(&stream, $0) } == LZMA_OK
        precondition(isReady, "liblzma has no memory")
        defer { lzma_end(&stream) }
        let properties = UInt8((options.pb * 5 + options.lp) * 9 + options.lc)
        let header =
            [9, 4, 5, 0, properties] + (0..<4).map { UInt8(truncatingIfNeeded: options.dict_size >> (8 * $0)) }
        try header.span.bytes.withUnsafeBytes { (header) throws(ModelFileError) in try take(header) }
        let consumed = try CodedStream.run(bytes) { input, room, isLast in
            step(&stream, input, room, isLast ? LZMA_FINISH : LZMA_RUN)
        } _: { (piece) throws(ModelFileError) in
            try take(piece)
            return true
        }
        precondition(consumed == bytes.count, "liblzma compresses anything")
    }

    private static func withFilters(
        _ options: inout lzma_options_lzma, _ body: (UnsafePointer<lzma_filter>) -> lzma_ret
    ) -> lzma_ret {
        withUnsafeMutablePointer(to: &options) { options in
            body([lzma_filter(id: filter, options: options), lzma_filter(id: .max, options: nil)])
        }
    }

    private static func step(
        _ stream: inout lzma_stream, _ input: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer,
        _ action: lzma_action
    ) -> CodedStream.Step {
        stream.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.avail_in = input.count
        stream.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.avail_out = room.count
        let status: CodedStream.Status =
            switch lzma_code(&stream, action) {
            case LZMA_OK: .goesOn
            case LZMA_STREAM_END: .ended
            default: .failed
            }
        return .init(read: input.count - stream.avail_in, made: room.count - stream.avail_out, status: status)
    }
}
