import ModelFiles

/// A packed model whose layers are restored one at a time, each when it is asked for, so that memory holds one of them.
///
/// What is around the layers is written to a file first, in which they are holes: a reader of the format finds the structure there,
/// and asks for each layer here.
public struct LayerSource: Sendable {
    /// A restored tensor.
    public struct Tensor: Sendable {
        public let dtype: DType
        public let shape: [Int]
        /// Its elements as the model's file holds them, little-endian.
        public let bytes: [UInt8]
    }

    private let packed: PackedModel
    /// Index into the manifest by name.
    private let layers: [String: Int]

    /// - Returns: `nil` for a packed file whose layers are not restored by themselves: one of versions 1 and 2, and one of files
    ///   that compress their tensors.
    public init?(_ packed: PackedModel) {
        let manifest = packed.valid.manifest
        guard packed.valid.groups.isEmpty, manifest.source.files.allSatisfy({ $0.recoding == nil }) else { return nil }
        self.packed = packed
        layers = Dictionary(packed.valid.planed.map { (manifest.tensors[$0.tensor].name, $0.tensor) }) { first, _ in
            first
        }
    }

    /// Writes the model's file, or the folder of its files, but for the layers.
    ///
    /// - Parameter path: of what is written, which must not exist.
    /// - Throws: `ArchiveError`.
    public func writeSurroundings(to path: String) throws {
        guard packed.isFolder else {
            let output = try AtomicFile(path, force: false, inputs: [packed.path])
            try Unpacker(packed).restoreSurroundings(to: RestoredFiles([(output.temporary, path)]))
            try output.commit()
            return
        }
        let output = try OutputFolder(path, names: packed.fileNames, force: false, inputs: [packed.path])
        try Unpacker(packed).restoreSurroundings(to: output.files)
        try output.commit()
    }

    /// Restores a layer.
    ///
    /// - Parameter name: of the tensor.
    /// - Returns: `nil` for a tensor that is no packed layer, and lies in the file.
    /// - Throws: `ArchiveError`, when the bytes are not those that were packed too; those of lossy audio may differ by machine.
    public func tensor(_ name: String) throws -> Tensor? {
        guard let index = layers[name], let layer = packed.valid.planed.first(where: { $0.tensor == index }) else {
            return nil
        }
        let tensor = packed.valid.manifest.tensors[index]
        var bytes: [UInt8] = []
        bytes.reserveCapacity(packed.valid.byteCounts[index])
        try packed.forEachPiece(of: layer) {
            try packed.restoredBytes(of: $0)
        } _: {
            bytes += $0
        }
        if layer.decodesExactly {
            try bytes.withUnsafeBytes {
                try expect(tensor.packed?.hash ?? "", Hasher128.hash($0), "tensor \(name)", packed.path)
            }
        }
        return Tensor(dtype: DType(rawValue: tensor.dtype), shape: tensor.shape, bytes: bytes)
    }
}
