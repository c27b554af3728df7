import Glibc

/// A file that appears whole under its name or not at all.
///
/// It is written under a temporary name beside its own, which is removed when the work is given up. Only regular files are
/// replaced: a device, a pipe or a socket stays what it is, and a link stays one.
final class AtomicFile {
    /// The name it will have, as it was given.
    let path: String
    /// The name it has until then.
    let temporary: String
    /// The folder of both.
    let folder: String
    /// The name it will have, where `path` is a link that of the file it leads to.
    private let target: String
    private let force: Bool
    private let followsLinks: Bool
    private let isLasting: Bool
    private var isCommitted = false

    /// - Parameters:
    ///   - path: the name it will have.
    ///   - force: whether a file of that name is replaced.
    ///   - inputs: files that the work reads, which it must not replace.
    ///   - followsLinks: whether the file that a link leads to is replaced rather than the link.
    ///   - isLasting: whether the file is to outlive a power failure, which takes the time to write it to the disk.
    /// - Throws: `ArchiveError.exists` when the path exists and `force` is false, `.cannotWrite`.
    init(
        _ path: String, force: Bool, inputs: [String] = [], followsLinks: Bool = true, isLasting: Bool = true
    ) throws(ArchiveError) {
        self.path = path
        self.force = force
        self.followsLinks = followsLinks
        self.isLasting = isLasting
        guard let name = path.split(separator: "/", omittingEmptySubsequences: false).last,
            !["", ".", ".."].contains(name)
        else { throw .cannotWrite(path: path, reason: "expected the name of a file to write") }
        target = try Self.target(of: path, force: force, followsLinks: followsLinks)
        folder = parentFolder(target)
        // A name of its own: with more than the output's it could be longer than a file's name may be.
        temporary = "\(folder)/\(TemporaryName.make())"
        var status = stat()
        // Whatever it is called: a link to an input is as good as its name.
        var old = stat()
        if stat(path, &old) == 0 {
            for input in inputs {
                guard stat(input, &status) != 0 || (status.st_dev, status.st_ino) != (old.st_dev, old.st_ino)
                else {
                    throw .cannotWrite(path: path, reason: "expected another file than the input, found \(input)")
                }
            }
        }
        guard access(folder, W_OK | X_OK) == 0 else { throw .cannotWrite(path: folder, reason: systemMessage()) }
    }

    deinit {
        if !isCommitted { unlink(temporary) }
    }

