import ModelFiles

extension Network {
    /// The network with the shapes and types of its values worked out, and what was left open bound.
    ///
    /// - Parameter shapes: sizes of inputs by name. A size that the model names, as "batch", is bound everywhere.
    /// - Returns: the same network; values of operators that are not known here keep unknown shapes.
    /// - Throws: `GraphError.option` for shapes that do not fit the inputs, `GraphError.node` for layers whose inputs do not fit
    ///   each other.
    public func inferringShapes(_ shapes: [String: [Int]] = [:]) throws(GraphError) -> Network {
        var network = self
        let symbols = try network.bind(shapes)
        if !symbols.isEmpty { network.graph.substitute(symbols) }
        let inference = ShapeInference(source: source, operatorSets: operatorSets)
        try inference.infer(&network.graph, surroundings: [])
        return network
    }

    /// Gives inputs their shapes.
    ///
    /// - Returns: the sizes of what the model names.
    private mutating func bind(_ shapes: [String: [Int]]) throws(GraphError) -> [String: Int] {
        var symbols: [String: Int] = [:]
        for (name, sizes) in shapes.sorted(by: { $0.key < $1.key }) {
            let option = "--shape \(name)"
            guard graph.inputs.contains(name), var value = graph.values[name] else {
                throw .option(
                    option, expected: "an input: \(graph.inputs.prefix(8).joined(separator: ", "))", found: quoted(name)
                )
            }
            guard elementCount(sizes)?.multipliedReportingOverflow(by: 16).overflow == false else {
                throw .option(
                    option, expected: "sizes whose product is below 2^59", found: sizes.map { .size($0) }.text)
            }
            let given: [Dimension] = sizes.map { .size($0) }
            if let declared = value.shape {
                guard declared.count == sizes.count, zip(declared, given).allSatisfy({ $0.merged($1) != nil }) else {
                    throw .option(option, expected: declared.text, found: given.text)
                }
                for case (.symbol(let symbol), let size) in zip(declared, sizes) {
                    guard symbols.updateValue(size, forKey: symbol).map({ $0 == size }) ?? true else {
                        throw .option(option, expected: "one size for \(quoted(symbol))", found: given.text)
                    }
                }
            }
            value.shape = given
            graph.values[name] = value
        }
        return symbols
    }
}

extension Graph {
    /// Puts sizes in the place of names, in nested graphs too.
    mutating func substitute(_ symbols: [String: Int]) {
        func bound(_ dimension: Dimension) -> Dimension {
            if case .symbol(let name) = dimension, let size = symbols[name] { .size(size) } else { dimension }
        }
        values = values.mapValues { value in
            var value = value
            value.shape = value.shape?.map(bound)
            value.integers = value.integers?.map(bound)
            return value
        }
        for index in layers.indices {
            for name in layers[index].graphs.keys { layers[index].graphs[name]?.substitute(symbols) }
        }
    }
}

/// Works out what is known of the values of a network, layer by layer.
struct ShapeInference {
    let source: String
    let operatorSets: [String: Int]

    /// Fills in the values of a graph, whose inputs are known as far as they can be.
    func infer(_ graph: inout Graph, surroundings: [[String: Value]]) throws(GraphError) {
        for index in graph.layers.indices {
            var call = OperatorCall(
                graph.layers[index], in: graph, surroundings: surroundings, source: source, operatorSets: operatorSets)
            let results: [Value]
            if let known = Operators[call.layer] {
                results = try known.infer(&call)
                if !call.layer.graphs.isEmpty { graph.layers[index].graphs = call.layer.graphs }
            } else {
                results = []
            }
            for (place, name) in call.layer.outputs.enumerated() where !name.isEmpty {
                let declared = graph.values[name] ?? .unknown
                let value = (place < results.count ? results[place] : .unknown).completed(by: declared)
                try check(value, name, call)
                graph.values[name] = value
            }
        }
    }

    /// Refuses sizes that no tensor has.
    private func check(_ value: Value, _ name: String, _ call: OperatorCall) throws(GraphError) {
        guard let shape = value.shape else { return }
        let sizes = shape.compactMap(\.size)
        // Elements take 16 bytes at most.
        guard let count = elementCount(sizes), !count.multipliedReportingOverflow(by: 16).overflow else {
            throw call.failure("output \(quoted(name)) of sizes that make a tensor", shape.text)
        }
    }
}

extension OperatorCall {
    /// A layer with what its graph and those around it know of its inputs.
    init(
        _ layer: Layer, in graph: Graph, surroundings: [[String: Value]], source: String, operatorSets: [String: Int]
    ) {
        let all = layer.graphs.isEmpty ? [] : surroundings + [graph.values]
        self.init(
            layer: layer,
            inputs: layer.inputs.map { name in
                if name.isEmpty { return nil }
                if let value = graph.values[name] { return value }
                return surroundings.last { $0[name] != nil }?[name] ?? .unknown
            },
            version: operatorSets[layer.domain] ?? 1, source: source, surroundings: all, operatorSets: operatorSets)
    }

    /// Infers one of the layer's graphs and keeps what comes of it.
    ///
    /// - Parameters:
    ///   - name: the graph.
    ///   - arguments: what is known of its inputs.
    /// - Returns: what is known of its outputs.
    mutating func infer(graph name: String, _ arguments: [Value]) throws(GraphError) -> [Value] {
        guard var graph = layer.graphs[name] else { throw failure("a graph \(quoted(name))", "none") }
        for (input, value) in zip(graph.inputs, arguments) {
            graph.values[input] = value.completed(by: graph.values[input]?.cleared() ?? .unknown)
        }
        let inference = ShapeInference(source: source, operatorSets: operatorSets)
        try inference.infer(&graph, surroundings: surroundings)
        layer.graphs[name] = graph
        return graph.outputs.map { output in
            graph.values[output] ?? surroundings.last { $0[output] != nil }?[output] ?? .unknown
        }
    }
}

extension Value {
    /// What is inferred, and where that is open, what the model declares.
    func completed(by declared: Value) -> Value {
        var value = self
        value.type = type ?? declared.type
        if let shape {
            if let other = declared.shape, other.count == shape.count {
                value.shape = zip(shape, other).map { $0.merged($1) ?? $0 }
            }
        } else {
            value.shape = declared.shape
        }
        return value
    }
}
