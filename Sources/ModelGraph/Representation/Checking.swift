import ModelFiles

extension Network {
    /// The network with its layers in order and connected, once it is known to hold together.
    ///
    /// - Throws: `GraphError.node` for layers that share an identifier, take what nothing gives, give what exists already or
    ///   form a cycle; `GraphError.graph` for the rest.
    func checked() throws(GraphError) -> Network {
        var network = self
        var checker = GraphChecker(source: source)
        try checker.check(&network.graph, around: [], depth: 0)
        return network
    }
}

/// Checks a graph and those within it.
private struct GraphChecker {
    let source: String
    private var identifiers: Set<String> = []

    /// As deep as files of ONNX nest graphs, with functions within functions.
    private static let deepest = 64

    init(source: String) { self.source = source }

    mutating func check(_ graph: inout Graph, around: [Set<String>], depth: Int) throws(GraphError) {
        guard depth <= Self.deepest else {
            throw .graph(
                source: source, part: "graph", expected: "at most \(Self.deepest) nested graphs", found: "more")
        }
        var given: Set<String> = []
        for name in graph.inputs + graph.weights.map(\.value) {
            guard !name.isEmpty, given.insert(name).inserted else {
                throw .graph(
                    source: source, part: "graph", expected: "names of their own for inputs and weights",
                    found: "\(quoted(name)) twice")
            }
        }
        for layer in graph.layers {
            guard identifiers.insert(layer.identifier).inserted else {
                throw failure(layer, "an identifier of its own", "one that another layer has")
            }
            for output in layer.outputs where !output.isEmpty {
                guard given.insert(output).inserted else {
                    throw failure(layer, "outputs that nothing else gives", "\(quoted(output)), which exists already")
                }
            }
        }
        let visible = around + [given]
        func isVisible(_ name: String) -> Bool { visible.contains { $0.contains(name) } }
        for index in graph.layers.indices {
            let layer = graph.layers[index]
            for input in layer.inputs where !input.isEmpty && !isVisible(input) {
                throw failure(layer, "inputs that something gives", "\(quoted(input)), which nothing does")
            }
            for name in layer.graphs.keys.sorted() {
                guard var inner = layer.graphs[name] else { continue }
                try check(&inner, around: name == Layer.functionBody ? [] : visible, depth: depth + 1)
                graph.layers[index].graphs[name] = inner
            }
        }
        for output in graph.outputs where !isVisible(output) {
            throw .graph(
                source: source, part: "graph", expected: "a layer that gives output \(quoted(output))", found: "none")
        }
        graph.values = graph.values.filter { given.contains($0.key) }
        for name in given where graph.values[name] == nil { graph.values[name] = .unknown }
        for (name, value) in graph.values { try check(value, name) }
        graph.layers = try sorted(graph.layers, source: source)
        graph.connect()
    }

    private func check(_ value: Value, _ name: String) throws(GraphError) {
        guard let shape = value.shape else { return }
        guard let count = elementCount(shape.compactMap(\.size)),
            !count.multipliedReportingOverflow(by: 16).overflow
        else {
            throw .graph(
                source: source, part: "value \(quoted(name))", expected: "sizes that make a tensor", found: shape.text)
        }
        for elements in [value.integers?.count, value.reals?.count] {
            guard let elements else { continue }
            guard elements <= Value.mostFollowed, elements == value.count else {
                throw .graph(
                    source: source, part: "value \(quoted(name))",
                    expected: "as many elements as sizes, at most \(Value.mostFollowed)",
                    found: "\(elements) for \(shape.text)")
            }
        }
    }

    private func failure(_ layer: Layer, _ expected: String, _ found: String) -> GraphError {
        .node(source: source, node: layer.identifier, expected: expected, found: found)
    }
}

/// Layers in an order in which each comes after those it takes values from; those that are so already keep theirs.
///
/// - Throws: `GraphError.node` that names the layers of a cycle.
func sorted(_ layers: [Layer], source: String) throws(GraphError) -> [Layer] {
    let givers = layers.givers
    let needs = layers.map { layer in layer.reads.compactMap { givers[$0] } }
    // 0: not seen, 1: waits for what it needs, 2: placed.
    var states = [UInt8](repeating: 0, count: layers.count)
    var order: [Int] = []
    for root in layers.indices where states[root] == 0 {
        states[root] = 1
        var path = [(layer: root, next: 0)]
        while let (layer, next) = path.last {
            guard next < needs[layer].count else {
                states[layer] = 2
                order.append(layer)
                path.removeLast()
                continue
            }
            path[path.count - 1].next += 1
            let need = needs[layer][next]
            if states[need] == 1 {
                let start = path.firstIndex { $0.layer == need } ?? 0
                let cycle = path[start...].prefix(8).map { quoted(layers[$0.layer].identifier) }
                throw .node(
                    source: source, node: layers[need].identifier,
                    expected: "layers without a cycle", found: "one through \(cycle.joined(separator: ", "))")
            }
            if states[need] == 0 {
                states[need] = 1
                path.append((need, 0))
            }
        }
    }
    return order.map { layers[$0] }
}

extension Graph {
    /// Fills in the layers upstream and downstream of each.
    mutating func connect() {
        let givers = layers.givers
        for index in layers.indices {
            layers[index].upstream = []
            layers[index].downstream = []
        }
        for index in layers.indices {
            var seen: Set<Int> = []
            for name in layers[index].reads {
                guard let giver = givers[name], seen.insert(giver).inserted else { continue }
                layers[index].upstream.append(layers[giver].identifier)
                layers[giver].downstream.append(layers[index].identifier)
            }
        }
    }
}

extension Layer {
    /// The name under which a layer holds the graph of the function that it calls.
    public static let functionBody = "function"
}
