import Glibc

/// Bytes on the disk that will be entries of a packed file.
///
/// They lie beside the output in a file of its name and `.partial`, so that they outlive a program that is killed. One
/// process has that file at a time. Where it cannot be had or trusted (a link, another user's, somebody else's content),
/// the bytes lie in a file without a name, and end with the process.
final class Spool {
    /// Where bytes are in the file.
    struct Place: Sendable {
        let offset: Int
        let length: Int
    }

    /// What the file begins with; another file of its name is not touched.
    static let signature = Array("wcodec partial 1".utf8)

    /// The file's path; `nil` when it has no name.
    let path: String?
    /// Why it has no name.
    let refusal: String?
    /// The open file.
    let descriptor: Int32
    /// Bytes in it.
    private(set) var size: Int
    /// Bytes of it that the disk has for sure, and since when.
    private var synchronized: (size: Int, time: ContinuousClock.Instant) = (0, .now)
    /// Whether the file stays when this object goes.
    private var isKept = false
    /// The output, as errors name it.
    private let output: String

    /// Opens the file that an earlier run left, or begins one.
    ///
    /// - Throws: `ArchiveError.busy` while another process packs to the same output, `.cannotWrite`.
    init(beside output: AtomicFile) throws(ArchiveError) {
        self.output = output.path
        let name = output.path + ".partial"
        switch Self.open(name) {
        case .locked(let file, let size):
            (path, refusal, descriptor, self.size) = (name, nil, file, size)
        case .busy:
            throw .busy(path: output.path, partial: name)
        case .refused(let reason):
            let hidden = output.temporary + ".spool"
            descriptor = Glibc.open(hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw .cannotWrite(path: output.folder, reason: systemMessage()) }
            unlink(hidden)
            (path, refusal, size) = (nil, "\(name): \(reason)", 0)
        }
        if size < Self.signature.count { try clear() }
    }

    deinit {
        // While the lock is held, so that nobody else's file is removed.
        if let path, !isKept, isFile(descriptor, named: path) { unlink(path) }
        close(descriptor)
    }

    /// Appends bytes.
    func append(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) -> Place {
        let place = Place(offset: size, length: bytes.count)
        try writeFully(descriptor, bytes, at: size, path: output)
        size += bytes.count
        return place
    }

    /// Appends bytes.
    func append(_ bytes: [UInt8]) throws(ArchiveError) -> Place {
        try withBytes(of: bytes) { bytes throws(ArchiveError) in try append(bytes) }
    }

    /// Cuts the file off.
    func truncate(to length: Int) throws(ArchiveError) {
        guard ftruncate(descriptor, length) == 0 else { throw .cannotWrite(path: output, reason: systemMessage()) }
        size = length
        synchronized.size = min(synchronized.size, length)
    }

    /// Lets the file stay when this object goes.
    func keep() {
        isKept = true
        // What is lost all the same is packed again.
        try? synchronize()
    }

    /// Waits until the disk has what was appended, if that is much or a while ago: waiting takes as long as packing some layers.
    func checkpoint() throws(ArchiveError) {
        let isDue = size - synchronized.size >= 64 << 20 || ContinuousClock.now - synchronized.time >= .seconds(5)
        if isDue { try synchronize() }
    }

    /// Waits until the disk has what was appended; a file without a name ends with the process anyhow.
    func synchronize() throws(ArchiveError) {
        guard let path, synchronized.size < size else { return }
        try WeightArchive.synchronize(descriptor, path: output)
        if synchronized.size == 0 { try WeightArchive.synchronize(folder: parentFolder(path)) }
        synchronized = (size, .now)
    }

    /// Forgets everything.
    func clear() throws(ArchiveError) {
        try truncate(to: 0)
        _ = try append(Self.signature)
    }
}

// MARK: - The named file

extension Spool {
    private enum Opened {
        case locked(Int32, size: Int)
        case busy
        case refused(String)
    }

    private static func open(_ path: String) -> Opened {
        // Again when its last owner removed the file between opening and locking.
        for _ in 0..<100 {
            // Links are not followed, nor pipes waited for: others may write to this folder too.
            let file = Glibc.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
            guard file >= 0 else { return .refused(errno == ELOOP ? "is a link" : systemMessage()) }
            var status = stat()
            if let reason = distrust(file, &status) {
                close(file)
                return .refused(reason)
            }
            guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
                let isBusy = errno == EWOULDBLOCK
                let reason = systemMessage()
                close(file)
                return isBusy ? .busy : .refused("cannot be locked: \(reason)")
            }
            // The size again: before the lock its last owner may have written.
            guard isFile(file, named: path), fstat(file, &status) == 0 else {
                close(file)
                continue
            }
            let size = Int(status.st_size)
            var start = [UInt8](repeating: 0, count: min(size, signature.count))
            guard pread(file, &start, start.count, 0) == start.count, start.elementsEqual(signature.prefix(start.count))
            else {
                close(file)
                return .refused("is no partial packed file")
            }
            return .locked(file, size: size)
        }
        return .busy
    }

    /// Why what an open file holds is not to be believed, or not to be overwritten.
    private static func distrust(_ file: Int32, _ status: inout stat) -> String? {
        if fstat(file, &status) != 0 { return systemMessage() }
        if status.st_mode & S_IFMT != S_IFREG { return "is no regular file" }
        if status.st_uid != geteuid() { return "is another user's" }
        if status.st_nlink > 1 { return "has other names too" }
        if status.st_size == 0 {
            // New, or nothing that could be wrong; some file systems know no modes.
            fchmod(file, 0o600)
        } else if status.st_mode & 0o022 != 0 {
            return "can be written by others"
        }
        return nil
    }
}

/// Whether an open file still has that name.
private func isFile(_ file: Int32, named path: String) -> Bool {
    var (open, named) = (stat(), stat())
    return fstat(file, &open) == 0 && lstat(path, &named) == 0
        && (open.st_dev, open.st_ino) == (named.st_dev, named.st_ino)
}
