import CZip
import Glibc
import Synchronization

/// The last bytes of a packed file: its ZIP comment, a hash of every byte before the hash itself.
enum Trailer {
    /// What the comment begins with.
    static let prefix = "wcodec 1 xxh3-128 "
    /// Bytes of the hash, as hexadecimal digits.
    static let digits = 32
    static var length: Int { prefix.utf8.count + digits }
}

/// Collects the entries of a packed file and writes it whole or not at all.
///
/// Streams wait in an unnamed temporary file, so that neither memory nor, when the program is killed, the disk keeps them.
final class ArchiveWriter {
    private let output: AtomicFile
    private let spool: Int32
    private var spoolSize = 0
    /// Names with the place of their bytes in the spool, in the order of the archive.
    private var entries: [(name: String, offset: Int, length: Int)] = []

    /// - Parameters:
    ///   - path: the packed file's name.
    ///   - force: whether a file of that name is replaced.
    ///   - inputs: files that are packed, which it must not replace.
    /// - Throws: `ArchiveError.exists` or `.cannotWrite`.
    init(_ path: String, force: Bool, inputs: [String]) throws(ArchiveError) {
        output = try AtomicFile(path, force: force, inputs: inputs)
        let name = output.temporary + ".spool"
        spool = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard spool >= 0 else { throw .cannotWrite(path: output.folder, reason: systemMessage()) }
        unlink(name)
    }

    deinit { close(spool) }

    /// Bytes that were written to the spool, to be named an entry later.
    struct Spooled: Sendable {
        fileprivate let offset: Int
        let length: Int
    }

    /// Keeps bytes for an entry.
    func spool(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) -> Spooled {
        let place = Spooled(offset: spoolSize, length: bytes.count)
        try writeFully(spool, bytes, at: spoolSize, path: output.path)
        spoolSize += bytes.count
        return place
    }

    /// Keeps bytes for an entry.
    func spool(_ bytes: [UInt8]) throws(ArchiveError) -> Spooled {
        try withBytes(of: bytes) { bytes throws(ArchiveError) in try spool(bytes) }
    }

    /// Makes an entry of kept bytes that follow each other.
    func add(_ name: String, _ bytes: Spooled) { entries.append((name, bytes.offset, bytes.length)) }

    /// Keeps bytes for one entry piece by piece, and hashes them.
    struct Builder: ~Copyable {
        fileprivate let writer: ArchiveWriter
        fileprivate let start: Int
        private let hasher = Hasher128()

        fileprivate init(_ writer: ArchiveWriter) {
            self.writer = writer
            start = writer.spoolSize
        }

        func append(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
            hasher.update(bytes)
            _ = try writer.spool(bytes)
        }

        /// The entry's bytes and their hash.
        var result: (place: Spooled, hash: String) {
            (Spooled(offset: start, length: writer.spoolSize - start), hasher.digest)
        }
    }

    /// Begins an entry; nothing else may be kept until it is complete.
    func build() -> Builder { Builder(self) }

    /// Writes the archive with its trailer, under its name.
    ///
    /// - Returns: the size in bytes.
    func finish() throws(ArchiveError) -> Int {
        var code: Int32 = 0
        guard let archive = zip_open(output.temporary, ZIP_CREATE | ZIP_EXCL, &code) else {
            throw .cannotWrite(path: output.path, reason: zipMessage(code))
        }
        do throws(ArchiveError) {
            for entry in entries { try add(entry, to: archive) }
            let comment = Trailer.prefix + String(repeating: "0", count: Trailer.digits)
            guard zip_set_archive_comment(archive, comment, UInt16(Trailer.length)) == 0 else { throw failure(archive) }
            guard zip_close(archive) == 0 else { throw failure(archive) }
        } catch {
            zip_discard(archive)
            throw error
        }
        return try output.commit { (file, size) throws(ArchiveError) in
            let digest = try hash(file, size - Trailer.digits, path: output.path)
            try withBytes(of: Array(digest.utf8)) { bytes throws(ArchiveError) in
                try writeFully(file, bytes, at: size - Trailer.digits, path: output.path)
            }
        }
    }

