import ModelGraph

/// An estimate as `--json` prints it.
struct EstimateDocument: Encodable {
    struct Layer: Encodable {
        let id, type: String
        let depth, turns, weightBytes: Int
        let activationBytes: Int?
        let workspaceBytes: Int
        let multiplyAdds: Int?
        let movedBytes: Int
    }

    struct Memory: Encodable {
        let weightBytes, inputBytes, activationBytes, peakActivationBytes, workspaceBytes: Int
        let withoutReuse, withReuse: Int
        let peakLayer: String?
    }

    struct Target: Encodable {
        let layers: [String]
        let multiplyAdds, movedBytes: Double
        let memoryBytes: Int
    }

    struct Packed: Encodable {
        let file: String
        let fileBytes, weightBytes, largestLayerBytes, withReuse: Int
    }

    struct Fit: Encodable {
        let device: String
        let holds: Bool
        let holdsPacked: Bool?
        let runsPerSecond: Double?
        let source: String?
    }

    let model: String
    let type, computeType: String
    let multiplyAdds: Int
    let memory: Memory
    let layers: [Layer]
    let target: Target
    let packed: Packed?
    let devices: [Fit]
    let notes: [String]

    init(
        _ network: Network, _ estimate: ResourceEstimate, _ demand: Demand, _ packing: EstimateCommand.Packing?,
        _ list: DeviceList
    ) {
        model = network.source
        type = estimate.type?.rawValue ?? "as in the model"
        computeType = estimate.computeType.rawValue
        multiplyAdds = estimate.multiplyAdds
        memory = Memory(
            weightBytes: estimate.weightBytes, inputBytes: estimate.inputBytes,
            activationBytes: estimate.activationBytes, peakActivationBytes: estimate.peakActivationBytes,
            workspaceBytes: estimate.workspaceBytes, withoutReuse: estimate.memoryWithoutReuse,
            withReuse: estimate.memoryWithReuse, peakLayer: estimate.peakLayer)
        layers = estimate.layers.map {
            Layer(
                id: $0.identifier, type: $0.type, depth: $0.depth, turns: $0.turns, weightBytes: $0.weightBytes,
                activationBytes: $0.activationBytes, workspaceBytes: $0.workspaceBytes, multiplyAdds: $0.multiplyAdds,
                movedBytes: $0.movedBytes)
        }
        target = Target(
            layers: demand.layers.map(\.identifier), multiplyAdds: demand.multiplyAdds, movedBytes: demand.movedBytes,
            memoryBytes: estimate.memoryWithReuse)
        let packedBytes = packing.map { $0.weights.weightBytes + $0.weights.largestLayerBytes }
        packed = packing.map {
            Packed(
                file: $0.path, fileBytes: $0.fileBytes, weightBytes: $0.weights.weightBytes,
                largestLayerBytes: $0.weights.largestLayerBytes,
                withReuse: $0.weights.weightBytes + $0.weights.largestLayerBytes + demand.activationBytes)
        }
        devices = list.devices.map { device in
            let fit = demand.fit(device)
            return Fit(
                device: device.name, holds: fit.holds,
                holdsPacked: packedBytes.map { demand.holds(device, weightBytes: $0) },
                runsPerSecond: fit.runsPerSecond, source: device.source)
        }
        notes = estimate.notes
    }
}
