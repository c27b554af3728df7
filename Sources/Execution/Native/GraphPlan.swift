import ModelFiles
import ModelGraph

/// A graph with the kernels of its layers, in the order in which they run.
final class GraphPlan: Sendable {
    /// What runs one layer.
    enum Step: Sendable {
        case kernel(Kernel)
        /// A convolution with the batch normalization that follows it in its weights.
        case normalized(Kernel, FoldedNormalization)
        /// One of two graphs, by a condition.
        case branches(yes: GraphPlan, no: GraphPlan)
        /// The body of a function.
        case function(GraphPlan)
    }

    let graph: Graph
    /// The layers in the order of the subgraph operators that they belong to.
    let layers: [Layer]
    let steps: [Step]
    let weights: [String: Weight]
    /// For each layer the values that nothing needs after it.
    let drops: [[String]]

    /// Plans a graph and those within it.
    ///
    /// - Parameters:
    ///   - configuration: which layers are fused.
    ///   - source: as errors name the network.
    /// - Throws: `KernelFailure` for the first layer that no kernel computes, with its name and operator.
    init(_ graph: Graph, _ configuration: TargetConfiguration, source: String) throws(KernelFailure) {
        self.graph = graph
        weights = Dictionary(graph.weights.map { ($0.value, $0) }) { first, _ in first }
        var planned: [Step] = []
        for layer in graph.layers { planned.append(try Self.step(layer, configuration, source: source)) }
        let subgraphs: [SubgraphOperator]
        do throws(GraphError) { subgraphs = try graph.subgraphs(configuration, source: source) } catch {
            throw KernelFailure(expected: "layers that a target takes", found: error.description)
        }
        var (layers, steps) = ([Layer](), [Step]())
        for subgraph in subgraphs {
            guard subgraph.target == NativeTarget.name else {
                throw KernelFailure(
                    expected: "layers of target \(NativeTarget.name)",
                    found: "node \(quoted(subgraph.identifier)) of target \(subgraph.target)")
            }
            for index in subgraph.layers {
                let layer = graph.layers[index]
                if let last = layers.last, subgraph.layers.first != index, case .kernel(let kernel)? = steps.last,
                    let folded = FoldedNormalization(layer, after: last, weights: weights)
                {
                    layers[layers.count - 1].outputs = [layer.outputs[0]]
                    steps[steps.count - 1] = .normalized(kernel, folded)
                } else {
                    layers.append(layer)
                    steps.append(planned[index])
                }
            }
        }
        var last: [String: Int] = [:]
        for (index, layer) in layers.enumerated() {
            for name in layer.outputs + layer.reads { last[name] = index }
        }
        for output in graph.outputs { last[output] = nil }
        var drops = [[String]](repeating: [], count: steps.count)
        for (name, index) in last where !name.isEmpty { drops[index].append(name) }
        (self.layers, self.steps, self.drops) = (layers, steps, drops)
    }

    private static func step(
        _ layer: Layer, _ configuration: TargetConfiguration, source: String
    ) throws(KernelFailure) -> Step {
        if let body = layer.graphs[Layer.functionBody] {
            return .function(try GraphPlan(body, configuration, source: source))
        }
        if layer.domain.isEmpty, layer.type == "If", let yes = layer.graphs["then_branch"],
            let no = layer.graphs["else_branch"]
        {
            return .branches(
                yes: try GraphPlan(yes, configuration, source: source),
                no: try GraphPlan(no, configuration, source: source))
        }
        guard layer.domain.isEmpty, let kernel = Kernels.all[layer.type] else {
            throw KernelFailure(
                expected: "an operator that it computes",
                found: "\(layer.fullType) (node \(quoted(layer.identifier)))")
        }
        return .kernel(kernel)
    }
}