    private func add(_ entry: (name: String, offset: Int, length: Int), to archive: OpaquePointer) throws(ArchiveError) {
        // Through the descriptor: the spool has no name.
        let path = "/proc/self/fd/\(spool)"
        // A length of 0 would mean "to the end".
        let source =
            entry.length > 0
            ? zip_source_file(archive, path, UInt64(entry.offset), Int64(entry.length))
            : zip_source_buffer(archive, nil, 0, 0)
        guard let source else { throw failure(archive) }
        let index = zip_file_add(archive, entry.name, source, ZIP_FL_ENC_UTF_8)
        guard index >= 0 else {
            zip_source_free(source)
            throw failure(archive)
        }
        // 1980-01-01, the earliest date that ZIP knows: the bytes must not depend on when they were made.
        guard zip_set_file_compression(archive, UInt64(index), ZIP_CM_STORE, 0) == 0,
            zip_file_set_dostime(archive, UInt64(index), 0, 0x21, 0) == 0
        else { throw failure(archive) }
    }

    private func failure(_ archive: OpaquePointer) -> ArchiveError {
        .cannotWrite(path: output.path, reason: String(cString: zip_strerror(archive)))
    }
}

/// A packed file that was opened and found whole.
final class ArchiveReader: Sendable {
    let path: String
    /// Size of the file in bytes.
    let size: Int
    // libzip's archives are not to be used from two threads at once.
    private let archive: Mutex<ZipArchive>

    /// Opens a packed file and checks the hash over all of it.
    ///
    /// - Throws: `ArchiveError.io`, `.notAnArchive`, `.damaged`.
    init(_ path: String) throws(ArchiveError) {
        self.path = path
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .io(path: path, reason: systemMessage()) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .io(path: path, reason: systemMessage()) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .io(path: path, reason: "expected a file, found a directory or device")
        }
        size = Int(status.st_size)
        guard try Self.recognizes(path) else {
            throw .notAnArchive(path: path, found: size == 0 ? "an empty file" : "another kind of file")
        }
        var trailer = [UInt8](repeating: 0, count: min(Trailer.length, size))
        try readFully(file, &trailer, at: size - trailer.count, path: path)
        guard trailer.starts(with: Trailer.prefix.utf8) else {
            throw .damaged(
                path: path, part: "end of file", expected: "the trailer of a packed file",
                found: "none (the file is truncated)")
        }
        let expected = String(decoding: trailer.suffix(Trailer.digits), as: UTF8.self)
        let found = try hash(file, size - Trailer.digits, path: path)
        guard found == expected else {
            throw .damaged(path: path, part: "hash of the file", expected: expected, found: found)
        }
        var code: Int32 = 0
        guard let handle = zip_open(path, ZIP_RDONLY, &code) else {
            throw .damaged(path: path, part: "ZIP directory", expected: "one", found: zipMessage(code))
        }
        archive = Mutex(ZipArchive(handle))
    }

    /// Whether a file begins as a packed one does: with a local header of 30 bytes and the manifest's name.
    static func recognizes(_ path: String) throws(ArchiveError) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .io(path: path, reason: systemMessage()) }
        defer { close(file) }
        let start = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            count = max(pread(file, buffer.baseAddress, buffer.count, 0), 0)
        }
        return start.starts(with: Array("PK\u{3}\u{4}".utf8)) && start.dropFirst(30).starts(with: EntryName.manifest.utf8)
    }

    /// Size of an entry in bytes; `nil` when there is none of that name.
    func size(of name: String) throws(ArchiveError) -> Int? {
        let path = path
        let result: Result<Int?, ArchiveError> = archive.withLock { archive in
            Result { () throws(ArchiveError) in try archive.find(name, path)?.size }
        }
        return try result.get()
    }

    /// The bytes of an entry.
    func read(_ name: String) throws(ArchiveError) -> [UInt8] {
        let path = path
        let result: Result<[UInt8], ArchiveError> = archive.withLock { archive in
            Result { () throws(ArchiveError) in try archive.read(name, path) }
        }
        return try result.get()
    }

    /// Calls `body` with the bytes of an entry, piece by piece.
    func forEachPiece(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let path = path
        try archive.withLock { archive in try archive.forEachPiece(of: name, path, body) }
    }

    /// Names of all entries, in order.
    var names: [String] { archive.withLock { $0.names } }
}

