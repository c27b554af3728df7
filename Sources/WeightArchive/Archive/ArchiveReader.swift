import CDeflate
import CZip
import Glibc
import ModelFiles
import Synchronization

/// A packed file that was opened and found whole.
final class ArchiveReader: Sendable {
    let path: String
    /// Size of the file in bytes.
    let size: Int
    // libzip's archives are not to be used from two threads at once.
    private let archive: Mutex<ZipArchive>
    /// The file in memory, and where in it entries lie: large streams need not be copied.
    let file: MappedFile
    private let places: [[UInt8]: Range<Int>]

    /// Opens a packed file and checks the hash over all of it.
    ///
    /// - Parameters:
    ///   - path: how errors call it.
    ///   - place: where it is, when that is elsewhere.
    /// - Throws: `ArchiveError.io`, `.notAnArchive`, `.damaged`, also where ZIP readers would not agree on what is inside.
    init(_ path: String, at place: String? = nil) throws(ArchiveError) {
        self.path = path
        let place = place ?? path
        let file = open(place, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .io(path: path, reason: systemMessage()) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .io(path: path, reason: systemMessage()) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .io(path: path, reason: "expected a file, found a directory or device")
        }
        size = Int(status.st_size)
        guard try Self.recognizes(place) else {
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
        guard let handle = zip_open(place, ZIP_RDONLY, &code) else {
            throw .damaged(path: path, part: "ZIP directory", expected: "one", found: zipMessage(code))
        }
        let archive = ZipArchive(handle)
        do throws(ModelFileError) {
            self.file = try MappedFile(file, path: place)
            let entries = try self.file.zipEntries()
            guard endsInTrailer(self.file), archive.lists(entries) else {
                throw .malformed(
                    path: path, part: "ZIP directory", expected: "one, which ends with the file's trailer",
                    found: "others")
            }
            places = Dictionary(entries.compactMap { entry in entry.place.map { (Array(entry.name.utf8), $0) } }) {
                first, _ in
                first
            }
        } catch {
            switch error {
            case .malformed(_, let part, let expected, let found):
                throw .damaged(path: path, part: part, expected: expected, found: found)
            default: throw .io(path: path, reason: error.description)
            }
        }
        self.archive = Mutex(archive)
    }

    /// Whether a file begins as a packed one does: with a local header of 30 bytes and the manifest's name.
    static func recognizes(_ path: String) throws(ArchiveError) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .io(path: path, reason: systemMessage()) }
        defer { close(file) }
        let start = [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            count = max(pread(file, buffer.baseAddress, buffer.count, 0), 0)
        }
        return start.starts(with: Array("PK\u{3}\u{4}".utf8))
            && start.dropFirst(30).starts(with: EntryName.manifest.utf8)
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
    ///
    /// - Parameter most: bytes that it may have, which it must not be inflated to see.
    func read(_ name: String, atMost most: Int = .max) throws(ArchiveError) -> [UInt8] {
        let path = path
        let result: Result<[UInt8], ArchiveError> = archive.withLock { archive in
            Result { () throws(ArchiveError) in try archive.read(name, path, most) }
        }
        return try result.get()
    }

    /// Calls `body` with the bytes of a stored entry, which are valid during the call.
    func withBytes(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let place = places[Array(name.utf8)], try size(of: name) == place.count else {
            return try read(name).withUnsafeBytes(body)
        }
        try file.withBytes(place, body)
        // Pages that were read count as the process's memory until they are given back.
        if place.count > 1 << 20 { file.release(place) }
    }

    /// Calls `body` with the bytes of an entry, piece by piece.
    func forEachPiece(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let path = path
        try archive.withLock { archive in try archive.forEachPiece(of: name, path, body) }
    }
}

/// Whether the end record of a ZIP stands just before the trailer, which is its comment and all of it.
///
/// A longer comment could hold an end record of its own, and another directory for some readers.
private func endsInTrailer(_ file: MappedFile) -> Bool {
    let record = file.size - Trailer.length - 22
    guard record >= 0 else { return false }
    return file.withBytes(record..<file.size) {
        $0.starts(with: "PK\u{5}\u{6}".utf8) && Int($0[20]) | Int($0[21]) << 8 == Trailer.length
    }
}

