import ModelFiles

extension Network {
    /// Works out what the network needs.
    ///
    /// Call it on a network whose shapes are inferred; sizes that are still open are left out of the sums, with a note.
    ///
    /// - Parameter type: what floats are held in; `nil` for the types that the model has.
    /// - Throws: `GraphError` when amounts are beyond 2^60.
    public func estimate(as type: NumericType? = nil) throws(GraphError) -> ResourceEstimate {
        var estimator = Estimator(network: self, type: type)
        return try estimator.estimate()
    }
}

/// Adds up what layers need, and follows which values are alive at the same time.
///
/// An engine runs layers one after another, in the order they are in. A value lives from the layer that gives it to the last
/// one that takes it. What only has another shape shares its memory; activation functions write over an input that nothing
/// needs any more, when it is as large. What depends on weights alone is worked out once, before the first run.
struct Estimator {
    let network: Network
    let type: NumericType?
    private var layers: [LayerEstimate] = []
    private var weights: [String: Int] = [:]
    private var notes: [String] = []
    private var unknown: [String] = []
    private var unknownTypes: Set<String> = []

    /// What a graph takes while it runs.
    private struct Cost {
        var activationBytes = 0
        var peakBytes = 0
        var peakLayer: String?
        var multiplyAdds = 0
    }

    /// A graph, its weights' names by their values, and what is worked out before the first run.
    private struct Frame {
        let graph: Graph
        let weightNames: [String: String]
        var constants: Set<String>

        init(_ graph: Graph, in surroundings: [Frame]) {
            self.graph = graph
            constants = (surroundings.last?.constants ?? []).union(graph.weights.map(\.value))
            weightNames = Dictionary(graph.weights.map { ($0.value, $0.name) }) { first, _ in first }
        }
    }

    init(network: Network, type: NumericType?) {
        self.network = network
        self.type = type
    }

    mutating func estimate() throws(GraphError) -> ResourceEstimate {
        let graph = network.graph
        collectWeights(graph)
        let cost = try run(graph, surroundings: [], depth: 0, turns: 1, ownsInputs: false)
        var inputBytes = 0
        for name in graph.inputs {
            guard let bytes = graph.values[name]?.bytes(as: type) else { continue }
            inputBytes = try sum(inputBytes, bytes)
        }
        if !unknown.isEmpty {
            let some = unknown.prefix(3).map(quoted).joined(separator: ", ")
            notes.append(
                "\(unknown.count) layers with values of unknown size are not counted: \(some)\(unknown.count > 3 ? ", …" : "")"
            )
        }
        if !unknownTypes.isEmpty {
            notes.append("operators that are not known here: \(unknownTypes.sorted().joined(separator: ", "))")
        }
        var weightBytes = 0
        for bytes in weights.values { weightBytes = try sum(weightBytes, bytes) }
        return ResourceEstimate(
            type: type, computeType: type ?? NumericType(prevailingIn: network), layers: layers,
            weightBytes: weightBytes, weights: weights, inputBytes: inputBytes, activationBytes: cost.activationBytes,
            peakActivationBytes: cost.peakBytes, peakLayer: cost.peakLayer, multiplyAdds: cost.multiplyAdds,
            notes: network.notes + notes)
    }

    private mutating func collectWeights(_ graph: Graph) {
        for weight in graph.weights { weights[weight.name] = graph.values[weight.value]?.bytes(as: type) ?? 0 }
        for layer in graph.layers { for graph in layer.orderedGraphs { collectWeights(graph.graph) } }
    }

