import ModelFiles

/// Some layers that a target runs as one.
public struct SubgraphOperator: Hashable, Sendable {
    /// The identifier of its last layer.
    public var identifier: String
    /// The name of the fusion; the operator's type when it is one layer that none begins with.
    public var kind: String
    /// The target that runs it.
    public var target: String
    /// The type that it is computed in, where the configuration says one.
    public var type: String?
    /// The order of dimensions that pictures have, where the configuration says one.
    public var layout: String?
    /// Places of its layers among those of the graph, in order.
    public var layers: [Int]
}

extension Graph {
    /// Fuses the graph with a configuration: the subgraph operators, in the order in which they can run.
    ///
    /// Each layer goes to the first target that takes its operator, and with those after it into the longest chain of that target's
    /// that fits, the first of equal ones: each layer takes what the one before gives, which nothing else needs. A subgraph operator
    /// stands where its last layer does. Source: claim 1 of CN114186678B.
    ///
    /// - Parameter source: as errors name the network.
    /// - Throws: `GraphError.node` for a layer that no target takes.
    public func subgraphs(
        _ configuration: TargetConfiguration, source: String
    ) throws(GraphError) -> [SubgraphOperator] {
        var readers: [String: [Int]] = [:]
        for (index, layer) in layers.enumerated() {
            for name in layer.reads { readers[name, default: []].append(index) }
        }
        let handedOut = Set(outputs)
        var taken: Set<Int> = []
        /// The layer that alone takes what a layer gives.
        func follower(of index: Int) -> Int? {
            guard let output = layers[index].outputs.first, !output.isEmpty, !handedOut.contains(output),
                layers[index].outputs.dropFirst().allSatisfy({ readers[$0] == nil && !handedOut.contains($0) }),
                let next = readers[output], next.count == 1, layers[next[0]].graphs.isEmpty, !taken.contains(next[0]),
                layers[next[0]].inputs.filter({ $0 == output }).count == 1
            else { return nil }
            return next[0]
        }
        func chain(_ fusion: TargetConfiguration.Fusion, from first: Int) -> [Int]? {
            guard let step = fusion.steps.first, step.types.contains(layers[first].fullType) else { return nil }
            var chain = [first]
            for step in fusion.steps.dropFirst() {
                if let last = chain.last, let next = follower(of: last), step.types.contains(layers[next].fullType) {
                    chain.append(next)
                } else if step.optional != true {
                    return nil
                }
            }
            return chain
        }
        var result: [SubgraphOperator] = []
        for (index, layer) in layers.enumerated() where !taken.contains(index) {
            let isCall = layer.graphs[Layer.functionBody] != nil
            guard let target = configuration.targets.first(where: { isCall || $0.takes(layer.fullType) }) else {
                let names = configuration.targets.map(\.name).joined(separator: ", ")
                throw .node(
                    source: source, node: layer.identifier, expected: "an operator that \(names) takes",
                    found: layer.fullType)
            }
            var (best, kind) = ([index], layer.fullType)
            for fusion in target.fusions where layer.graphs.isEmpty {
                guard let found = chain(fusion, from: index), found.allSatisfy({ target.takes(layers[$0].fullType) })
                else { continue }
                if found.count > best.count || kind == layer.fullType && best.count == 1 {
                    (best, kind) = (found, fusion.name)
                }
            }
            taken.formUnion(best)
            result.append(
                SubgraphOperator(
                    identifier: layers[best[best.count - 1]].identifier, kind: kind, target: target.name,
                    type: target.type, layout: target.layout, layers: best))
        }
        return result.sorted { ($0.layers.last ?? 0) < ($1.layers.last ?? 0) }
    }
}