/// libzip's handle; freed once.
private struct ZipArchive: ~Copyable, @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { zip_discard(handle) }

    var names: [String] {
        (0..<max(zip_get_num_entries(handle, 0), 0)).compactMap { index in
            zip_get_name(handle, UInt64(index), 0).map { String(cString: $0) }
        }
    }

    func find(_ name: String, _ path: String) throws(ArchiveError) -> (index: UInt64, size: Int)? {
        var status = zip_stat_t()
        let index = zip_name_locate(handle, name, 0)
        guard index >= 0 else { return nil }
        guard zip_stat_index(handle, UInt64(index), 0, &status) == 0, status.comp_method == ZIP_CM_STORE,
            status.size == status.comp_size
        else {
            throw .damaged(path: path, part: "entry \(name)", expected: "a stored entry", found: "a compressed one")
        }
        // libzip has checked that stored bytes lie within the file, which bounds what a reader allocates.
        return (UInt64(index), Int(status.size))
    }

    func read(_ name: String, _ path: String) throws(ArchiveError) -> [UInt8] {
        guard let size = try find(name, path)?.size else { throw missing(name, path) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        do {
            try forEachPiece(of: name, path) { bytes.append(contentsOf: $0) }
        } catch let error as ArchiveError {
            throw error
        } catch {
            throw .io(path: path, reason: "\(error)")
        }
        return bytes
    }

    func forEachPiece(of name: String, _ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let (index, size) = try find(name, path) else { throw missing(name, path) }
        guard let file = zip_fopen_index(handle, index, 0) else { throw unreadable(name, path) }
        defer { zip_fclose(file) }
        try withUnsafeTemporaryAllocation(byteCount: 1 << 18, alignment: 16) { buffer in
            var left = size
            while true {
                let got = zip_fread(file, buffer.baseAddress, UInt64(buffer.count))
                guard got >= 0, got <= left else { throw unreadable(name, path) }
                if got == 0 { break }
                left -= Int(got)
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<Int(got)]))
            }
            guard left == 0 else { throw unreadable(name, path) }
        }
    }

    private func missing(_ name: String, _ path: String) -> ArchiveError {
        .damaged(path: path, part: "entry \(name)", expected: "one", found: "none")
    }

    private func unreadable(_ name: String, _ path: String) -> ArchiveError {
        .damaged(
            path: path, part: "entry \(name)", expected: "readable bytes", found: String(cString: zip_strerror(handle)))
    }
}

private func zipMessage(_ code: Int32) -> String {
    var error = zip_error_t()
    zip_error_init_with_code(&error, code)
    defer { zip_error_fini(&error) }
    return String(cString: zip_error_strerror(&error)).lowercased()
}

/// The hash of the first `count` bytes of a file.
private func hash(_ file: Int32, _ count: Int, path: String) throws(ArchiveError) -> String {
    let hasher = Hasher128()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var done = 0
    while done < count {
        let length = min(buffer.count, count - done)
        let got = buffer.withUnsafeMutableBytes { pread(file, $0.baseAddress, length, done) }
        guard got > 0 else { throw .io(path: path, reason: got < 0 ? systemMessage() : "became shorter while it was read") }
        buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
        done += got
    }
    return hasher.digest
}
