/// The least amount of multiply-adds that makes a layer a target layer: a number, or a share of all.
public struct ComputeThreshold: Hashable, Sendable {
    private let value: Double
    private let isShare: Bool

    /// A share of all, from 0 to 1.
    public init(share: Double) {
        value = share
        isShare = true
    }

    /// A threshold from `1e6` or `5%`; `nil` when the text is neither.
    public init?(_ text: String) {
        isShare = text.hasSuffix("%")
        guard let value = Double(isShare ? String(text.dropLast()) : text), value >= 0, value.isFinite,
            !isShare || value <= 100
        else { return nil }
        self.value = isShare ? value / 100 : value
    }

    /// The amount in a network of that many multiply-adds.
    func amount(of total: Int) -> Double { isShare ? value * Double(total) : value }
}

/// What the target layers of a network demand of a device.
///
/// Source: claim 9 of CN110058936B: the layers whose compute is above a threshold decide how much of a device is needed.
public struct Demand: Hashable, Sendable {
    /// The target layers, the heaviest first.
    public let layers: [LayerEstimate]
    /// Their multiply-adds in one run.
    public let multiplyAdds: Double
    /// Bytes that they move in one run.
    public let movedBytes: Double
    /// Bytes of weights that the device holds.
    public let weightBytes: Int
    /// Bytes of inputs and activations that it holds.
    public let activationBytes: Int
    /// The type that is computed in.
    public let type: NumericType

    /// The demand of a network's layers above a threshold; those without multiply-adds never are.
    public init(_ estimate: ResourceEstimate, above threshold: ComputeThreshold) {
        let least = threshold.amount(of: estimate.multiplyAdds)
        layers = estimate.layers.enumerated()
            .filter { ($0.element.multiplyAdds ?? 0) > 0 && Double($0.element.multiplyAdds ?? 0) > least }
            .sorted { ($1.element.multiplyAdds ?? 0, $0.offset) < ($0.element.multiplyAdds ?? 0, $1.offset) }
            .map(\.element)
        multiplyAdds = layers.reduce(0) { $0 + Double($1.multiplyAdds ?? 0) }
        movedBytes = layers.reduce(0) { $0 + Double($1.movedBytes) }
        weightBytes = estimate.weightBytes
        activationBytes = estimate.inputBytes + estimate.peakActivationBytes
        type = estimate.computeType
    }

    /// How a device meets the demand.
    public func fit(_ device: Device) -> DeviceFit {
        DeviceFit(
            device: device, holds: holds(device, weightBytes: weightBytes), runsPerSecond: runsPerSecond(device))
    }

    /// Whether a device holds weights of that size, and activations.
    public func holds(_ device: Device, weightBytes: Int) -> Bool {
        if let weightMemory = device.weightMemory {
            return weightBytes <= weightMemory && activationBytes <= device.memory
        }
        return saturatingSum(weightBytes, activationBytes) <= device.memory
    }

    /// Each target layer takes as long as its multiply-adds or its bytes do, whichever is longer.
    private func runsPerSecond(_ device: Device) -> Double? {
        guard let rate = device.multiplyAddsPerSecond[type.rawValue] else { return nil }
        let seconds = layers.reduce(0.0) {
            $0 + max(Double($1.multiplyAdds ?? 0) / rate, Double($1.movedBytes) / device.memoryBandwidth)
        }
        return seconds > 0 ? 1 / seconds : nil
    }
}

/// How a device meets what a network demands.
public struct DeviceFit: Hashable, Sendable {
    public let device: Device
    /// Whether its memory suffices.
    public let holds: Bool
    /// Runs of the network that it can feed in a second at most; `nil` when it does not compute in the type.
    public let runsPerSecond: Double?
}

/// What a network needs once its weights stay packed and are restored layer by layer.
public struct PackedWeights: Hashable, Sendable {
    /// Bytes of all weights as they are packed; those that are not in the packed file as they are.
    public let weightBytes: Int
    /// Bytes of the restored weights of the layer that has most.
    public let largestLayerBytes: Int

    /// - Parameters:
    ///   - estimate: of the network.
    ///   - packed: bytes of tensors in the packed file, by name.
    public init(_ estimate: ResourceEstimate, packed: [String: Int]) {
        weightBytes = estimate.weights.reduce(0) { saturatingSum($0, packed[$1.key] ?? $1.value) }
        largestLayerBytes = estimate.layers.reduce(0) { largest, layer in
            let restored = layer.weights.reduce(0) {
                packed[$1] == nil ? $0 : saturatingSum($0, estimate.weights[$1] ?? 0)
            }
            return max(largest, restored)
        }
    }
}
