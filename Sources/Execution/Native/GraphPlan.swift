import ModelFiles
import ModelGraph

/// A graph with the kernels of its layers, ready to run.
final class GraphPlan: Sendable {
    /// What runs one layer.
    enum Step: Sendable {
        case kernel(Kernel)
        /// One of two graphs, by a condition.
        case branches(yes: GraphPlan, no: GraphPlan)
        /// The body of a function.
        case function(GraphPlan)
    }

    let graph: Graph
    let steps: [Step]
    let weights: [String: Weight]
    /// For each layer the values that nothing needs after it.
    let drops: [[String]]

    /// Plans a graph and those within it.
    ///
    /// - Throws: `KernelFailure` for the first layer that no kernel computes, as its name and operator.
    init(_ graph: Graph) throws(KernelFailure) {
        self.graph = graph
        weights = Dictionary(graph.weights.map { ($0.value, $0) }) { first, _ in first }
        var steps: [Step] = []
        var last: [String: Int] = [:]
        for (index, layer) in graph.layers.enumerated() {
            steps.append(try Self.step(layer))
            for name in layer.outputs + layer.reads { last[name] = index }
        }
        for output in graph.outputs { last[output] = nil }
        var drops = [[String]](repeating: [], count: steps.count)
        for (name, index) in last where !name.isEmpty { drops[index].append(name) }
        self.steps = steps
        self.drops = drops
    }

    private static func step(_ layer: Layer) throws(KernelFailure) -> Step {
        if let body = layer.graphs[Layer.functionBody] { return .function(try GraphPlan(body)) }
        if layer.domain.isEmpty, layer.type == "If", let yes = layer.graphs["then_branch"],
            let no = layer.graphs["else_branch"]
        {
            return .branches(yes: try GraphPlan(yes), no: try GraphPlan(no))
        }
        guard layer.domain.isEmpty, let kernel = Kernels.all[layer.type] else {
            throw KernelFailure(
                expected: "an operator that it computes", found: "\(layer.fullType) (node \(quoted(layer.identifier)))")
        }
        return .kernel(kernel)
    }
}
