/// ZIP files with compressed entries, and the plain form in which these are stored.
///
/// Both have the same records, byte for byte, but for the fields that say how an entry is compressed, its compressed size, and
/// where records are: names, times, attributes, comments, extra fields and whatever lies between entries stay as they are.
enum ZipCompression {
    /// zlib's default, which Python's zipfile and most others use.
    static let level = 6
    private static let stored: UInt16 = 0
    static let deflated: UInt16 = 8
    private static let bzip2: UInt16 = 12
    private static let lzma: UInt16 = 14
    private static let names = [deflated: "deflate", bzip2: "bzip2", lzma: "LZMA"]

    /// The plain form of a ZIP that holds compressed entries and looks like a model; nil for all other files.
    ///
    /// - Throws: ``ModelFileError`` when an entry is damaged, or says it is larger than its method can make it or the disk can hold.
    static func plainForm(of file: MappedFile) throws(ModelFileError) -> ModelFile.Source? {
        guard file.withAllBytes({ $0.starts(with: [0x50, 0x4b, 0x03, 0x04]) }) else { return nil }
        let directory = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try ZipDirectory(bytes, path: file.path)
        }
        let chosen = directory.entries.indices.filter {
            let entry = directory.entries[$0]
            // Encrypted entries are refused later, as they are. TorchScript's code nobody reads: it stays as PyTorch wrote it.
            return isRead(entry) && entry.flags & 0x2001 == 0 && !entry.name.contains("/code/")
        }
        // Any document may be a ZIP: only what may hold tensors is worth the disk.
        guard !chosen.isEmpty, directory.entries.contains(where: { mayHoldTensors($0.name) }) else { return nil }
        let plain = try MappedFile.temporary(for: file) { (descriptor) throws(ModelFileError) in
            var output = OutputFile(descriptor, path: file.path)
            let methods = Dictionary(uniqueKeysWithValues: chosen.map { ($0, stored) })
            try ZipRewriter(file, directory).write(methods, to: &output) {
                (entry, content, output) throws(ModelFileError) in
                try decompress(entry, content, of: file, to: &output)
            }
        }
        let methods = chosen.map { directory.entries[$0].method }
        return ModelFile.Source(
            name: fileName(file.path), file: plain, originalSize: file.size,
            recoding: .deflate(
                entries: chosen, level: level, methods: methods.allSatisfy { $0 == deflated } ? nil : methods))
    }

    /// Whether an entry is compressed by a method that can be undone and done again.
    private static func isRead(_ entry: ZipDirectory.Entry) -> Bool {
        entry.method == deflated || entry.method == bzip2
            || entry.method == lzma && entry.flags & LZMA.endMarkFlag != 0
    }

    /// Compresses entries of a plain form.
    ///
    /// - Parameters:
    ///   - plain: the plain form.
    ///   - entries: their places in its directory.
    ///   - level: zlib's, for those that are deflated.
    ///   - methods: the method of each; nil where all are deflated.
    ///   - descriptor: a file opened for writing, empty.
    ///   - path: the name of that file, for errors.
    static func compress(
        _ plain: MappedFile, entries: [Int], level: Int, methods: [UInt16]?, to descriptor: Int32, path: String
    ) throws(ModelFileError) {
        guard (0...9).contains(level) else {
            throw .malformed(path: path, part: "recoding", expected: "a level of 0 to 9", found: "\(level)")
        }
        let directory = try plain.withAllBytes { (bytes) throws(ModelFileError) in
            try ZipDirectory(bytes, path: path)
        }
        guard Set(entries).count == entries.count, entries.allSatisfy(directory.entries.indices.contains) else {
            throw .malformed(
                path: path, part: "recoding", expected: "distinct entries of \(directory.entries.count)",
                found: "\(entries)")
        }
        let methods = methods ?? entries.map { _ in deflated }
        guard methods.count == entries.count, methods.allSatisfy([deflated, bzip2, lzma].contains) else {
            throw .malformed(
                path: path, part: "recoding", expected: "method 8, 12 or 14 for each of \(entries.count) entries",
                found: "\(methods)")
        }
        let methodOfHeader = Dictionary(
            zip(entries.map { directory.entries[$0].header }, methods), uniquingKeysWith: { first, _ in first })
        var output = OutputFile(descriptor, path: path)
        try ZipRewriter(plain, directory).write(Dictionary(uniqueKeysWithValues: zip(entries, methods)), to: &output) {
            (entry, content, output) throws(ModelFileError) in
            guard entry.method == stored, entry.size == content.count else {
                throw .malformed(
                    path: path, part: "ZIP entry \(quoted(entry.name))", expected: "\(entry.size) stored bytes",
                    found: "\(content.count) by method \(entry.method)")
            }
            try plain.withBytes(content) { (bytes) throws(ModelFileError) in
                func take(_ piece: UnsafeRawBufferPointer) throws(ModelFileError) { try output.append(piece) }
                switch methodOfHeader[entry.header] {
                case bzip2: try Bzip2.compress(bytes, take)
                case lzma: try LZMA.compress(bytes, take)
                default: try Deflate.compress(bytes, level: level, take)
                }
            }
            plain.release(content)
        }
    }

    private static func decompress(
        _ entry: ZipDirectory.Entry, _ content: Range<Int>, of file: MappedFile, to output: inout OutputFile
    ) throws(ModelFileError) {
        func damaged(_ expected: String, _ found: String) -> ModelFileError {
            .malformed(path: file.path, part: "ZIP entry \(quoted(entry.name))", expected: expected, found: found)
        }
        // Before anything is written: a bomb's size is no reason to fill the disk.
        guard entry.method != deflated || entry.size / Deflate.maximumRatio <= content.count else {
            throw damaged(
                "at most \(Deflate.maximumRatio) bytes for each of its \(content.count) compressed bytes",
                "\(entry.size) bytes")
        }
        try output.requireRoom(entry.size)
        let result = try file.withBytes(content) { (bytes) throws(ModelFileError) in
            func take(_ piece: UnsafeRawBufferPointer) throws(ModelFileError) { try output.append(piece) }
            return switch entry.method {
            case bzip2: try Bzip2.decompress(bytes, limit: entry.size, take)
            case lzma: try LZMA.decompress(bytes, limit: entry.size, take)
            default: try Deflate.decompress(bytes, limit: entry.size, take)
            }
        }
        file.release(content)
        guard let result else {
            throw damaged(
                "\(entry.size) bytes compressed by \(names[entry.method] ?? "method \(entry.method)")", "other bytes")
        }
        guard result.size == entry.size, result.consumed == content.count else {
            throw damaged(
                "\(entry.size) bytes out of \(content.count)", "\(result.size) bytes out of \(result.consumed)")
        }
        guard result.crc == UInt(entry.crc) else {
            throw damaged("bytes with its CRC-32 \(hexadecimal(UInt(entry.crc)))", hexadecimal(result.crc))
        }
    }

    private static func mayHoldTensors(_ name: String) -> Bool {
        name.hasSuffix(".npy") || name.hasSuffix("/data.pkl") || name.hasSuffix(".h5")
    }

    private static func hexadecimal(_ value: UInt) -> String { "0x" + String(value, radix: 16) }
}
