/// A PyTorch checkpoint as `torch.save` wrote it before 1.6.
///
/// Five pickles one after another (a magic number, the version 1001, the writer's system, the checkpoint, the storages' keys)
/// and then each storage in the order of the keys: an 8-byte element count and its elements. Source: `_legacy_save` and
/// `_legacy_load` in PyTorch's `torch/serialization.py`.
enum TorchLegacy: ModelFormat {
    static let name = ModelFormatName.pytorchLegacy

    /// The pickled integer 0x1950a86a20f9469cfc6c, as opcode, length and bytes.
    private static let magic: [UInt8] = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]

    static func recognizes(_ file: MappedFile) -> Bool { file.withAllBytes { magicEnd($0) != nil } }

    /// The offset behind the first pickle, or nil when it is not the magic number.
    private static func magicEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count > 2, bytes[0] == 0x80, (2...5).contains(bytes[1]) else { return nil }
        // From protocol 4 on a frame of 9 bytes may come first.
        for start in [2, 11] where bytes.starts(with: magic, at: start) { return start + magic.count }
        return nil
    }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            let path = file.path
            var version = try PickleMachine(bytes, at: magicEnd(bytes) ?? 0, path: path, part: "version")
            guard case .int(1001) = try version.run() else {
                throw .malformed(path: path, part: "version", expected: "1001", found: "another value")
            }
            var system = try PickleMachine(bytes, at: version.offset, path: path, part: "system information")
            let information = try system.run()
            if case .bool(false) = system.graph.value("little_endian", in: information) {
                throw .malformed(path: path, part: "byte order", expected: quoted("little"), found: quoted("big"))
            }
            var machine = try PickleMachine(bytes, at: system.offset, path: path, part: "pickle")
            let value = try machine.run()
            var keyList = try PickleMachine(bytes, at: machine.offset, path: path, part: "storage keys")
            let keys = try keyList.run()
            guard let keys = keyList.graph.items(keys) else {
                throw .malformed(path: path, part: "storage keys", expected: "a list", found: "another value")
            }
            let storages = try place(keys, bytes, at: keyList.offset, of: machine.graph.storages, path: path)
            let tensors = try TorchTensors(value, in: machine.graph, storages: storages, path: path)
            guard !tensors.records.isEmpty else { throw .noTensors(path: path) }
            return ModelFile(
                format: name, path: path, files: [.init(name: fileName(path), file: file)], tensors: tensors.records,
                storages: tensors.storages, notes: tensors.notes)
        }
    }

    /// The bytes of each storage by its key.
    private static func place(
        _ keys: [PickleValue], _ bytes: UnsafeRawBufferPointer, at offset: Int, of storages: [PickledStorage],
        path: String
    ) throws(ModelFileError) -> [String: Extent] {
        // A storage that tensors of several types share was written as the first of them.
        let described = Dictionary(storages.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        var reader = try ByteReader(bytes, at: offset, path: path, part: "storages")
        var extents: [String: Extent] = [:]
        for value in keys {
            let key: String
            switch value {
            case .string(let text): key = text
            case .int(let number): key = String(number)
            default: throw .malformed(path: path, part: "storage keys", expected: "strings", found: "another value")
            }
            let count = try reader.size()
            guard let storage = described[key], let bits = storage.dtype?.bitWidth, extents[key] == nil else {
                throw .malformed(
                    path: path, part: "storage \(quoted(key))", expected: "one storage of a known type in the pickle",
                    found: extents[key] == nil ? described[key]?.typeName ?? "none" : "two")
            }
            guard count == storage.count, let length = byteCount(count, bits: bits) else {
                throw .malformed(
                    path: path, part: "storage \(quoted(key))",
                    expected: "\(storage.count) elements, as the pickle says",
                    found: "\(count)")
            }
            let start = reader.offset
            try reader.skip(length)
            extents[key] = Extent(file: 0, offset: start, length: length)
        }
        return extents
    }
}
