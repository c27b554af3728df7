import Codecs
import WeightMapper

extension PackedModel {
    /// Receives the bytes of a tensor piece by piece, each with its offset in the tensor.
    typealias TakePiece = (_ offset: Int, _ piece: UnsafeRawBufferPointer) throws -> Void

    /// Decodes the layers of a group of streams.
    ///
    /// - Parameter body: called for each layer with a function that restores its tensor, checks the hash, and returns whether a
    ///   decoder of lossy audio rounded otherwise than at packing.
    /// - Throws: `ArchiveError.damaged` for the first tensor or stream with another hash, and what `body` throws.
    func forEachLayer(of group: Int, _ body: (PlacedLayer, (TakePiece) throws -> Bool) throws -> Void) throws {
        func run<Bin: BinScalar>(_: Bin.Type) throws {
            let placed = valid.groups[group]
            try decode(placed, as: Bin.self) {
                try stream(group, $0)
            } takeLayer: { index, bins in
                let layer = placed.layers[index]
                try body(layer) { take in
                    let sum = PieceSum()
                    try forEachPiece(of: layer, bins) { try take(sum.add($0), $0) }
                    return try isChanged(layer.tensor, sum, isExact: placed.codec.description.decodesExactly)
                }
            }
        }
        try valid.groups[group].format.bytesPerSample == 1 ? run(UInt8.self) : run(UInt16.self)
    }

    /// Restores the tensor of a layer of planes and checks its hash.
    ///
    /// - Parameters:
    ///   - planes: the layer's, where they were decoded already.
    ///   - earlier: gives the bytes of a tensor of this packed file, for a layer that was packed against it.
    ///   - take: receives the bytes.
    /// - Returns: whether a decoder of lossy audio rounded otherwise than at packing.
    /// - Throws: `ArchiveError.damaged` when the tensor or a stream has another hash, and what `take` throws.
    func restore(
        _ layer: PlanedLayer, _ planes: [Plane]? = nil, earlier: (Int) throws -> BaseBytes, _ take: TakePiece
    ) throws -> Bool {
        let sum = PieceSum()
        try forEachPiece(of: layer, planes, earlier: earlier) { try take(sum.add($0), $0) }
        return try isChanged(layer.tensor, sum, isExact: layer.decodesExactly)
    }

    /// Whether a restored tensor is another than at packing, as it may be unless its decoder is exact.
    private func isChanged(_ tensor: Int, _ sum: PieceSum, isExact: Bool) throws(ArchiveError) -> Bool {
        let tensor = valid.manifest.tensors[tensor]
        let (expected, found) = (tensor.packed?.hash ?? "", sum.hasher.digest)
        if isExact { try expect(expected, found, "tensor \(tensor.name)", path) }
        return found != expected
    }
}

/// Length and hash of the pieces of a tensor so far.
private final class PieceSum {
    let hasher = Hasher128()
    private var length = 0

    /// Appends a piece.
    ///
    /// - Returns: its offset.
    func add(_ piece: UnsafeRawBufferPointer) -> Int {
        hasher.update(piece)
        defer { length += piece.count }
        return length
    }
}
