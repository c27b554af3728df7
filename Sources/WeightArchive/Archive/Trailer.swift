import Glibc

/// The last bytes of a packed file: its ZIP comment, a hash of every byte before the hash itself.
enum Trailer {
    /// What the comment begins with.
    static let prefix = "wcodec 1 xxh3-128 "
    /// Bytes of the hash, as hexadecimal digits.
    static let digits = 32
    static var length: Int { prefix.utf8.count + digits }
}

/// The hash of `count` bytes of a file.
func hash(_ file: Int32, from start: Int = 0, _ count: Int, path: String) throws(ArchiveError) -> String {
    let hasher = Hasher128()
    // Few enough bytes to be in a core's cache still when they are hashed.
    var buffer = [UInt8](repeating: 0, count: 1 << 17)
    var done = 0
    while done < count {
        let length = min(buffer.count, count - done)
        let got = buffer.withUnsafeMutableBytes { pread(file, $0.baseAddress, length, start + done) }
        guard got > 0 else {
            throw .io(path: path, reason: got < 0 ? systemMessage() : "became shorter while it was read")
        }
        buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
        done += got
    }
    return hasher.digest
}
