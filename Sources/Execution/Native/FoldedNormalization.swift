import ModelGraph
import Synchronization

/// A batch normalization that the convolution before it computes, by other weights and another bias.
final class FoldedNormalization: Sendable {
    private let layer: Layer
    private let kept = Mutex<(weights: Tensor, bias: Tensor)?>(nil)

    /// - Parameters:
    ///   - layer: a layer that follows `convolution`.
    ///   - weights: of the graph.
    /// - Returns: `nil` for anything but a batch normalization of known parameters after a convolution of known weights.
    init?(_ layer: Layer, after convolution: Layer, weights: [String: Weight]) {
        guard layer.type == "BatchNormalization", convolution.type == "Conv", layer.inputs.count == 5,
            layer.attributes["training_mode"] ?? .integer(0) == .integer(0),
            layer.outputs.dropFirst().allSatisfy(\.isEmpty),
            (layer.inputs.dropFirst() + convolution.inputs.dropFirst()).allSatisfy({ $0.isEmpty || weights[$0] != nil })
        else { return nil }
        self.layer = layer
    }

    /// Puts the normalization into the weights of its convolution.
    ///
    /// - Parameters:
    ///   - call: of the convolution.
    ///   - isKept: whether the weights stay in memory for the next run.
    ///   - weight: gives a weight of the graph by name.
    func fold(
        into call: inout KernelCall, isKept: Bool, _ weight: (String) throws(KernelFailure) -> Tensor?
    ) throws(KernelFailure) {
        while call.inputs.count < 3 { call.inputs.append(nil) }
        if let folded = kept.withLock({ $0 }) {
            (call.inputs[1], call.inputs[2]) = (folded.weights, folded.bias)
            return
        }
        var parameters: [[Float]] = []
        let channels = try call.floats(1).shape.first ?? 0
        for name in layer.inputs.dropFirst() {
            guard case .floats(let list)? = try weight(name)?.elements, list.count == channels else {
                throw KernelFailure(expected: "\(channels) numbers in \(name)", found: "others")
            }
            parameters.append(list)
        }
        var epsilon: Float = 1e-5
        if case .number(let number)? = layer.attributes["epsilon"] { epsilon = Float(number) }
        let (factors, offsets) = Kernels.batchScale(
            scale: parameters[0], bias: parameters[1], mean: parameters[2], variance: parameters[3], epsilon: epsilon)
        let bias = try call.optionalFloats(2, count: channels) ?? [Float](repeating: 0, count: channels)
        var weights = try call.taken(1)
        weights.updateFloats { floats in
            guard channels > 0 else { return }
            let size = floats.count / channels
            for channel in 0..<channels {
                for index in channel * size..<(channel + 1) * size { floats[index] *= factors[channel] }
            }
        }
        let shifted = Tensor((0..<channels).map { bias[$0] * factors[$0] + offsets[$0] }, [channels])
        (call.inputs[1], call.inputs[2]) = (weights, shifted)
        let result = (weights: weights, bias: shifted)
        if isKept { kept.withLock { $0 = result } }
    }
}
