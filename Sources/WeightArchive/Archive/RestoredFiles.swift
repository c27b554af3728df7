import Glibc

/// Files that are being restored, each opened only as it is written to: a model may have more of them than a process may
/// have open.
struct RestoredFiles: Sendable {
    /// Where a file is written, and how errors name it.
    typealias Path = (written: String, shown: String)
    /// Writes bytes at an offset of a file.
    typealias Write = (_ offset: Int, UnsafeRawBufferPointer) throws -> Void

    private let paths: [Path?]

    /// - Parameter paths: for each file where it is written; `nil` where its bytes are made, to be checked, but not kept.
    init(_ paths: [Path?]) { self.paths = paths }

    /// Makes a file of a size, all zeros.
    func create(_ index: Int, size: Int) throws {
        guard let path = paths[index] else { return }
        try open(path, O_CREAT | O_EXCL) { file, path in
            guard ftruncate(file, size) == 0 else {
                throw ArchiveError.cannotWrite(path: path, reason: systemMessage())
            }
        }
    }

    /// Opens a file that was made, for writing at any place.
    ///
    /// - Parameter body: receives what writes.
    func write<Result>(to index: Int, _ body: (@escaping Write) throws -> Result) throws -> Result {
        guard let path = paths[index] else { return try body { _, _ in } }
        return try open(path, 0) { file, path in
            try body { try writeFully(file, $1, at: $0, path: path) }
        }
    }

    /// Reads what was written to a file.
    func read(_ index: Int, at offset: Int, count: Int) throws -> [UInt8] {
        let (written, shown) = try path(index)
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
        let (written, shown) = try path(index)
        let old = Glibc.open(written, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard old >= 0 else { throw ArchiveError.cannotWrite(path: shown, reason: systemMessage()) }
        defer { close(old) }
        guard unlink(written) == 0 else { throw ArchiveError.cannotWrite(path: shown, reason: systemMessage()) }
        try open((written, shown), O_CREAT | O_EXCL) { new, path in try body(old, new, path) }
    }

    /// Waits until the disk has the files.
    func synchronize() throws(ArchiveError) {
        for case let (written, shown)? in paths {
            let file = Glibc.open(written, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard file >= 0 else { throw .cannotWrite(path: shown, reason: systemMessage()) }
            defer { close(file) }
            try WeightArchive.synchronize(file, path: shown)
        }
    }

    /// Removes the files that were made.
    func remove() {
        for case let path? in paths { unlink(path.written) }
    }

    private func path(_ index: Int) throws(ArchiveError) -> Path {
        guard let path = paths[index] else { throw .io(path: "file \(index)", reason: "is not kept") }
        return path
    }

    private func open<Result>(
        _ path: Path, _ flags: Int32, _ body: (Int32, String) throws -> Result
    ) throws -> Result {
        let (written, shown) = path
        let file = Glibc.open(written, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0o666)
        guard file >= 0 else { throw ArchiveError.cannotWrite(path: shown, reason: systemMessage()) }
        defer { close(file) }
        return try body(file, shown)
    }
}