    /// Runs through a graph.
    ///
    /// - Parameters:
    ///   - surroundings: values and weights of the graphs around it.
    ///   - turns: how often it runs.
    ///   - ownsInputs: whether its inputs take memory of its own, as the states of a loop do.
    private mutating func run(
        _ graph: Graph, surroundings: [Frame], depth: Int, turns: Int, ownsInputs: Bool
    ) throws(GraphError) -> Cost {
        var cost = Cost()
        var memory = Liveness(graph, type: type, ownsInputs: ownsInputs)
        cost.peakBytes = memory.live
        var outer = surroundings + [Frame(graph, in: surroundings)]
        let values = surroundings.map(\.graph.values)
        for (index, layer) in graph.layers.enumerated() {
            let call = OperatorCall(
                layer, in: graph, surroundings: values, source: network.source, operatorSets: network.operatorSets)
            let known = Operators[layer]
            if known == nil { unknownTypes.insert(layer.fullType) }
            let results = layer.outputs.map { graph.values[$0] ?? .unknown }
            if layer.isConstant(given: outer[outer.count - 1].constants) {
                outer[outer.count - 1].constants.formUnion(layer.outputs)
                layers.append(
                    self.layer(layer, call, known, results, outer, depth: depth, turns: 0, 0, 0))
                continue
            }
            let place = layers.count
            let inner = try runInner(call, outer, depth: depth, turns: turns)
            cost.activationBytes = try sum(cost.activationBytes, inner.activationBytes)

            let workspace = known?.workspace(call, results) ?? 0
            let bits =
                results.first.flatMap { $0.type?.isFloat == true ? type?.bits : nil } ?? results.first?.bitWidth ?? 32
            let workspaceBytes = product([workspace, max(bits, 8) / 8]) ?? 0
            var own = known?.multiplyAdds(call, results)
            if !layer.graphs.isEmpty { own = 0 }
            if own == nil || zip(layer.outputs, results).contains(where: { !$0.isEmpty && $1.bytes(as: type) == nil }) {
                unknown.append(layer.identifier)
            }
            let multiplyAdds = own.flatMap { product([$0, turns]) }
            if own != nil, multiplyAdds == nil { throw tooMuch(layer) }
            cost.multiplyAdds = try sum(cost.multiplyAdds, try sum(multiplyAdds ?? 0, inner.multiplyAdds))

            let before = memory.live
            let given = memory.give(index, layer, known?.buffer ?? .own)
            cost.activationBytes = try sum(cost.activationBytes, given)
            // A graph's results become the layer's own; a loop gathers those of its turns beside them.
            let during = max(
                memory.live,
                try sum(layer.type == "Loop" || layer.type == "Scan" ? memory.live : before, inner.peakBytes))
            let peak = try sum(during, workspaceBytes)
            if peak > cost.peakBytes {
                cost.peakBytes = peak
                cost.peakLayer = inner.peakBytes > 0 ? inner.peakLayer ?? layer.identifier : layer.identifier
            }
            memory.release(after: index)
            layers.insert(
                self.layer(
                    layer, call, known, results, outer, depth: depth, turns: turns, workspaceBytes, multiplyAdds),
                at: place)
        }
        return cost
    }

    private func layer(
        _ layer: Layer, _ call: OperatorCall, _ known: Operator?, _ results: [Value], _ frames: [Frame], depth: Int,
        turns: Int, _ workspaceBytes: Int, _ multiplyAdds: Int?
    ) -> LayerEstimate {
        var names: [String] = []
        var weightBytes = 0
        var moved = 0
        for (input, value) in zip(layer.inputs, call.inputs) where !input.isEmpty {
            let bytes = value?.bytes(as: type) ?? 0
            moved = saturatingSum(moved, bytes)
            guard let home = frames.last(where: { $0.graph.values[input] != nil }),
                let name = home.weightNames[input]
            else { continue }
            if !names.contains(name) {
                names.append(name)
                weightBytes = saturatingSum(weightBytes, bytes)
            }
        }
        var activationBytes: Int? = 0
        for (name, value) in zip(layer.outputs, results) where !name.isEmpty {
            let bytes = value.bytes(as: type)
            moved = saturatingSum(moved, bytes ?? 0)
            activationBytes = bytes.flatMap { bytes in activationBytes.map { saturatingSum($0, bytes) } }
        }
        if known?.buffer == .view || !layer.graphs.isEmpty { moved = 0 }
        return LayerEstimate(
            identifier: layer.identifier, type: layer.fullType, depth: depth, turns: turns, weightBytes: weightBytes,
            activationBytes: activationBytes, workspaceBytes: workspaceBytes, multiplyAdds: multiplyAdds,
            movedBytes: product([moved, turns]) ?? .max, weights: names)
    }

