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
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(1 << 17, max(count, 1)), alignment: 16)
    defer { buffer.deallocate() }
    var done = 0
    while done < count {
        let length = min(buffer.count, count - done)
        let got = pread(file, buffer.baseAddress, length, start + done)
        guard got > 0 else {
            throw .io(path: path, reason: got < 0 ? systemMessage() : "became shorter while it was read")
        }
        hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
        done += got
    }
    return hasher.digest
}
