import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// The weights of a tensor.
func weights(_ model: ModelFile, _ name: String) throws -> [Double] {
    let tensor = try #require(model.tensors.first { $0.name == name })
    func read<Scalar: WeightScalar>(_: Scalar.Type) -> [Double] {
        var weights = [Scalar](repeating: 0, count: tensor.count)
        TensorWeights<Scalar>(model, tensor).read(0..<tensor.count, into: &weights)
        return weights.map { Double($0) }
    }
    return tensor.dtype == .f64 ? read(Double.self) : read(Float.self)
}

/// What was lost between two models, found beside the reports.
struct Loss {
    /// Over all packed weights, in dB.
    let signalToNoise: Double
    /// Largest error of a weight.
    let maximumError: Double
}

/// Unpacks a model and compares it with the original: kept tensors byte by byte, packed ones with what was reported.
func unpackedLoss(_ original: String, _ packed: String, in folder: TemporaryFolder) async throws -> Loss {
    try await unpack(packed, to: folder["restored"], force: true)
    let summary = try PackedModel(packed).summary
    let before = try ModelFiles.open(original)
    let shards = before.files.count == 1 ? "" : "/\(before.files[0].name)"
    let after = try ModelFiles.open(folder["restored\(shards)"])
    #expect(after.tensors == before.tensors)
    let layers = Set(summary.layers.flatMap { [$0.name] + $0.aliases })
    for tensor in before.tensors where !layers.contains(tensor.name) {
        let bytes = before.withBytes(of: tensor.extent) { Array($0) }
        #expect(after.withBytes(of: tensor.extent) { Array($0) } == bytes, "\(tensor.name)")
    }
    var (signal, noise, largest) = (0.0, 0.0, 0.0)
    for layer in summary.layers {
        let (a, b) = (try weights(before, layer.name), try weights(after, layer.name))
        let squares = zip(a, b).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        let maximum = zip(a, b).reduce(0.0) { max($0, abs($1.0 - $1.1)) }
        let reported = layer.statistics
        #expect(abs(squares / Double(a.count) - reported.meanSquaredError) <= 1e-4 * reported.meanSquaredError)
        #expect(abs(maximum - reported.maximumError) <= 1e-4 * maximum)
        signal += reported.variance * Double(a.count)
        noise += squares
        largest = max(largest, maximum)
    }
    return Loss(signalToNoise: signalToNoise(signal, noise), maximumError: largest)
}

extension PackedModel {
    /// The codebook of a layer of planes that needs no other model.
    func codebook(_ layer: PlanedLayer) throws -> any LayerCodebook {
        let tensor = valid.manifest.tensors[layer.tensor]
        let packed = try #require(tensor.packed)
        let bytes = Array(parameters[packed.parameters[0]..<packed.parameters[0] + packed.parameters[1]])
        return try layerCodebook(
            #require(packed.planes).quantizer, bytes.span, layer.geometry, DType(rawValue: tensor.dtype),
            bits: layer.planes[0].bits)
    }
}
