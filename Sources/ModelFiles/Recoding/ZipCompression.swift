/// ZIP files with compressed entries, and the plain form in which these are stored.
///
/// Both have the same records, byte for byte, but for the fields that say how an entry is compressed, its compressed size, and
/// where records are: names, times, attributes, comments, extra fields and whatever lies between entries stay as they are.
enum ZipCompression {
    /// zlib's default, which Python's zipfile and most others use.
    static let level = 6

    /// The plain form of a ZIP that holds compressed entries and looks like a model; nil for all other files.
    ///
    /// - Throws: ``ModelFileError`` when an entry is damaged or says it is larger than deflate can make it.
    static func plainForm(of file: MappedFile) throws(ModelFileError) -> ModelFile.Source? {
        guard file.withAllBytes({ $0.starts(with: [0x50, 0x4b, 0x03, 0x04]) }) else { return nil }
        let directory = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try ZipDirectory(bytes, path: file.path)
        }
        let chosen = directory.entries.indices.filter {
            let entry = directory.entries[$0]
            // Encrypted entries are refused later, as they are. TorchScript's code nobody reads: it stays as PyTorch wrote it.
            return entry.method == 8 && entry.flags & 0x2001 == 0 && !entry.name.contains("/code/")
        }
        // Any document may be a ZIP: only what may hold tensors is worth the disk.
        guard !chosen.isEmpty, directory.entries.contains(where: { mayHoldTensors($0.name) }) else { return nil }
        let plain = try MappedFile.temporary(for: file) { (descriptor) throws(ModelFileError) in
            var output = OutputFile(descriptor, path: file.path)
            try ZipRewriter(file, directory).write(chosen, method: 0, to: &output) {
                (entry, content, output) throws(ModelFileError) in
                try inflate(entry, content, of: file, to: &output)
            }
        }
        return ModelFile.Source(
            name: fileName(file.path), file: plain, originalSize: file.size,
            recoding: .deflate(entries: chosen, level: level))
    }

    /// Compresses entries of a plain form.
    static func deflate(
        _ plain: MappedFile, entries: [Int], level: Int, to descriptor: Int32, path: String
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
        var output = OutputFile(descriptor, path: path)
        try ZipRewriter(plain, directory).write(entries, method: 8, to: &output) {
            (entry, content, output) throws(ModelFileError) in
            guard entry.method == 0, entry.size == content.count else {
                throw .malformed(
                    path: path, part: "ZIP entry \(quoted(entry.name))", expected: "\(entry.size) stored bytes",
                    found: "\(content.count) by method \(entry.method)")
            }
            try plain.withBytes(content) { (bytes) throws(ModelFileError) in
                try Deflate.compress(bytes, level: level) { (piece) throws(ModelFileError) in try output.append(piece) }
            }
            plain.release(content)
        }
    }

    private static func inflate(
        _ entry: ZipDirectory.Entry, _ content: Range<Int>, of file: MappedFile, to output: inout OutputFile
    ) throws(ModelFileError) {
        func damaged(_ expected: String, _ found: String) -> ModelFileError {
            .malformed(path: file.path, part: "ZIP entry \(quoted(entry.name))", expected: expected, found: found)
        }
        // Before anything is written: a bomb's size is no reason to fill the disk.
        guard entry.size / Deflate.maximumRatio <= content.count else {
            throw damaged(
                "at most \(Deflate.maximumRatio) bytes for each of its \(content.count) compressed bytes",
                "\(entry.size) bytes")
        }
        let result = try file.withBytes(content) { (bytes) throws(ModelFileError) in
            try Deflate.decompress(bytes, limit: entry.size) { (piece) throws(ModelFileError) in
                try output.append(piece)
            }
        }
        file.release(content)
        guard let result else { throw damaged("\(entry.size) bytes compressed by deflate", "other bytes") }
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
