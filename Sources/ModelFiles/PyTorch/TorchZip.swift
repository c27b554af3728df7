/// A PyTorch checkpoint as `torch.save` writes it since 1.6: a ZIP with a pickle and an entry for each storage.
enum TorchZip: ModelFormat {
    static let name = ModelFormatName.pytorch

    static func recognizes(_ file: MappedFile) -> Bool { file.withAllBytes(ZipDirectory.isPresent) }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            let directory = try ZipDirectory(bytes, path: file.path)
            let root = try checkpointFolder(directory.entries.map(\.name), path: file.path)
            let entries = try directory.storedEntries(bytes, path: file.path)
            let byName = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0) })
            if let order = byName["\(root)/byteorder"] {
                let text = String(decoding: bytes[order.extent.range].prefix(16), as: UTF8.self)
                guard text == "little" else {
                    throw .malformed(
                        path: file.path, part: "byte order", expected: quoted("little"), found: quoted(text))
                }
            }
            guard let pickle = byName["\(root)/data.pkl"] else { throw .noTensors(path: file.path) }
            var machine = try PickleMachine(
                UnsafeRawBufferPointer(rebasing: bytes[pickle.extent.range]), path: file.path, part: "pickle")
            let value = try machine.run()

            let prefix = "\(root)/data/"
            var storages: [String: Extent] = [:]
            for entry in entries where entry.name.hasPrefix(prefix) {
                storages[String(entry.name.dropFirst(prefix.count))] = entry.extent
            }
            let tensors = try TorchTensors(value, in: machine.graph, storages: storages, path: file.path)
            return ModelFile(
                format: name, path: file.path, files: [.init(name: fileName(file.path), file: file)],
                tensors: tensors.records, checksums: checksums(of: entries, over: tensors.records), notes: tensors.notes
            )
        }
    }

    /// The folder that all of a checkpoint's entries lie in.
    private static func checkpointFolder(_ names: [String], path: String) throws(ModelFileError) -> String {
        let folder = names.lazy.filter { $0.hasSuffix("/data.pkl") }.map { String($0.dropLast("/data.pkl".count)) }
            .first
        if let folder {
            guard !names.contains("\(folder)/constants.pkl") else {
                throw .unsupported(
                    path: path, found: "a TorchScript archive", advice: "save the module's state_dict() and pack that")
            }
            return folder
        }
        if names.first == "manifest.json" {
            throw .notAModel(path: path, found: "a packed archive (.wcz); unpack it first")
        }
        if names.contains("model.weights.h5") { throw .unsupported(path: path, found: "a Keras model", advice: nil) }
        if names.contains(where: { $0.hasSuffix("serialized_exported_program.json") || $0.hasSuffix("/archive_format") }
        ) {
            throw .unsupported(
                path: path, found: "an exported PyTorch program (.pt2)",
                advice: "save the module's state_dict() and pack that")
        }
        if !names.isEmpty, names.allSatisfy({ $0.hasSuffix(".npy") }) {
            throw .unsupported(path: path, found: "a NumPy archive (.npz)", advice: nil)
        }
        throw .notAModel(path: path, found: "a ZIP archive without a PyTorch checkpoint")
    }

    /// The CRC-32 fields of the entries that hold tensors.
    private static func checksums(of entries: [StoredEntry], over tensors: [TensorRecord]) -> [ChecksumField] {
        let offsets = tensors.filter { $0.extent.length > 0 }.map(\.extent.offset).sorted()
        return entries.filter { entry in
            // The first tensor at or after the entry's start lies in the entry, or none does.
            var low = 0
            var high = offsets.count
            while low < high {
                let middle = (low + high) / 2
                if offsets[middle] < entry.extent.offset { low = middle + 1 } else { high = middle }
            }
            return low < offsets.count && entry.extent.range.contains(offsets[low])
        }
        .map { ChecksumField(covered: $0.extent, fields: $0.crcFields) }
    }
}
