import Glibc
import Synchronization

/// A folder that appears with all its files or not at all; in one that exists already files appear one after the other.
final class AtomicFolder: Sendable {
    /// The name it will have.
    let path: String
    private let temporary: String
    private let exists: Bool
    private let names: Mutex<Set<String>> = Mutex([])

    /// - Parameters:
    ///   - path: the name it will have.
    ///   - force: whether files go to a folder of that name, where they replace others of theirs.
    /// - Throws: `ArchiveError.exists`, `.cannotWrite`.
    init(_ path: String, force: Bool) throws(ArchiveError) {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        self.path = trimmed
        var status = stat()
        exists = lstat(trimmed, &status) == 0
        if exists {
            guard force else { throw .exists(path: trimmed) }
            guard stat(trimmed, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw .cannotWrite(path: trimmed, reason: "expected a folder, found a file")
            }
            // Inside of it, or renaming might cross file systems.
            temporary = try AtomicFile("\(trimmed)/-", force: true).temporary
        } else {
            temporary = try AtomicFile(trimmed, force: false).temporary
        }
        guard mkdir(temporary, 0o777) == 0 else { throw .cannotWrite(path: trimmed, reason: systemMessage()) }
    }

    deinit {
        // Nothing is left in it after `commit`, which then is the folder itself or empty.
        for name in names.withLock({ $0 }) { unlink("\(temporary)/\(name)") }
        rmdir(temporary)
    }

    /// Writes a file of the folder; several threads may.
    ///
    /// - Parameter name: a plain name, not used before.
    func write(_ bytes: [UInt8], as name: String) throws(ArchiveError) {
        names.withLock { names in _ = names.insert(name) }
        try writeAtomically(bytes, to: "\(temporary)/\(name)", force: false)
    }

    /// Gives the folder its name, or its files to the folder that exists.
    func commit() throws(ArchiveError) {
        guard exists else {
            guard rename(temporary, path) == 0 else { throw .cannotWrite(path: path, reason: systemMessage()) }
            return
        }
        for name in names.withLock({ $0.sorted() }) {
            guard rename("\(temporary)/\(name)", "\(path)/\(name)") == 0 else {
                throw .cannotWrite(path: "\(path)/\(name)", reason: systemMessage())
            }
        }
    }
}
