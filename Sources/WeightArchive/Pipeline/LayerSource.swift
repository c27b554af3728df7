import Codecs
import ModelFiles
import WeightMapper

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
    /// Index into the manifest's tensors by name.
    private let layers: [String: Int]
    /// Where layers of bins are: their groups, and their places in those.
    private let places: [Int: (group: Int, layer: Int)]

    /// - Returns: `nil` for a packed file of model files that compress their tensors, which are restored as a whole.
    public init?(_ packed: PackedModel) {
        let manifest = packed.valid.manifest
        guard manifest.source.files.allSatisfy({ $0.recoding == nil }) else { return nil }
        self.packed = packed
        var places: [Int: (group: Int, layer: Int)] = [:]
        for (number, group) in packed.valid.groups.enumerated() {
            for (place, layer) in group.layers.enumerated() { places[layer.tensor] = (number, place) }
        }
        self.places = places
        layers = Dictionary(
            (packed.valid.planed.map(\.tensor) + places.keys).map { (manifest.tensors[$0].name, $0) }
        ) { first, _ in first }
    }

    /// Writes the model's file, or the folder of its files, but for the layers: for a while, until they are all restored.
    ///
    /// - Parameter path: of what is written, which must not exist.
    /// - Throws: `ArchiveError`.
    public func writeSurroundings(to path: String) throws {
        guard packed.isFolder else {
            let output = try AtomicFile(path, force: false, inputs: [packed.path], isLasting: false)
            try Unpacker(packed).restoreSurroundings(to: RestoredFiles([(output.temporary, path)]))
            try output.commit()
            return
        }
        let output = try OutputFolder(
            path, names: packed.fileNames, force: false, inputs: [packed.path], isLasting: false)
        try Unpacker(packed).restoreSurroundings(to: output.files)
        try output.commit()
    }

    /// Restores a layer.
    ///
    /// - Parameter name: of the tensor.
    /// - Returns: `nil` for a tensor that is no packed layer, and lies in the file.
    /// - Throws: `ArchiveError`, when the bytes are not those that were packed too; those of lossy audio may differ by machine.
    public func tensor(_ name: String) throws -> Tensor? {
        guard let index = layers[name] else { return nil }
        let tensor = packed.valid.manifest.tensors[index]
        var bytes: [UInt8] = []
        let decodesExactly: Bool
        if let (group, place) = places[index] {
            let codec = packed.valid.groups[group].codec
            decodesExactly = codec.description.decodesExactly
            bytes =
                packed.valid.groups[group].format.bytesPerSample == 1
                ? try restored(group, place, UInt8.self) : try restored(group, place, UInt16.self)
        } else if let layer = packed.valid.planed.first(where: { $0.tensor == index }) {
            decodesExactly = layer.decodesExactly
            bytes.reserveCapacity(packed.valid.byteCounts[index])
            try packed.forEachPiece(of: layer) {
                try packed.restoredBytes(of: $0)
            } _: {
                bytes += $0
            }
        } else {
            return nil
        }
        if decodesExactly {
            try bytes.withUnsafeBytes {
                try expect(tensor.packed?.hash ?? "", Hasher128.hash($0), "tensor \(name)", packed.path)
            }
        }
        return Tensor(dtype: DType(rawValue: tensor.dtype), shape: tensor.shape, bytes: bytes)
    }

    /// The bytes of a layer of bins: its streams are decoded, and where a stream holds several layers, those too.
    private func restored<Bin: BinScalar>(_ number: Int, _ place: Int, _: Bin.Type) throws -> [UInt8] {
        let group = packed.valid.groups[number]
        let before = group.layers[..<place].reduce(0) { $0 + $1.placement.frameCount }
        let wanted = before..<before + group.layers[place].placement.frameCount
        // Streams until the first that holds one of its frames are left out as far as no layer lies across their ends.
        var part = group
        var (stream, skipped, frame) = (0, 0, 0)
        var (passed, end) = (0, 0)
        while passed < group.framesOfStreams.count, frame + group.framesOfStreams[passed] <= wanted.lowerBound {
            frame += group.framesOfStreams[passed]
            passed += 1
            while end < frame { (end, skipped) = (end + group.layers[skipped].placement.frameCount, skipped + 1) }
            if end == frame { (stream, part.layers) = (passed, Array(group.layers[skipped...])) }
        }
        let start = group.framesOfStreams[..<stream].reduce(0, +)
        var last = stream
        var covered = start
        while last < group.framesOfStreams.count, covered < wanted.upperBound {
            covered += group.framesOfStreams[last]
            last += 1
        }
        part.framesOfStreams = Array(group.framesOfStreams[stream..<last])
        let target = place - (group.layers.count - part.layers.count)
        var bytes: [UInt8] = []
        try decode(part, as: Bin.self) {
            try packed.stream(number, stream + $0)
        } takeLayer: { index, bins in
            guard index == target else { return }
            bytes.reserveCapacity(packed.valid.byteCounts[part.layers[index].tensor])
            try packed.forEachPiece(of: part.layers[index], bins) { bytes += $0 }
        }
        return bytes
    }
}
