import CMappings
import Glibc

/// A regular file mapped into memory, read only.
///
/// Bytes are read from disk as they are touched. Another program may write to the file meanwhile: what is made of it counts
/// only when ``checkUnchanged()`` was content afterwards. Bytes that are gone are zeros.
public final class MappedFile: Sendable {
    /// The path it was opened by.
    public let path: String
    /// Its size in bytes.
    public let size: Int
    // Safe to share: the mapping is read-only and lives exactly as long as the object.
    nonisolated(unsafe) private let base: UnsafeRawPointer?
    /// What keeps a byte that is gone from ending the process.
    nonisolated(unsafe) private let watch: OpaquePointer?
    /// What the file of `path` was when it was opened.
    let opened: FileStatus

    /// Maps a file.
    ///
    /// - Parameter path: the file; a link is followed, anything but a regular file is refused.
    /// - Throws: ``ModelFileError/unreadable(path:reason:)``.
    public convenience init(_ path: String) throws(ModelFileError) {
        // The system would take the path to end there.
        guard !path.utf8.contains(0) else { throw .unreadable(path: path, reason: "its name holds a zero byte") }
        // Without O_NONBLOCK opening a named pipe would wait for a writer.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw .unreadable(path: path, reason: systemMessage())
        }
        defer { close(descriptor) }
        try self.init(descriptor, path: path)
    }

    /// Maps an open file, which may be closed then.
    ///
    /// - Parameters:
    ///   - descriptor: a regular file opened for reading.
    ///   - path: how errors call it.
    /// - Throws: ``ModelFileError/unreadable(path:reason:)``.
    public convenience init(_ descriptor: Int32, path: String) throws(ModelFileError) {
        try self.init(descriptor, path: path, original: nil)
    }

    /// - Parameter original: the file whose plain form it is, if any.
    private init(_ descriptor: Int32, path: String, original: MappedFile?) throws(ModelFileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(path: path, reason: systemMessage()) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .unreadable(path: path, reason: "expected a file, found a directory")
        default: throw .unreadable(path: path, reason: "expected a regular file, found a device, pipe or socket")
        }
        self.path = path
        opened = original?.opened ?? FileStatus(status)
        size = Int(status.st_size)
        guard size > 0 else {
            base = nil
            watch = nil
            return
        }
        guard let address = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw .unreadable(path: path, reason: systemMessage())
        }
        base = UnsafeRawPointer(address)
        watch = wc_watch(address, size, path)
    }

    /// Whether bytes of it were gone when they were read.
    var isTorn: Bool { watch.map(wc_is_torn) ?? false }

    /// Maps a temporary file that `write` fills, which stands for another file, under its path.
    ///
    /// It lies in the system's folder for temporary files (`TMPDIR`, else `/var/tmp`) and has no name: nothing of it stays.
    ///
    /// - Parameters:
    ///   - original: the file that it stands for.
    ///   - write: receives the open file's descriptor.
    /// - Throws: ``ModelFileError/unreadable(path:reason:)`` when there is no room, and what `write` throws.
    static func temporary(
        for original: MappedFile, write: (Int32) throws(ModelFileError) -> Void
    ) throws(ModelFileError) -> MappedFile {
        try withTemporaryFile(for: original.path) { (descriptor, name) throws(ModelFileError) in
            unlink(name)
            try write(descriptor)
            return try MappedFile(descriptor, path: original.path, original: original)
        }
    }

    /// The system's folder for temporary files: `TMPDIR`, else `/var/tmp`.
    package static var temporaryFolder: String { getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp" }

    /// Makes a temporary file as ``temporary(for:write:)`` does, but with a name, which is gone when `body` is done.
    ///
    /// - Parameter body: receives the open file's descriptor and its name, which it should remove when it can.
    static func withTemporaryFile<Result>(
        for path: String, _ body: (Int32, String) throws(ModelFileError) -> Result
    ) throws(ModelFileError) -> Result {
        let folder = temporaryFolder
        let name = "\(folder)/.wcodec-\(getpid())-\(UInt64.random(in: 0 ... .max)).plain"
        let descriptor = Glibc.open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw .unreadable(path: path, reason: "no temporary file in \(folder): \(systemMessage())")
        }
        defer {
            close(descriptor)
            unlink(name)
        }
        return try body(descriptor, name)
    }

    deinit {
        if let watch { wc_unwatch(watch) }
        if let base { munmap(UnsafeMutableRawPointer(mutating: base), size) }
    }

    /// Calls `body` with some of the file's bytes, which are valid during the call only.
    ///
    /// - Parameters:
    ///   - range: offsets within `0..<size`; every extent of an opened model is.
    ///   - body: what to do with the bytes.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws.
    public func withBytes<Result, Failure: Error>(
        _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= size, "\(range) is outside the \(size) bytes of \(path)")
        return try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(start: base, count: size)[range]))
    }

    /// The entries of a ZIP file, in the order of its directory, and where those lie that are stored.
    ///
    /// ZIP libraries copy an entry's content; here it is where it is.
    ///
    /// - Throws: ``ModelFileError/malformed(path:part:expected:found:)`` when names are not distinct, entries overlap, or a local
    ///   header disagrees with the directory.
    public func zipEntries() throws(ModelFileError) -> [ZipListing] { try ZipDirectory.listing(of: self) }

    /// Calls `body` with all of the file's bytes.
    package func withAllBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withBytes(0..<size, body)
    }

    /// Calls `body` with some of the file's bytes piece by piece, and gives the memory of each back.
    ///
    /// - Parameters:
    ///   - range: offsets within `0..<size`.
    ///   - size: bytes of a piece, the last of which may be shorter.
    ///   - body: receives the offset of a piece and its bytes, which are valid during the call only.
    /// - Throws: what `body` throws.
    public func forEachPiece<Failure: Error>(
        of range: Range<Int>, size: Int = 1 << 20, _ body: (Int, UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: size) {
            let piece = start..<min(start + size, range.upperBound)
            try withBytes(piece) { (bytes) throws(Failure) in try body(start, bytes) }
            release(piece)
        }
    }

    /// Gives the memory of some bytes back, so that reading a large file does not grow the process.
    ///
    /// They stay readable, from the disk or the system's cache again. Pages that reach beyond the range are kept.
    public func release(_ range: Range<Int>) {
        guard let base else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let start = (max(0, range.lowerBound) + page - 1) / page * page
        // The last page of the file belongs to it whole.
        let end = range.upperBound >= size ? size : range.upperBound / page * page
        if start < end { madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, MADV_DONTNEED) }
    }
}

/// What the last failed system call says, in lower case.
func systemMessage() -> String { String(cString: strerror(errno)).lowercased() }
