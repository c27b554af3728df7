import Glibc

/// A file that is written from its beginning on; fields in what was written may be corrected.
struct OutputFile {
    private let descriptor: Int32
    private let path: String
    /// Bytes written so far.
    private(set) var size = 0

    /// - Parameters:
    ///   - descriptor: a file opened for writing, empty.
    ///   - path: what errors name.
    init(_ descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) throws(ModelFileError) {
        try write(bytes, at: size)
        size += bytes.count
    }

    mutating func append(_ bytes: [UInt8]) throws(ModelFileError) {
        try bytes.span.bytes.withUnsafeBytes { (bytes) throws(ModelFileError) in try append(bytes) }
    }

    /// Appends bytes of a mapped file, whose memory is given back.
    mutating func append(_ range: Range<Int>, of file: MappedFile) throws(ModelFileError) {
        try file.forEachPiece(of: range) { (_, bytes) throws(ModelFileError) in try append(bytes) }
    }

    /// Makes sure that the disk has room for so many bytes more.
    ///
    /// - Throws: ``ModelFileError/unreadable(path:reason:)`` when it has not.
    func requireRoom(_ count: Int) throws(ModelFileError) {
        var status = statvfs()
        guard fstatvfs(descriptor, &status) == 0 else { return }
        let (free, isHuge) = Int(status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
        guard isHuge || count <= free else {
            throw .unreadable(
                path: path, reason: "its plain form needs \(count) bytes of temporary space, found \(free)")
        }
    }

    /// Appends zeros, which take no room on the disk where the file system has holes.
    mutating func appendZeros(_ count: Int) throws(ModelFileError) {
        size += count
        guard ftruncate(descriptor, size) == 0 else { throw failure }
    }

    /// Writes an integer, little-endian, over bytes written before.
    func correct(_ value: Int, width: Int, at offset: Int) throws(ModelFileError) {
        try withUnsafeBytes(of: UInt64(bitPattern: Int64(value)).littleEndian) { (bytes) throws(ModelFileError) in
            try write(UnsafeRawBufferPointer(rebasing: bytes[..<width]), at: offset)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(ModelFileError) {
        var done = 0
        while done < bytes.count {
            let wrote = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
            if wrote < 0, errno == EINTR { continue }
            guard wrote > 0 else { throw failure }
            done += wrote
        }
    }

    private var failure: ModelFileError {
        .unreadable(path: path, reason: "cannot be written in another form: \(systemMessage())")
    }
}
