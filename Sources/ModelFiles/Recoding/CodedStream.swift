import CZlib

/// Drives a compressor or decompressor over bytes, piece by piece.
enum CodedStream {
    /// What decompressing gave.
    struct Decoded {
        /// Bytes of the result.
        var size = 0
        /// CRC-32 of the result.
        var crc: UInt = 0
        /// Bytes of the stream; fewer than there are when something follows it.
        var consumed = 0
    }

    /// What a step did.
    struct Step {
        /// Bytes that it read, and bytes that it made.
        let (read, made): (Int, Int)
        let status: Status
    }

    enum Status { case goesOn, ended, failed }

    private static let pieceSize = 1 << 18

    /// Decompresses one stream.
    ///
    /// - Parameters:
    ///   - bytes: the stream.
    ///   - limit: bytes that it may give.
    ///   - step: as of ``run(_:_:_:)``.
    ///   - take: receives them.
    /// - Returns: sizes and checksum; nil when the stream is damaged, ends too early or gives more than `limit`.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, limit: Int,
        _ step: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer, _ isLast: Bool) -> Step,
        _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) -> Decoded? {
        var result = Decoded()
        let consumed = try run(bytes, step) { (piece) throws(ModelFileError) in
            result.size += piece.count
            guard result.size <= limit else { return false }
            result.crc = crc32_z(result.crc, piece.baseAddress, piece.count)
            try take(piece)
            return true
        }
        guard let consumed else { return nil }
        result.consumed = consumed
        return result
    }

    /// Steps until the stream ends.
    ///
    /// - Parameters:
    ///   - bytes: the input.
    ///   - step: given input, room for output, and whether that is the last of the input.
    ///   - take: receives the output; false ends the work.
    /// - Returns: bytes that were read; nil when the stream failed, stopped moving, or `take` ended it.
    static func run(
        _ bytes: UnsafeRawBufferPointer,
        _ step: (UnsafeRawBufferPointer, UnsafeMutableRawBufferPointer, _ isLast: Bool) -> Step,
        _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Bool
    ) throws(ModelFileError) -> Int? {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
        defer { piece.deallocate() }
        var offset = 0
        while true {
            let end = min(bytes.count, offset + 1 << 20)
            let done = step(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), piece, end == bytes.count)
            offset += done.read
            guard done.status != .failed, try take(UnsafeRawBufferPointer(rebasing: piece[..<done.made])) else {
                return nil
            }
            if done.status == .ended { return offset }
            guard done.read + done.made > 0 else { return nil }
        }
    }
}
