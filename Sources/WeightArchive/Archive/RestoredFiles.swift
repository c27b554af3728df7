import Glibc

/// Files that are being restored, each opened only as it is written to: a model may have more of them than a process may
/// have open.
struct RestoredFiles: Sendable {
    private let paths: [(written: String, shown: String)]

    /// - Parameter paths: for each file where it is written, and how errors name it.
    init(_ paths: [(written: String, shown: String)]) { self.paths = paths }

    /// Makes a file of a size, all zeros.
    func create(_ index: Int, size: Int) throws {
        try open(index, O_CREAT | O_EXCL) { file, path in
            guard ftruncate(file, size) == 0 else {
                throw ArchiveError.cannotWrite(path: path, reason: systemMessage())
            }
        }
    }

    /// Opens a file that was made, for writing at any place.
    ///
    /// - Parameter body: receives the descriptor, and the path that errors name.
    func write<Result>(to index: Int, _ body: (Int32, String) throws -> Result) throws -> Result {
        try open(index, 0, body)
    }

    /// Reads what was written to a file.
    func read(_ index: Int, at offset: Int, count: Int) throws -> [UInt8] {
        let (written, shown) = paths[index]
        let file = Glibc.open(written, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw ArchiveError.io(path: shown, reason: systemMessage()) }
        defer { close(file) }
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let length = pread(file, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset + done))
                guard length > 0 else { throw ArchiveError.io(path: shown, reason: systemMessage()) }
                done += length
            }
        }
    }

    /// Makes a file anew out of what was written to it, which has no name any more then.
    ///
    /// - Parameter body: receives descriptors of what was written and of the new, empty file, and the path that errors name.
    func remake(_ index: Int, _ body: (_ old: Int32, _ new: Int32, String) throws -> Void) throws {
        let (written, shown) = paths[index]
        let old = Glibc.open(written, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard old >= 0 else { throw ArchiveError.cannotWrite(path: shown, reason: systemMessage()) }
        defer { close(old) }
        guard unlink(written) == 0 else { throw ArchiveError.cannotWrite(path: shown, reason: systemMessage()) }
        try open(index, O_CREAT | O_EXCL) { new, path in try body(old, new, path) }
    }

    /// Waits until the disk has the files.
    func synchronize() throws(ArchiveError) {
        for (written, shown) in paths {
            let file = Glibc.open(written, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard file >= 0 else { throw .cannotWrite(path: shown, reason: systemMessage()) }
            defer { close(file) }
            try WeightArchive.synchronize(file, path: shown)
        }
    }

    /// Removes the files that were made.
    func remove() {
        for path in paths { unlink(path.written) }
    }

    private func open<Result>(
        _ index: Int, _ flags: Int32, _ body: (Int32, String) throws -> Result
    ) throws -> Result {
        let (written, shown) = paths[index]
        let file = Glibc.open(written, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0o666)
        guard file >= 0 else { throw ArchiveError.cannotWrite(path: shown, reason: systemMessage()) }
        defer { close(file) }
        return try body(file, shown)
    }
}
