import Glibc

/// A model in several safetensors files beside an index, as `model.safetensors.index.json` names them.
///
/// The index is a JSON object whose `weight_map` gives each tensor's file. It and the shards must agree: each tensor of the
/// map lies in its shard, and a shard holds no other.
enum SafetensorsShards: ModelFormat {
    static let name = ModelFormatName.safetensorsSharded
    static let spansFiles = true

    static func recognizes(_ file: MappedFile) -> Bool {
        file.withAllBytes { bytes in
            guard bytes.first == UInt8(ascii: "{"), bytes.count <= SafetensorsHeader.maximumLength else { return false }
            let key = Array("\"weight_map\"".utf8)
            return bytes.indices.contains { bytes[$0] == key[0] && bytes.starts(with: key, at: $0) }
        }
    }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let index: ShardIndex = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try decodeJSON(bytes, path: file.path, part: "shard index")
        }
        guard !index.weightMap.isEmpty else { throw .noTensors(path: file.path) }
        let indexed = Dictionary(grouping: index.weightMap.keys) { index.weightMap[$0] ?? "" }

        var files = [ModelFile.Source(name: fileName(file.path), file: file)]
        var tensors: [TensorRecord] = []
        for shard in indexed.keys.sorted() {
            let mapped = try MappedFile(locate(shard, beside: file.path))
            let header = try mapped.withAllBytes { (bytes) throws(ModelFileError) in
                try SafetensorsHeader(bytes, file: files.count, path: mapped.path)
            }
            let expected = Set(indexed[shard] ?? [])
            let found = Set(header.tensors.map(\.name))
            if let missing = expected.subtracting(found).min() {
                throw .invalidTensor(
                    path: file.path, tensor: missing, expected: "to be in shard \(quoted(shard))",
                    found: "no such tensor there")
            }
            if let extra = found.subtracting(expected).min() {
                throw .invalidTensor(
                    path: mapped.path, tensor: extra, expected: "to be in the index's weight_map for this shard",
                    found: index.weightMap[extra].map { "it there for \(quoted($0))" } ?? "no such name")
            }
            files.append(.init(name: shard, file: mapped))
            tensors += header.tensors
        }
        return ModelFile(format: name, path: file.path, files: files, tensors: tensors)
    }

    /// The path of a shard, once it is known to lie beside its index.
    ///
    /// Links are followed as far as the index itself is a link: model caches keep index and shards in one folder of blobs and
    /// link to both.
    private static func locate(_ shard: String, beside index: String) throws(ModelFileError) -> String {
        guard !shard.isEmpty, shard != ".", shard != "..",
            !shard.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
        else {
            throw .malformed(
                path: index, part: "shard index", expected: "plain file names without folders", found: quoted(shard))
        }
        let folder = folder(of: index)
        let path = folder == "." && !index.hasPrefix("./") ? shard : folder == "/" ? "/\(shard)" : "\(folder)/\(shard)"
        let target = try resolve(path)
        let allowed = [try resolve(folder), self.folder(of: try resolve(index))]
        guard allowed.contains(self.folder(of: target)) else {
            throw .malformed(
                path: index, part: "shard index", expected: "shards beside the index",
                found: "\(quoted(shard)), a link to another folder")
        }
        return path
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func resolve(_ path: String) throws(ModelFileError) -> String {
        guard let resolved = realpath(path, nil) else { throw .unreadable(path: path, reason: systemMessage()) }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

private struct ShardIndex: Decodable {
    let weightMap: [String: String]

    init(from decoder: any Decoder) throws {
        weightMap = try decoder.container(keyedBy: NameKey.self).decode(
            [String: String].self, forKey: NameKey("weight_map"))
    }
}