    /// The name by which the file of a path is replaced.
    ///
    /// - Throws: `ArchiveError.exists` when it may not be replaced, `.cannotWrite` when it is no regular file.
    private static func target(of path: String, force: Bool, followsLinks: Bool) throws(ArchiveError) -> String {
        var status = stat()
        guard lstat(path, &status) == 0 else { return path }
        let isLink = status.st_mode & S_IFMT == S_IFLNK
        if isLink, stat(path, &status) != 0 {
            // Whatever it was to lead to, a file is not what stands there.
            throw .cannotWrite(path: path, reason: "expected a file, found a link that leads nowhere")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .cannotWrite(path: path, reason: "is a directory")
        default: throw .cannotWrite(path: path, reason: "expected a regular file, found a device, pipe or socket")
        }
        guard force else { throw .exists(path: path) }
        guard isLink, followsLinks else { return path }
        guard let resolved = realpath(path, nil) else { throw .cannotWrite(path: path, reason: systemMessage()) }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Opens the temporary file for writing; the caller closes it.
    func create() throws(ArchiveError) -> Int32 {
        let file = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
        return file
    }

    /// Size of the temporary file in bytes.
    func temporarySize() throws(ArchiveError) -> Int {
        var status = stat()
        guard stat(temporary, &status) == 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
        return Int(status.st_size)
    }

    /// Removes the temporary file, which may be written anew.
    func removeTemporary() { unlink(temporary) }

    /// Gives the file its name, once the disk has it.
    ///
    /// - Returns: its size in bytes.
    @discardableResult
    func commit() throws(ArchiveError) -> Int {
        let size = try synchronize()
        try takeName()
        if isLasting { try WeightArchive.synchronize(folder: folder) }
        return size
    }

    /// Waits until the disk has the temporary file.
    ///
    /// - Returns: its size in bytes.
    @discardableResult
    func synchronize() throws(ArchiveError) -> Int {
        try reopen { (file, size) throws(ArchiveError) in
            if isLasting { try WeightArchive.synchronize(file, path: path) }
            return size
        }
    }

    /// Opens the temporary file again.
    ///
    /// - Parameter body: receives the open file and its size in bytes.
    func reopen<Result>(_ body: (Int32, Int) throws(ArchiveError) -> Result) throws(ArchiveError) -> Result {
        let file = open(temporary, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
        return try body(file, Int(status.st_size))
    }

    /// Gives the file its name.
    func takeName() throws(ArchiveError) {
        // A link does not replace a file that came into being meanwhile; not every file system has links.
        if !force, link(temporary, path) == 0 {
            unlink(temporary)
        } else if !force, errno == EEXIST {
            throw .exists(path: path)
        } else {
            // Nor is what came into being meanwhile replaced if it is no regular file.
            _ = try Self.target(of: path, force: force, followsLinks: followsLinks)
            guard rename(temporary, target) == 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
        }
        isCommitted = true
    }
}

/// The folder that a path's file lies in.
func parentFolder(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// What the last failed system call says, in lower case.
func systemMessage() -> String { String(cString: strerror(errno)).lowercased() }

/// Writes all bytes at an offset.
func writeFully(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: Int, path: String) throws(ArchiveError) {
    var done = 0
    while done < bytes.count {
        let wrote = pwrite(file, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
        if wrote < 0, errno == EINTR { continue }
        guard wrote > 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
        done += wrote
    }
}

/// Fills `bytes` from an offset.
func readFully(_ file: Int32, _ bytes: inout [UInt8], at offset: Int, path: String) throws(ArchiveError) {
    let got = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, offset) }
    guard got == bytes.count else { throw .io(path: path, reason: got < 0 ? systemMessage() : "ends too early") }
}

/// Writes a file that appears whole under its name or not at all.
///
/// - Parameters:
///   - bytes: its content.
///   - path: its name.
///   - force: whether a file of that name is replaced.
///   - inputs: files that the bytes come from, which are never replaced.
/// - Throws: `ArchiveError.exists` when it exists and `force` is false, `.cannotWrite`.
public func writeAtomically(
    _ bytes: [UInt8], to path: String, force: Bool, inputs: [String] = []
) throws(ArchiveError) {
    let file = try AtomicFile(path, force: force, inputs: inputs)
    let descriptor = try file.create()
    defer { close(descriptor) }
    try withBytes(of: bytes) { bytes throws(ArchiveError) in try writeFully(descriptor, bytes, at: 0, path: path) }
    try file.commit()
}

/// Writes a file that appears whole under its name or not at all, by what makes a file of a name.
///
/// - Parameters:
///   - path: its name.
///   - force: whether a file of that name is replaced.
///   - inputs: files that it is made from, which are never replaced.
///   - write: makes a file of the name that it is given, which does not exist.
/// - Throws: `ArchiveError.exists` when it exists and `force` is false, `.cannotWrite`, and what `write` throws.
public func writeAtomically(
    to path: String, force: Bool, inputs: [String] = [], _ write: (String) throws -> Void
) throws {
    let file = try AtomicFile(path, force: force, inputs: inputs)
    try write(file.temporary)
    try file.commit()
}

/// Finds out before long work whether its output could be written.
///
/// - Throws: what `writeAtomically` would throw now.
public func checkWritable(_ path: String, force: Bool, inputs: [String] = []) throws(ArchiveError) {
    _ = try AtomicFile(path, force: force, inputs: inputs)
}
