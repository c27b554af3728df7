import ModelFiles
import ModelGraph
import Synchronization

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
        /// A graph that runs again and again.
        case loop(GraphPlan)
        /// A graph that runs for each slice of its inputs.
        case scan(GraphPlan)
    }

    let graph: Graph
    /// The layers in the order of the subgraph operators that they belong to.
    let layers: [Layer]
    let steps: [Step]
    let weights: [String: Weight]
    /// How each layer is computed.
    let modes: [LayerMode]
    /// For each layer the inputs that are weights, of this graph or one around it.
    let weightInputs: [Set<Int>]
    /// For each layer what it makes of its weights.
    let prepared: [PreparedWeights]
    /// The values of the graph, by numbers.
    let values: ValueNumbers
    /// For each layer the values that it takes, of which one that is left out has no number, and those that it gives.
    let inputs: [[Int?]]
    let outputs: [[Int?]]
    /// For each layer the values that nothing needs after it.
    let drops: [[Int]]
    /// Weights that stay in memory.
    private let kept: Mutex<[Int: Tensor]> = Mutex([:])

    /// Plans a graph and those within it.
    ///
    /// - Parameters:
    ///   - choices: which layers are fused, and how they are computed.
    ///   - source: as errors name the network.
    ///   - outer: names of the weights of graphs around it.
    /// - Throws: `KernelFailure` for the first layer that no kernel computes, with its name and operator.
    init(
        _ graph: Graph, _ choices: NativeChoices, source: String, outer: Set<String> = []
    ) throws(KernelFailure) {
        self.graph = graph
        weights = Dictionary(graph.weights.map { ($0.value, $0) }) { first, _ in first }
        let own = Set(graph.inputs + graph.layers.flatMap(\.outputs))
        let known = outer.subtracting(own).union(weights.keys)
        var planned: [Step] = []
        for layer in graph.layers { planned.append(try Self.step(layer, choices, source: source, outer: known)) }
        let subgraphs: [SubgraphOperator]
        do throws(GraphError) { subgraphs = try graph.subgraphs(choices.configuration, source: source) } catch {
            throw KernelFailure(expected: "layers that a target takes", found: error.description)
        }
        var (layers, steps, modes) = ([Layer](), [Step](), [LayerMode]())
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
                    modes.append(choices.mode(of: subgraph))
                }
            }
        }
        var last: [String: Int] = [:]
        for (index, layer) in layers.enumerated() {
            for name in layer.outputs + layer.reads { last[name] = index }
        }
        for output in graph.outputs { last[output] = nil }
        let values = ValueNumbers(graph, layers)
        var drops = [[Int]](repeating: [], count: steps.count)
        for (name, index) in last { if let number = values[name] { drops[index].append(number) } }
        (self.layers, self.steps, self.drops, self.modes) = (layers, steps, drops, modes)
        self.values = values
        inputs = layers.map { $0.inputs.map { values[$0] } }
        outputs = layers.map { $0.outputs.map { values[$0] } }
        weightInputs = layers.map { layer in Set(layer.inputs.indices.filter { known.contains(layer.inputs[$0]) }) }
        prepared = layers.map { _ in PreparedWeights() }
    }

    /// A weight of the graph by the number of its value; `nil` for what is none.
    func weight(_ number: Int, _ all: NativeWeights) throws(KernelFailure) -> Tensor? {
        guard let weight = weights[values.names[number]] else { return nil }
        if all.areKept, let tensor = kept.withLock({ $0[number] }) { return tensor }
        let tensor = try all.tensor(weight, graph.values[weight.value] ?? Value())
        if all.areKept { kept.withLock { $0[number] = tensor } }
        return tensor
    }

    private static func step(
        _ layer: Layer, _ choices: NativeChoices, source: String, outer: Set<String>
    ) throws(KernelFailure) -> Step {
        if let body = layer.graphs[Layer.functionBody] {
            return .function(try GraphPlan(body, choices, source: source))
        }
        if layer.domain.isEmpty, layer.type == "If", let yes = layer.graphs["then_branch"],
            let no = layer.graphs["else_branch"]
        {
            return .branches(
                yes: try GraphPlan(yes, choices, source: source, outer: outer),
                no: try GraphPlan(no, choices, source: source, outer: outer))
        }
        if layer.domain.isEmpty, let body = layer.graphs["body"] {
            let plan = try GraphPlan(body, choices, source: source, outer: outer)
            if layer.type == "Loop" { return .loop(plan) }
            if layer.type == "Scan" { return .scan(plan) }
        }
        guard layer.domain.isEmpty, let kernel = Kernels.all[layer.type] else {
            throw KernelFailure(
                expected: "an operator that it computes",
                found: "\(layer.fullType) (node \(quoted(layer.identifier)))")
        }
        return .kernel(kernel)
    }
}

/// The values of a graph by numbers, so that a run looks up none by its name.
struct ValueNumbers: Sendable {
    let names: [String]
    private let numbers: [String: Int]

    init(_ graph: Graph, _ layers: [Layer]) {
        var names: [String] = []
        var numbers: [String: Int] = [:]
        for name in graph.inputs + layers.flatMap({ $0.outputs + $0.reads }) + graph.outputs
        where !name.isEmpty && numbers[name] == nil {
            numbers[name] = names.count
            names.append(name)
        }
        (self.names, self.numbers) = (names, numbers)
    }

    subscript(name: String) -> Int? { numbers[name] }
}
