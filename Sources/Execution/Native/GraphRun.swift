import ModelFiles
import ModelGraph

/// One run of a graph: its values, each for as long as a layer needs it.
final class GraphRun {
    private let plan: GraphPlan
    let context: RunContext
    /// The run of the graph around it, whose values it sees.
    private let outer: GraphRun?
    /// By the plan's numbers.
    private var values: [Tensor?]

    init(_ plan: GraphPlan, _ context: RunContext, outer: GraphRun?) {
        self.plan = plan
        self.context = context
        self.outer = outer
        values = Array(repeating: nil, count: plan.values.names.count)
    }

    /// Runs all layers.
    ///
    /// - Parameter inputs: by name.
    /// - Returns: the outputs of the graph, in its order.
    func run(_ inputs: [String: Tensor]) throws(LayerFailure) -> [Tensor] {
        for (name, tensor) in inputs { if let number = plan.values[name] { values[number] = tensor } }
        for index in plan.steps.indices { try run(index) }
        var outputs: [Tensor] = []
        for name in plan.graph.outputs {
            guard let number = plan.values[name], let value = try find(number, in: "") else {
                throw LayerFailure(node: "", KernelFailure(expected: "output \(quoted(name))", found: "no value"))
            }
            outputs.append(value)
        }
        return outputs
    }

    private func run(_ index: Int) throws(LayerFailure) {
        let layer = plan.layers[index]
        let results: [Tensor]
        switch plan.steps[index] {
        case .kernel(let kernel):
            var call = try call(layer, droppingAfter: index)
            do throws(KernelFailure) {
                results = try Kernels.run(kernel, &call)
                for result in results { _ = try checkedCount(result.shape) }
            } catch { throw LayerFailure(node: layer.identifier, error) }
        case .normalized(let kernel, let normalization):
            var call = try call(layer, droppingAfter: index)
            do throws(KernelFailure) {
                try normalization.fold(into: &call, isKept: context.weights.areKept) { (name) throws(KernelFailure) in
                    guard let weight = plan.weights[name] else { return nil }
                    return try context.weights.tensor(weight, plan.graph.values[name] ?? Value())
                }
                results = try Kernels.run(kernel, &call)
            } catch { throw LayerFailure(node: layer.identifier, error) }
        case .branches(let yes, let no):
            guard let number = plan.inputs[index].first ?? nil,
                case .integers(let condition)? = try find(number, in: layer.identifier)?.elements,
                let first = condition.first
            else { throw LayerFailure(node: layer.identifier, KernelFailure(expected: "a condition", found: "none")) }
            results = try GraphRun(first != 0 ? yes : no, context, outer: self).run([:])
        case .function(let body):
            let call = try call(layer, droppingAfter: index)
            var inputs: [String: Tensor] = [:]
            for (name, tensor) in zip(body.graph.inputs, call.inputs) { inputs[name] = tensor }
            results = try GraphRun(body, context, outer: nil).run(inputs)
        case .loop(let body): results = try loop(body, try call(layer, droppingAfter: index))
        case .scan(let body): results = try scan(body, try call(layer, droppingAfter: index))
        }
        for (place, number) in plan.outputs[index].enumerated() {
            guard let number else { continue }
            guard place < results.count else {
                throw LayerFailure(
                    node: layer.identifier,
                    KernelFailure(expected: "output \(quoted(layer.outputs[place]))", found: "\(results.count) outputs")
                )
            }
            values[number] = results[place]
        }
        for number in plan.drops[index] { values[number] = nil }
    }

    /// The layer with its inputs; those that nothing needs later belong to the call alone.
    private func call(_ layer: Layer, droppingAfter index: Int) throws(LayerFailure) -> KernelCall {
        var inputs: [Tensor?] = []
        inputs.reserveCapacity(layer.inputs.count)
        for (place, number) in plan.inputs[index].enumerated() {
            guard let number else {
                inputs.append(nil)
                continue
            }
            guard let value = try find(number, in: layer.identifier) else {
                throw LayerFailure(
                    node: layer.identifier,
                    KernelFailure(expected: "value \(quoted(layer.inputs[place]))", found: "none"))
            }
            inputs.append(value)
        }
        if layer.graphs.isEmpty { for number in plan.drops[index] { values[number] = nil } }
        return KernelCall(
            layer: layer, inputs: inputs, version: context.operatorSets[layer.domain] ?? 1, blas: context.blas,
            mode: plan.modes[index], weights: plan.weightInputs[index],
            memory: context.weights.areKept ? plan.prepared[index] : nil)
    }

    private func find(_ number: Int, in node: String) throws(LayerFailure) -> Tensor? {
        if let value = values[number] { return value }
        do throws(KernelFailure) {
            if let weight = try plan.weight(number, context.weights) { return weight }
        } catch { throw LayerFailure(node: node, error) }
        let name = plan.values.names[number]
        var run = outer
        while let graph = run {
            if let number = graph.plan.values[name] { return try graph.find(number, in: node) }
            run = graph.outer
        }
        return nil
    }
}

/// What all graphs of a run share.
struct RunContext: Sendable {
    let weights: NativeWeights
    let blas: BLAS
    let operatorSets: [String: Int]
}

/// Why a layer did not run.
struct LayerFailure: Error {
    let node: String
    let failure: KernelFailure

    init(node: String, _ failure: KernelFailure) {
        self.node = node
        self.failure = failure
    }

    var reason: String {
        (node.isEmpty ? "" : "node \(quoted(node)): ") + "expected \(failure.expected), found \(failure.found)"
    }
}
