/// The entries of a ZIP that PyTorch wrote, and the pickles among them.
///
/// `torch.save` writes one pickle, `data.pkl`, with its storages under `data/`; `torch.jit.save` two, `data.pkl` and
/// `constants.pkl`, with storages under `data/` and `constants/`, and the modules' code under `code/`. Source:
/// `torch/csrc/jit/serialization/docs/serialization.md` in PyTorch.
struct TorchArchive {
    /// The stored entries by name, without the folder that all lie in.
    let entries: [String: StoredEntry]
    private let bytes: UnsafeRawBufferPointer
    private let path: String

    /// Reads the directory of `bytes`, a whole file that outlives the archive.
    ///
    /// - Throws: ``ModelFileError`` when it is no ZIP of PyTorch's, big-endian, damaged, or compressed where tensors lie.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws(ModelFileError) {
        let directory = try ZipDirectory(bytes, path: path)
        let folder = try Self.folder(directory.entries.map(\.name), path: path) + "/"
        // TorchScript compresses its code, which nobody needs to read here.
        let stored = try directory.storedEntries(bytes, path: path) { $0.hasPrefix("\(folder)code/") }
        entries = Dictionary(
            uniqueKeysWithValues: stored.filter { $0.name.hasPrefix(folder) }.map {
                (String($0.name.dropFirst(folder.count)), $0)
            })
        self.bytes = bytes
        self.path = path
        if let order = entries["byteorder"] {
            let text = String(decoding: bytes[order.extent.range].prefix(16), as: UTF8.self)
            guard text == "little" else {
                throw .malformed(path: path, part: "byte order", expected: quoted("little"), found: quoted(text))
            }
        }
    }

    /// The tensors of the pickle `NAME.pkl`, whose storages lie under `NAME/`.
    func tensors(of name: String) throws(ModelFileError) -> TorchTensors {
        guard let pickle = entries["\(name).pkl"] else { throw .noTensors(path: path) }
        var machine = try PickleMachine(
            UnsafeRawBufferPointer(rebasing: bytes[pickle.extent.range]), path: path,
            part: name == "data" ? "pickle" : "\(name).pkl")
        let value = try machine.run()
        let prefix = "\(name)/"
        var storages: [String: Extent] = [:]
        for (name, entry) in entries where name.hasPrefix(prefix) {
            storages[String(name.dropFirst(prefix.count))] = entry.extent
        }
        return try TorchTensors(value, in: machine.graph, storages: storages, path: path)
    }

    /// The CRC-32 fields of the entries that hold tensors, in order of place.
    func checksums(over tensors: [TensorRecord]) -> [ChecksumField] {
        let offsets = tensors.filter { $0.extent.length > 0 }.map(\.extent.offset).sorted()
        return entries.values.sorted { $0.extent.offset < $1.extent.offset }.filter { entry in
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

    /// The folder that all of an archive's entries lie in.
    private static func folder(_ names: [String], path: String) throws(ModelFileError) -> String {
        let folder = names.lazy.filter { $0.hasSuffix("/data.pkl") }.map { String($0.dropLast("/data.pkl".count)) }
            .first
        if let folder { return folder }
        if names.first == "manifest.json" {
            throw .notAModel(path: path, found: "a packed archive (.wcz); unpack it first")
        }
        if names.contains(where: { $0.hasSuffix("serialized_exported_program.json") || $0.hasSuffix("/archive_format") }
        ) {
            throw .unsupported(
                path: path, found: "an exported PyTorch program (.pt2)",
                advice: "save the module's state_dict() and pack that")
        }
        throw .notAModel(path: path, found: "a ZIP archive without a PyTorch checkpoint")
    }
}
