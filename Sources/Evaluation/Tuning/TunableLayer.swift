import ModelGraph

/// A conv or FC layer that run modes are tried on, with what is fused to it.
///
/// Source: claim 4 of CN113743598B.
public struct TunableLayer: Hashable, Sendable {
    /// The identifier of its first layer.
    public let identifier: String
    /// "conv" or "fc".
    public let kind: String
    /// Places of its layers among those of the graph, in order.
    public let layers: [Int]
    /// Channels of its input, where they are known; of an FC layer its inputs.
    public let inputChannels: Int?
    /// Kernels, which are its output channels, where they are known; of an FC layer its outputs.
    public let kernels: Int?
}

extension Network {
    /// The conv and FC layers of the main graph, in connection order: each after those that it takes values from.
    ///
    /// - Throws: `GraphError`.
    public func tunableLayers() throws(GraphError) -> [TunableLayer] {
        let weights = Set(graph.weights.map(\.value))
        // The chains that the native target runs as one; other engines fuse such too.
        return try graph.subgraphs(.builtIn("native"), source: source).compactMap { subgraph in
            guard let place = subgraph.layers.first else { return nil }
            let layer = graph.layers[place]
            guard layer.domain.isEmpty, let name = layer.inputs.dropFirst().first, weights.contains(name) else {
                return nil
            }
            let shape = graph.values[name]?.sizes
            let (inputs, kernels): (Int?, Int?)
            switch layer.type {
            case "Conv":
                let groups: Int = if case .integer(let count)? = layer.attributes["group"] { count } else { 1 }
                inputs = shape.flatMap {
                    $0.count > 1 ? $0[1].multipliedReportingOverflow(by: groups).partialValue : nil
                }
                kernels = shape?.first
            case "MatMul", "Gemm":
                let isTurned = layer.attributes["transB"] == .integer(1)
                let sides = shape.flatMap { $0.count > 1 ? Array($0.suffix(2)) : nil }
                (inputs, kernels) = (sides?[isTurned ? 1 : 0], sides?[isTurned ? 0 : 1])
            default: return nil
            }
            return TunableLayer(
                identifier: layer.identifier, kind: layer.type == "Conv" ? "conv" : "fc", layers: subgraph.layers,
                inputChannels: inputs, kernels: kernels)
        }
    }
}

/// Which layers are tried together in every combination, and which each alone.
public struct LayerSelection: Sendable {
    /// The first layers: every combination of their run modes is tried.
    public let together: [TunableLayer]
    /// The third layers: each is timed alone, and its fastest mode is fixed.
    public let alone: [TunableLayer]

    /// The first layers in connection order (claim 2).
    public init(_ layers: [TunableLayer], first count: Int) {
        together = Array(layers.prefix(count))
        alone = []
    }

    /// The second layers, which are the first `count` in connection order; those that meet the second condition are tried alone, the
    /// others together (claims 1 and 3).
    ///
    /// - Parameters:
    ///   - inputChannels: the third number; met by a layer of so many input channels.
    ///   - kernels: the fourth number; met by a layer of so many kernels.
    public init(_ layers: [TunableLayer], second count: Int, inputChannels: Int?, kernels: Int?) {
        func meetsCondition(_ layer: TunableLayer) -> Bool {
            inputChannels.map { $0 == layer.inputChannels } ?? false || kernels.map { $0 == layer.kernels } ?? false
        }
        together = layers.prefix(count).filter { !meetsCondition($0) }
        alone = layers.prefix(count).filter(meetsCondition)
    }
}
