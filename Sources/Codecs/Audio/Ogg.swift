/// The pages of an Ogg stream (RFC 3533).
enum Ogg {
    /// Gives every page serial number 1 in place of a random one, and its checksum anew.
    ///
    /// - Throws: `CodecError.encodingFailed` when the bytes are not a run of whole pages.
    static func setSerialNumber(_ stream: inout [UInt8], codec: String) throws(CodecError) {
        var start = 0
        while start < stream.count {
            guard let end = stream.withUnsafeBytes({ pageEnd($0, start) }) else {
                throw .encodingFailed(codec: codec, reason: "malformed Ogg page at byte \(start)")
            }
            stream.replaceSubrange(start + 14..<start + 18, with: [1, 0, 0, 0])
            let sum = stream.withUnsafeBytes { checksum($0, start, end) }
            for byte in 0..<4 { stream[start + 22 + byte] = UInt8(truncatingIfNeeded: sum >> (8 * byte)) }
            start = end
        }
    }

    /// Whether a stream is a run of whole pages with sound checksums, of which the last says that it is.
    ///
    /// The decoders search for the next sound page instead, and libsndfile leaks memory when they find none.
    static func isIntact(_ stream: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        var isLast = false
        while start < stream.count {
            guard let end = pageEnd(stream, start) else { return false }
            let written = UInt32(littleEndian: stream.loadUnaligned(fromByteOffset: start + 22, as: UInt32.self))
            guard written == checksum(stream, start, end) else { return false }
            isLast = stream[start + 5] & 4 != 0
            start = end
        }
        return isLast
    }

    /// Where the page at `start` ends: a header of 27 bytes, a table of segment lengths, the segments.
    private static func pageEnd(_ stream: UnsafeRawBufferPointer, _ start: Int) -> Int? {
        guard start + 27 <= stream.count, stream[start..<start + 4].elementsEqual("OggS".utf8) else { return nil }
        let body = start + 27 + Int(stream[start + 26])
        guard body <= stream.count else { return nil }
        let end = body + stream[start + 27..<body].reduce(0) { $0 + Int($1) }
        return end <= stream.count ? end : nil
    }

    /// CRC-32 by the polynomial 04C11DB7, most significant bit first, from 0, not inverted.
    ///
    /// The field that holds it, bytes 22 to 25 of the page, counts as zeros.
    private static func checksum(_ stream: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> UInt32 {
        var sum: UInt32 = 0
        for index in start..<end {
            let byte = (start + 22..<start + 26).contains(index) ? 0 : stream[index]
            sum = (sum << 8) ^ table[Int(UInt8(truncatingIfNeeded: sum >> 24) ^ byte)]
        }
        return sum
    }

    private static let table: [UInt32] = (0..<256).map { (index: UInt32) in
        (0..<8).reduce(index << 24) { (sum, _) in sum >> 31 == 1 ? sum << 1 ^ 0x04C1_1DB7 : sum << 1 }
    }
}
