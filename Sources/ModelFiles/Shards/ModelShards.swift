/// A model in several files beside an index, as `model.safetensors.index.json` and `pytorch_model.bin.index.json` name them.
///
/// The index is a JSON object whose `weight_map` gives each tensor's file. It and the shards must agree: each tensor of the
/// map lies in its shard, and a shard holds no other. The shards are safetensors files or PyTorch checkpoints, all of one kind.
enum ModelShards: ModelFormat {
    static let name = ModelFormatName.safetensorsSharded
    static let spansFiles = true

    /// What a shard may be.
    private static let shardFormats: [any ModelFormat.Type] = [Safetensors.self, TorchZip.self, TorchLegacy.self]

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
        var storages: [TensorRecord] = []
        var checksums: [ChecksumField] = []
        var notes: [String] = []
        var kind: ModelFormatName?
        for shard in indexed.keys.sorted() {
            let model = try open(shard, try MappedFile(locate(shard, beside: file.path)))
            try check(model.tensors, against: index, shard, Set(indexed[shard] ?? []), index: file.path, model.path)
            let shardKind: ModelFormatName = model.format == .safetensors ? .safetensorsSharded : .pytorchSharded
            guard kind == nil || kind == shardKind else {
                throw .malformed(
                    path: file.path, part: "shard index", expected: "shards of one kind",
                    found: "\(quoted(shard)) in \(model.format.title) beside others")
            }
            kind = shardKind
            tensors += model.tensors.map { $0.moved(toFile: files.count) }
            storages += model.storages.map { $0.moved(toFile: files.count) }
            checksums += model.checksums.map { $0.moved(toFile: files.count) }
            notes += model.notes.map { "\(shown(shard)): \($0)" }
            files.append(.init(name: shard, file: model.files[0].file, originalSize: model.files[0].originalSize))
        }
        return ModelFile(
            format: kind ?? name, path: file.path, files: files, tensors: tensors, storages: storages,
            checksums: checksums, notes: notes)
    }

    private static func open(_ shard: String, _ file: MappedFile) throws(ModelFileError) -> ModelFile {
        guard let format = shardFormats.first(where: { $0.recognizes(file) }) else {
            throw .malformed(
                path: file.path, part: "shard \(quoted(shard))",
                expected: "a safetensors file or a PyTorch checkpoint", found: "another file")
        }
        let model = try format.open(file)
        guard model.format != .torchScript else {
            throw .malformed(
                path: file.path, part: "shard \(quoted(shard))", expected: "a checkpoint", found: "TorchScript")
        }
        return model
    }

    private static func check(
        _ tensors: [TensorRecord], against map: ShardIndex, _ shard: String, _ expected: Set<String>, index: String,
        _ path: String
    ) throws(ModelFileError) {
        let found = Set(tensors.map(\.name))
        if let missing = expected.subtracting(found).min() {
            throw .invalidTensor(
                path: index, tensor: missing, expected: "to be in shard \(quoted(shard))",
                found: "no such tensor there")
        }
        if let extra = found.subtracting(expected).min() {
            throw .invalidTensor(
                path: path, tensor: extra, expected: "to be in the index's weight_map for this shard",
                found: map.weightMap[extra].map { "it there for \(quoted($0))" } ?? "no such name")
        }
    }

    /// The path of a shard, once it is known to lie beside its index.
    private static func locate(_ shard: String, beside index: String) throws(ModelFileError) -> String {
        guard !shard.isEmpty, shard != ".", shard != "..",
            !shard.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
        else {
            throw .malformed(
                path: index, part: "shard index", expected: "plain file names without folders", found: quoted(shard))
        }
        guard let path = try path(of: shard, beside: index) else {
            throw .malformed(
                path: index, part: "shard index", expected: "shards beside the index",
                found: "\(quoted(shard)), a link to another folder")
        }
        return path
    }
}

private struct ShardIndex: Decodable {
    let weightMap: [String: String]

    init(from decoder: any Decoder) throws {
        weightMap = try decoder.container(keyedBy: NameKey.self).decode(
            [String: String].self, forKey: NameKey("weight_map"))
    }
}
