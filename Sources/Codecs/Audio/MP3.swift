/// The checksums that LAME leaves in an MP3 file's first frame.
enum MP3 {
    /// Whether a file is as LAME finished it.
    ///
    /// The decoder skips damage and prints about it on stderr, so damaged files must not reach it. The first frame of a
    /// mono file has 4 bytes of header, 17 of side information, and a tag: from byte 21 "Xing" or "Info", from 33 the file's
    /// size, from 173 the checksum of what follows the tag, from 175 that of all before it, numbers big-endian.
    static func isIntact(_ file: UnsafeRawBufferPointer) -> Bool {
        let tagEnd = 177
        guard file.count >= tagEnd else { return false }
        let name = file[21..<25]
        guard name.elementsEqual("Xing".utf8) || name.elementsEqual("Info".utf8) else { return false }
        return number(file[33..<37]) == file.count
            && number(file[173..<175]) == checksum(file[tagEnd...])
            && number(file[175..<177]) == checksum(file[..<175])
    }

    private static func number(_ bytes: Slice<UnsafeRawBufferPointer>) -> Int {
        bytes.reduce(0) { $0 << 8 | Int($1) }
    }

    /// CRC-16 by the polynomial 8005, least significant bit first, from 0, not inverted.
    private static func checksum(_ bytes: Slice<UnsafeRawBufferPointer>) -> Int {
        Int(bytes.reduce(UInt16(0)) { (sum, byte) in (sum >> 8) ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] })
    }

    private static let table: [UInt16] = (0..<256).map { (index: UInt16) in
        (0..<8).reduce(index) { (sum, _) in sum & 1 == 1 ? sum >> 1 ^ 0xA001 : sum >> 1 }
    }
}
