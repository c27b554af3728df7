import FoundationEssentials
import ModelFiles

/// The manifest as it lies in a packed file, which may be made to fill the memory of whoever reads it.
enum ManifestText {
    /// Bytes that a manifest may have, which grow with the file: what it names is in there too.
    ///
    /// A hundred thousand tensors of one zero each, the names of which deflate best, need 4.4 for each byte of the file.
    static func mostBytes(in fileSize: Int) -> Int { 1 << 20 + 16 * min(fileSize, 1 << 40) }

    /// Keys and values that a manifest may have, of which JSONDecoder keeps some hundred bytes each.
    ///
    /// Such tensors need 0.7 for each byte.
    static func mostItems(in fileSize: Int) -> Int { 1 << 17 + 2 * min(fileSize, 1 << 40) }

    /// Reads a manifest of a version that is known.
    ///
    /// - Throws: `ArchiveError.damaged`, or `.notAnArchive` for another version.
    static func decode(_ reader: ArchiveReader) throws(ArchiveError) -> Manifest {
        let json = try reader.read(EntryName.manifest, atMost: mostBytes(in: reader.size))
        let checked = json.withUnsafeBytes { bytes in
            Result { () throws(JSONFault) in try checkJSON(bytes, mostItems: mostItems(in: reader.size)) }
        }
        if case .failure(let fault) = checked {
            throw .damaged(
                path: reader.path, part: EntryName.manifest, expected: fault.expected, found: fault.found)
        }
        // Of another version anything else may be different too.
        struct Version: Decodable {
            let format: String
            let version: Int
        }
        let decoder = JSONDecoder()
        let decoded = Result { try decoder.decode(Manifest.self, from: Data(json)) }
        let manifest = try? decoded.get()
        let version = manifest.map { Version(format: $0.format, version: $0.version) }
        guard let version = version ?? (try? decoder.decode(Version.self, from: Data(json))), version.format == "wcodec"
        else {
            throw .notAnArchive(path: reader.path, found: "a ZIP with another kind of \(EntryName.manifest)")
        }
        guard Manifest.versions.contains(version.version) else {
            let known = "versions \(Manifest.versions.lowerBound) to \(Manifest.versions.upperBound)"
            throw .notAnArchive(path: reader.path, found: "version \(version.version) (this program reads \(known))")
        }
        switch decoded {
        case .success(let manifest): return manifest
        case .failure(let error):
            let found = (error as? DecodingError).map(summary) ?? "\(error)"
            throw .damaged(
                path: reader.path, part: EntryName.manifest, expected: "every field of the format", found: found)
        }
    }
}
