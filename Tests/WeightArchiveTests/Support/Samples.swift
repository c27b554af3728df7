import Codecs
import ModelFiles
import TestSupport
import WeightArchive

/// A model of every kind of layer and type, with tensors that are kept among those that are packed; sizes are odd on
/// purpose.
let everyKind = Safetensors([
    .weights("conv.weight", [16, 9, 3, 3], seed: 2),
    .weights("conv.bias", [16], seed: 3),
    .weights("depthwise.weight", [131, 1, 3, 3], seed: 4),
    .init("steps", "I64", [3], (0..<24).map { UInt8($0) }),
    .weights("rnn.weight_ih_l0", [64, 29], seed: 5),
    .weights("rnn.weight_hh_l0", [64, 16], seed: 6),
    .weights("gru.weight_ih_l0", [63, 19], seed: 7),
    .weights("gru.weight_hh_l0", [63, 21], seed: 8),
    .weights("embedding.weight", [101, 13], seed: 9),
    .weights("half.weight", [37, 31], dtype: "F16", seed: 10),
    .weights("brain.weight", [31, 37], dtype: "BF16", seed: 11),
    .weights("double.weight", [33, 35], dtype: "F64", seed: 12),
    .weights("tiny.weight", [3, 5], seed: 13),
    .init("empty", "F32", [0, 7], []),
    .init("flags", "BOOL", [5], [1, 0, 1, 1, 0]),
    .init("constant.weight", [40, 40], [Float](repeating: 0.25, count: 1600)),
    .init("zero.weight", [40, 41], [Float](repeating: 0, count: 1640)),
])

/// A model of two layers, small enough to be packed a thousand times.
let smallModel = Safetensors([
    .weights("a.weight", [32, 33], seed: 21), .weights("a.bias", [32], seed: 22),
    .weights("b.weight", [40, 32], seed: 23),
])

/// Packs a model file.
@discardableResult
func pack(_ model: String, to path: String, _ change: (inout PackOptions) -> Void = { _ in }) async throws -> PackResult
{
    var options = PackOptions()
    options.threads = 2
    change(&options)
    return try await Packer(try ModelFiles.open(model), options).pack(to: path)
}

/// Unpacks a packed file.
func unpack(_ packed: String, to path: String, threads: Int = 2, force: Bool = false) async throws {
    try await Unpacker(try PackedModel(packed)).unpack(to: path, threads: threads, force: force)
}

/// The error that some work gives, as a person sees it, when it is one of this package's.
func expectedError(_ work: () async throws -> Void) async -> String? {
    do {
        try await work()
        return nil
    } catch let error as ArchiveError {
        return error.description
    } catch let error as CodecError {
        return error.description
    } catch let error as ModelFileError {
        return error.description
    } catch {
        return nil
    }
}