    /// Runs through the graphs of a layer.
    private mutating func runInner(
        _ call: OperatorCall, _ surroundings: [Frame], depth: Int, turns: Int
    ) throws(GraphError) -> Cost {
        let layer = call.layer
        guard !layer.graphs.isEmpty else { return Cost() }
        if layer.type == "If", layer.domain.isEmpty, layer.graphs[Layer.functionBody] == nil {
            return try runBranch(call, surroundings, depth: depth, turns: turns)
        }
        var total = Cost()
        for (_, graph) in layer.orderedGraphs {
            var inner = turns
            let repeats = layer.type == "Loop" || layer.type == "Scan"
            if repeats {
                if let count = call.turns.size {
                    guard let all = product([turns, count]) else { throw tooMuch(layer) }
                    inner = all
                } else {
                    notes.append("\(quoted(layer.identifier)): how often it runs is not known; one turn is counted")
                }
            }
            let cost = try run(graph, surroundings: surroundings, depth: depth + 1, turns: inner, ownsInputs: repeats)
            if cost.peakBytes >= total.peakBytes {
                total.peakBytes = cost.peakBytes
                total.peakLayer = cost.peakLayer
            }
            total.multiplyAdds = try sum(total.multiplyAdds, cost.multiplyAdds)
            total.activationBytes = try sum(total.activationBytes, cost.activationBytes)
        }
        return total
    }

    /// Runs through the branch that an If takes, or else through both, of which the heavier one is kept.
    private mutating func runBranch(
        _ call: OperatorCall, _ surroundings: [Frame], depth: Int, turns: Int
    ) throws(GraphError) -> Cost {
        let layer = call.layer
        if let taken = layer.takenBranch(condition: call[0]), let graph = layer.graphs[taken] {
            return try run(graph, surroundings: surroundings, depth: depth + 1, turns: turns, ownsInputs: false)
        }
        var best: (name: String, cost: Cost, state: Estimator)?
        let before = self
        for (name, graph) in layer.orderedGraphs {
            self = before
            let cost = try run(graph, surroundings: surroundings, depth: depth + 1, turns: turns, ownsInputs: false)
            if let best, (best.cost.multiplyAdds, best.cost.peakBytes) >= (cost.multiplyAdds, cost.peakBytes) {
                continue
            }
            best = (name, cost, self)
        }
        guard let best else { return Cost() }
        self = best.state
        if best.cost.multiplyAdds > 0 {
            notes.append("\(quoted(layer.identifier)): \(best.name) is counted, the heavier of its branches")
        }
        return best.cost
    }

    private func sum(_ a: Int, _ b: Int) throws(GraphError) -> Int {
        let (sum, overflow) = a.addingReportingOverflow(b)
        guard !overflow, sum < 1 << 60 else {
            throw .graph(source: network.source, part: "graph", expected: "amounts below 2^60", found: "more")
        }
        return sum
    }

    private func tooMuch(_ layer: Layer) -> GraphError {
        .node(
            source: network.source, node: layer.identifier, expected: "multiply-adds below 2^63", found: "more")
    }
}

extension Layer {
    /// Whether its outputs depend on constants alone.
    fileprivate func isConstant(given constants: Set<String>) -> Bool {
        let isRandom = type.hasPrefix("Random") || type == "Bernoulli" || type == "Multinomial"
        return !isRandom && !inputs.isEmpty && reads.allSatisfy { constants.contains($0) }
    }
}