/// libzip's handle; freed once.
private struct ZipArchive: ~Copyable, @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { zip_discard(handle) }

    /// Whether libzip found these entries, and no others.
    func lists(_ entries: [ZipListing]) -> Bool {
        guard zip_get_num_entries(handle, 0) == entries.count else { return false }
        var status = zip_stat_t()
        return entries.enumerated().allSatisfy { index, entry in
            zip_stat_index(handle, UInt64(index), 0, &status) == 0 && String(cString: status.name) == entry.name
                && (Int(exactly: status.size), Int(exactly: status.comp_size), status.crc)
                    == (entry.size, entry.compressedSize, entry.crc)
        }
    }

    func find(
        _ name: String, _ path: String
    ) throws(ArchiveError) -> (index: UInt64, size: Int, compressedSize: Int, isDeflated: Bool)? {
        var status = zip_stat_t()
        let index = zip_name_locate(handle, name, 0)
        guard index >= 0 else { return nil }
        guard zip_stat_index(handle, UInt64(index), 0, &status) == 0 else { throw unreadable(name, path) }
        let isDeflated = status.comp_method == ZIP_CM_DEFLATE && EntryName.mayBeDeflated(name)
        // libzip has checked that the entry's bytes lie within the file, which bounds what a reader allocates: deflate codes at
        // most 1032 bytes in one.
        guard isDeflated ? status.size / 1032 <= status.comp_size : status.comp_method == ZIP_CM_STORE,
            isDeflated || status.size == status.comp_size, status.size <= Int.max >> 8
        else {
            throw .damaged(path: path, part: "entry \(name)", expected: "a stored entry", found: "a compressed one")
        }
        return (UInt64(index), Int(status.size), Int(status.comp_size), isDeflated)
    }

    func read(_ name: String, _ path: String, _ most: Int) throws(ArchiveError) -> [UInt8] {
        guard let (index, size, compressedSize, isDeflated) = try find(name, path) else { throw missing(name, path) }
        guard size <= most else {
            throw .damaged(path: path, part: "entry \(name)", expected: "at most \(most) bytes", found: "\(size)")
        }
        guard isDeflated else { return try readCompressed(index, size, name, path) }
        let compressed = try readCompressed(index, compressedSize, name, path)
        // What the entry claims is no more than its bytes can hold, which `find` has checked.
        guard let decompressor = libdeflate_alloc_decompressor() else { throw unreadable(name, path) }
        defer { libdeflate_free_decompressor(decompressor) }
        var result = LIBDEFLATE_BAD_DATA
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, done in
            result = libdeflate_deflate_decompress(
                decompressor, compressed, compressed.count, buffer.baseAddress, size, nil)
            done = result == LIBDEFLATE_SUCCESS ? size : 0
        }
        guard result == LIBDEFLATE_SUCCESS else {
            throw .damaged(path: path, part: "entry \(name)", expected: "\(size) deflated bytes", found: "others")
        }
        return bytes
    }

    /// The bytes of an entry as they lie in the file, read straight to their place.
    private func readCompressed(
        _ index: UInt64, _ size: Int, _ name: String, _ path: String
    ) throws(ArchiveError) -> [UInt8] {
        // As they stand: the file's hash and the stream's own guard them, and libzip need not sum them up.
        guard let file = zip_fopen_index(handle, index, UInt32(ZIP_FL_COMPRESSED)) else {
            throw unreadable(name, path)
        }
        defer { zip_fclose(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, done in
            while done < size {
                let got = zip_fread(file, buffer.baseAddress.map { $0 + done }, UInt64(size - done))
                guard got > 0 else { break }
                done += Int(got)
            }
        }
        guard bytes.count == size else { throw unreadable(name, path) }
        return bytes
    }

    func forEachPiece(of name: String, _ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        guard let (index, size, _, _) = try find(name, path) else { throw missing(name, path) }
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
