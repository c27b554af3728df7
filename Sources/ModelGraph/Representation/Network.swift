import ModelFiles

/// A network in one normalized representation, whatever framework it comes from.
///
/// Source: claims 1 to 4 of CN110058936B. For each layer it holds an identifier, the type, the layers upstream and downstream
/// and the configurable attributes; weights are named, never copied.
public struct Network: Hashable, Sendable {
    /// What the model calls itself; may be empty.
    public var name: String
    /// Where it comes from, as errors name it: a path, a URL or a command.
    public var source: String
    /// Versions of the operator sets by domain, ONNX's own under "".
    public var operatorSets: [String: Int]
    /// The main graph.
    public var graph: Graph
    /// What a person should know about how it was made, a line each.
    public var notes: [String]

    public init(
        name: String, source: String, operatorSets: [String: Int], graph: Graph, notes: [String] = []
    ) {
        self.name = name
        self.source = source
        self.operatorSets = operatorSets
        self.graph = graph
        self.notes = notes
    }

    /// Calls `body` with every layer, those of nested graphs after the one around them.
    public func forEachLayer<Failure: Error>(_ body: (Layer, Graph) throws(Failure) -> Void) throws(Failure) {
        try graph.forEachLayer(body)
    }
}

/// Layers in topological order, and the values between them.
public struct Graph: Hashable, Sendable {
    /// Values that are given from outside, in order.
    public var inputs: [String]
    /// Values that are handed out, in order.
    public var outputs: [String]
    /// Weights and other constants.
    public var weights: [Weight]
    /// Layers, each after those that it takes values from.
    public var layers: [Layer]
    /// What is known of each value by its name: inputs, weights, and outputs of layers.
    ///
    /// A nested graph (a branch of If, the body of Loop or Scan) sees the values of the graph around it too.
    public var values: [String: Value]

    public init(
        inputs: [String], outputs: [String], weights: [Weight], layers: [Layer], values: [String: Value]
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.weights = weights
        self.layers = layers
        self.values = values
    }

    /// Calls `body` with every layer and the graph it is in, those of nested graphs after the one around them.
    func forEachLayer<Failure: Error>(_ body: (Layer, Graph) throws(Failure) -> Void) throws(Failure) {
        for layer in layers {
            try body(layer, self)
            for graph in layer.orderedGraphs { try graph.graph.forEachLayer(body) }
        }
    }

    /// Names that the graph, or one within it, takes from the graph around it.
    var captured: Set<String> {
        var names = Set(outputs)
        for layer in layers {
            names.formUnion(layer.inputs)
            for graph in layer.graphs.values { names.formUnion(graph.captured) }
        }
        return names.filter { !$0.isEmpty && values[$0] == nil }
    }
}

/// One layer: an operation on values.
public struct Layer: Hashable, Sendable {
    /// Its name, unique in the network.
    public var identifier: String
    /// The operation, as "Conv" or "LSTM"; named as ONNX names it.
    public var type: String
    /// The operator set that the type is from, "" for ONNX's own.
    public var domain: String
    /// Values it takes; "" stands for one that is left out.
    public var inputs: [String]
    /// Values it gives; "" stands for one that nobody asks for.
    public var outputs: [String]
    /// Identifiers of the layers of the same graph that it takes values from.
    public var upstream: [String] = []
    /// Identifiers of the layers of the same graph that take values from it.
    public var downstream: [String] = []
    /// What configures it, by name.
    public var attributes: [String: Attribute]
    /// Graphs that it runs, by the attribute they are in: `then_branch`, `body`.
    public var graphs: [String: Graph]

    public init(
        identifier: String, type: String, domain: String = "", inputs: [String], outputs: [String],
        attributes: [String: Attribute] = [:], graphs: [String: Graph] = [:]
    ) {
        self.identifier = identifier
        self.type = type
        self.domain = domain
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
        self.graphs = graphs
    }

    /// The type with its domain, as "com.microsoft.Gelu".
    public var fullType: String { domain.isEmpty ? type : "\(domain).\(type)" }

    /// Its graphs by the names they have, in the same order every time.
    var orderedGraphs: [(name: String, graph: Graph)] {
        graphs.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// All names it takes from its graph: its inputs, and what its own graphs take from around them.
    public var reads: [String] {
        var seen: Set<String> = []
        let captured = graphs.isEmpty ? [] : orderedGraphs.flatMap { $0.graph.captured.sorted() }
        return (inputs + captured).filter { !$0.isEmpty && seen.insert($0).inserted }
    }
}

extension [Layer] {
    /// The place of the layer that gives each value.
    package var givers: [String: Int] {
        var givers: [String: Int] = [:]
        for (place, layer) in enumerated() {
            for output in layer.outputs where !output.isEmpty { givers[output] = place }
        }
        return givers
    }
}

/// What configures a layer.
public enum Attribute: Hashable, Sendable {
    case integer(Int)
    case number(Double)
    case text(String)
    case integers([Int])
    case numbers([Double])
    case texts([String])
    /// A tensor, of which the elements are known when they are few.
    case tensor(Value)
    /// Something too large or of a kind that is not read here; says what.
    case other(String)
}

/// A tensor that belongs to the network: its values stay where they are.
public struct Weight: Hashable, Sendable, Codable {
    /// The value that layers take it by.
    public var value: String
    /// The tensor's name in the model file, as `wcodec inspect` lists it.
    public var name: String
    /// The file that holds its elements, by its name beside the model; `nil` where they are no run of bytes.
    public var file: String?
    /// Offset of its first byte there.
    public var offset: Int?
    /// Bytes there.
    public var length: Int?

    public init(value: String, name: String, file: String? = nil, offset: Int? = nil, length: Int? = nil) {
        self.value = value
        self.name = name
        self.file = file
        self.offset = offset
        self.length = length
    }
}
