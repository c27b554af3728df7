import CZip
import ModelFiles

/// Collects the entries of a packed file and writes it whole or not at all.
///
/// Entries wait on the disk, so that memory does not keep them: while it is written, an archive takes twice its size.
final class ArchiveWriter {
    let output: AtomicFile
    /// Where entries wait.
    let spool: Spool
    /// Names with the place of their bytes in the spool, in the order of the archive.
    private var entries: [(name: String, offset: Int, length: Int)] = []

    /// - Parameters:
    ///   - path: the packed file's name.
    ///   - force: whether a file of that name is replaced.
    ///   - inputs: files that are packed, which it must not replace.
    /// - Throws: `ArchiveError.exists`, `.busy` or `.cannotWrite`.
    init(_ path: String, force: Bool, inputs: [String]) throws(ArchiveError) {
        output = try AtomicFile(path, force: force, inputs: inputs)
        TemporaryName.removeLeftovers(in: output.folder)
        spool = try Spool(beside: output)
    }

    /// Bytes that were written to the spool, to be named an entry later.
    typealias Spooled = Spool.Place

    /// Keeps bytes for an entry.
    func spool(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) -> Spooled { try spool.append(bytes) }

    /// Keeps bytes for an entry.
    func spool(_ bytes: [UInt8]) throws(ArchiveError) -> Spooled { try spool.append(bytes) }

    /// Makes an entry of kept bytes that follow each other.
    func add(_ name: String, _ bytes: Spooled) { entries.append((name, bytes.offset, bytes.length)) }

    /// Keeps bytes for one entry piece by piece, and hashes them.
    struct Builder: ~Copyable {
        fileprivate let writer: ArchiveWriter
        fileprivate let start: Int
        private let hasher = Hasher128()

        fileprivate init(_ writer: ArchiveWriter) {
            self.writer = writer
            start = writer.spool.size
        }

        func append(_ bytes: UnsafeRawBufferPointer) throws(ArchiveError) {
            hasher.update(bytes)
            _ = try writer.spool(bytes)
        }

        /// The entry's bytes and their hash.
        var result: (place: Spooled, hash: String) {
            (Spooled(offset: start, length: writer.spool.size - start), hasher.digest)
        }
    }

    /// Begins an entry; nothing else may be kept until it is complete.
    func build() -> Builder { Builder(self) }

    /// Writes the archive under its temporary name, but for its trailer.
    ///
    /// - Returns: the size in bytes.
    func zip() throws(ArchiveError) -> Int {
        let zip = try ZipOutput(output)
        for entry in entries { try add(entry, to: zip) }
        try zip.close(comment: Trailer.prefix + String(repeating: "0", count: Trailer.digits))
        return try output.temporarySize()
    }

    /// Completes the archive by its trailer, and opens it as a reader will, still under its temporary name.
    ///
    /// - Parameter base: the model that it was packed against.
    /// - Throws: `ArchiveError` when it is not as it should be.
    func complete(base: ModelFile?) throws -> PackedModel {
        try output.reopen { (file, size) throws(ArchiveError) in
            let digest = try hash(file, size - Trailer.digits, path: output.path)
            try withBytes(of: Array(digest.utf8)) { bytes throws(ArchiveError) in
                try writeFully(file, bytes, at: size - Trailer.digits, path: output.path)
            }
        }
        return try PackedModel(output.path, at: output.temporary, base: base)
    }

    /// Gives the archive its name.
    func commit() throws(ArchiveError) { try output.commit() }

    /// Forgets all entries, their bytes and an archive that was written, to begin anew.
    func restart() throws(ArchiveError) {
        entries = []
        output.removeTemporary()
        try spool.clear()
    }

    private func add(_ entry: (name: String, offset: Int, length: Int), to zip: ZipOutput) throws(ArchiveError) {
        // Through the descriptor: the spool may have no name.
        let path = "/proc/self/fd/\(spool.descriptor)"
        var isDeflated = false
        if EntryName.mayBeDeflated(entry.name) {
            if entry.length <= DeflatedSource.most {
                var bytes = [UInt8](repeating: 0, count: entry.length)
                try readFully(spool.descriptor, &bytes, at: entry.offset, path: output.path)
                if let deflated = DeflatedSource(bytes) {
                    return try zip.add(entry.name, of: deflated, isDeflated: true, deflated.source)
                }
            } else {
                isDeflated = try deflates(entry)
            }
        }
        try zip.add(entry.name, of: spool, isDeflated: isDeflated) { archive in
            // A length of 0 would mean "to the end".
            entry.length > 0
                ? zip_source_file(archive, path, UInt64(entry.offset), Int64(entry.length))
                : zip_source_buffer(archive, nil, 0, 0)
        }
    }

    /// Whether deflate makes an entry smaller, by its fastest level: what that leaves as it is, no level shortens much.
    private func deflates(_ entry: (name: String, offset: Int, length: Int)) throws(ArchiveError) -> Bool {
        let meter = DeflateMeter()
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        for start in stride(from: 0, to: entry.length, by: buffer.count) {
            let count = min(buffer.count, entry.length - start)
            if count < buffer.count { buffer.removeLast(buffer.count - count) }
            try readFully(spool.descriptor, &buffer, at: entry.offset + start, path: output.path)
            meter.add(&buffer, isLast: start + count == entry.length)
        }
        return meter.size < entry.length
    }
}
