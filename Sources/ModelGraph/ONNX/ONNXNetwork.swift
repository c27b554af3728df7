import ModelFiles

/// Makes the normalized representation of an ONNX model.
///
/// Source: "IR.md" and "Operators.md" of onnx/onnx. Constants become weights; functions become graphs of the layers that call
/// them; branches and bodies stay nested graphs.
struct ONNXNetwork {
    let path: String
    let graphs: ONNXGraphs
    let attributes: ONNXAttributes
    let small: ONNXSmallTensor
    /// Nodes and initializers of each scope, by their numbers.
    private let nodes: [[Int]]
    private let initializers: [[Int]]
    private let functions: [[String]: Int]
    private var names = UniqueNames()
    private var layers = 0
    /// Functions that are being unfolded; they import operator sets of their own.
    private var openFunctions = 0
    private let mostLayers: Int

    /// Functions that call functions; graphs nest no deeper either.
    private static let deepest = 32

    /// Reads a model.
    ///
    /// - Parameter file: an ONNX model.
    /// - Throws: `GraphError` for a damaged file, a graph with a cycle, values that nobody gives or that are given twice.
    static func read(_ file: MappedFile) throws(GraphError) -> Network {
        try file.withAllBytes { (bytes) throws(GraphError) in
            let graphs = try readingFile { () throws(ModelFileError) in try ONNXGraphs(bytes, path: file.path) }
            var reader = ONNXNetwork(graphs, bytes, path: file.path)
            let graph = try reader.graph(0, depth: 0)
            return try Network(
                name: try reader.graphName(bytes), source: file.path, operatorSets: graphs.operatorSets, graph: graph
            ).checked()
        }
    }

    private init(_ graphs: ONNXGraphs, _ bytes: UnsafeRawBufferPointer, path: String) {
        self.path = path
        self.graphs = graphs
        small = ONNXSmallTensor(bytes: bytes, path: path)
        attributes = ONNXAttributes(bytes: bytes, path: path, tensors: graphs.tensors)
        var nodes = [[Int]](repeating: [], count: graphs.scopes.count)
        for (index, node) in graphs.nodes.enumerated() { nodes[node.scope].append(index) }
        self.nodes = nodes
        var initializers = [[Int]](repeating: [], count: graphs.scopes.count)
        for (index, tensor) in graphs.tensors.enumerated() where tensor.isInitializer {
            if let value = tensor.value { initializers[value.scope].append(index) }
        }
        self.initializers = initializers
        var functions: [[String]: Int] = [:]
        for (index, function) in graphs.functions.enumerated() {
            let message = function.message
            functions[[message.domain, message.name, message.overload]] = index
        }
        self.functions = functions
        mostLayers = max(1 << 16, graphs.nodes.count)
    }

    private func graphName(_ bytes: UnsafeRawBufferPointer) throws(GraphError) -> String {
        try readingFile { () throws(ModelFileError) in
            var fields = ProtobufFields(bytes, 0..<bytes.count, path: path)
            while let field = try fields.next() {
                guard field.number == 7, field.isDelimited else { continue }
                var inner = ProtobufFields(bytes, field.content, path: path)
                while let part = try inner.next() {
                    if part.number == 2, part.isDelimited {
                        return String(decoding: bytes[part.content], as: UTF8.self)
                    }
                }
            }
            return ""
        }
    }

    /// The graph of a scope.
    ///
    /// - Parameters:
    ///   - scope: its number.
    ///   - depth: how many are around it.
    ///   - arguments: what its attributes may refer to, in a function.
    private mutating func graph(
        _ scope: Int, depth: Int, arguments: [String: Attribute] = [:]
    ) throws(GraphError) -> Graph {
        var graph = Graph(inputs: [], outputs: [], weights: [], layers: [], values: [:])
        let inputs = try infos(graphs.scopes[scope].inputs)
        for tensor in initializers[scope].map({ graphs.tensors[$0] }) {
            try add(tensor, to: &graph)
        }
        for range in graphs.scopes[scope].sparse { try addSparse(range, to: &graph) }
        for info in inputs where graph.values[info.name] == nil {
            graph.inputs.append(info.name)
            graph.values[info.name] = try Value(info, path: path)
        }
        let outputs = try infos(graphs.scopes[scope].outputs)
        graph.outputs = outputs.map(\.name)
        for info in try infos(graphs.scopes[scope].values) + outputs where graph.values[info.name] == nil {
            // What is declared, until inference knows better.
            graph.values[info.name] = try Value(info, path: path)
        }
        try addNodes(of: scope, to: &graph, depth: depth, arguments: arguments)
        return graph
    }

    /// The graph that a function is for one call of it.
    private mutating func graph(
        calling function: ONNXGraphs.Function, _ arguments: [String: Attribute], node: String, depth: Int
    ) throws(GraphError) -> Graph {
        guard depth < Self.deepest else {
            throw failure(node, "at most \(Self.deepest) functions within functions", "more")
        }
        let message = function.message
        var graph = Graph(inputs: message.input, outputs: message.output, weights: [], layers: [], values: [:])
        for name in message.input { graph.values[name] = .unknown }
        openFunctions += 1
        defer { openFunctions -= 1 }
        try addNodes(of: function.scope, to: &graph, depth: depth, arguments: arguments)
        return graph
    }

    private mutating func addNodes(
        of scope: Int, to graph: inout Graph, depth: Int, arguments: [String: Attribute]
    ) throws(GraphError) {
        var constants = Set(graph.weights.map(\.value))
        for index in nodes[scope] {
            if try addConstant(graphs.nodes[index], to: &graph, &constants, arguments) { continue }
            graph.layers.append(try layer(graphs.nodes[index], depth: depth, arguments))
        }
    }

    private mutating func layer(
        _ node: ONNXGraphs.Node, depth: Int, _ arguments: [String: Attribute]
    ) throws(GraphError) -> Layer {
        let label = label(node)
        layers += 1
        guard layers <= mostLayers else {
            throw failure(label, "at most \(mostLayers) layers, functions unfolded", "more")
        }
        let message = node.message
        var layer = Layer(
            identifier: names.unique(label), type: message.opType, domain: node.isStandard ? "" : message.domain,
            inputs: message.input, outputs: message.output)
        for attribute in node.attributes {
            for (place, scope) in attribute.scopes.enumerated() {
                let name = attribute.scopes.count == 1 ? attribute.name : "\(attribute.name)[\(place)]"
                layer.graphs[name] = try graph(scope, depth: depth + 1, arguments: arguments)
            }
            guard attribute.scopes.isEmpty else { continue }
            layer.attributes[attribute.name] = try readingFile { () throws(ModelFileError) in
                try attributes.value(of: attribute, arguments)
            }
        }
        if let function = functions[[message.domain, message.opType, message.overload]] {
            layer.graphs[Layer.functionBody] = try graph(
                calling: graphs.functions[function], layer.attributes, node: label, depth: depth + 1)
        } else if openFunctions == 0, graphs.operatorSets[layer.domain] == nil {
            let found = layer.domain.isEmpty ? "ONNX's own, which it does not import" : quoted(layer.domain)
            throw failure(label, "an operator of a set that the model imports", "\(quoted(layer.type)) of \(found)")
        }
        return layer
    }

    private func add(_ tensor: ONNXTensor, to graph: inout Graph, as name: String? = nil) throws(GraphError) {
        guard let name = name ?? tensor.value?.name else { return }
        guard graph.values[name] == nil else {
            throw .graph(
                source: path, part: "tensor \(quoted(name))", expected: "names of their own for initializers",
                found: "a second one")
        }
        graph.values[name] = try readingFile { () throws(ModelFileError) in try small.value(of: tensor) }
        var weight = Weight(value: name, name: tensor.name)
        switch tensor.values {
        case .run(let range):
            (weight.file, weight.offset, weight.length) = (fileName(path), range.lowerBound, range.count)
        case .external(let location, let offset, let length):
            (weight.file, weight.offset, weight.length) = (location, offset, length ?? graph.values[name]?.bytes)
        case .numbers, .absent: break
        }
        graph.weights.append(weight)
    }

    /// A sparse initializer: its name is that of its values, its sizes are its own.
    private func addSparse(_ range: Range<Int>, to graph: inout Graph) throws(GraphError) {
        let tensor: ONNXSparseTensorProto = try readingFile { () throws(ModelFileError) in
            try decodeMessage(small.bytes, range, path: path)
        }
        let name = tensor.values.name
        let shape = tensor.dims.map { Int($0) }
        guard graph.values[name] == nil, elementCount(shape) != nil else {
            throw .graph(
                source: path, part: "sparse tensor \(quoted(name))",
                expected: "a name of its own and sizes that make a shape",
                found: "sizes \(shape.prefix(16))")
        }
        graph.values[name] = Value(
            type: ONNXTensor.dtype(Int(tensor.values.dataType)), shape: shape.map { .size($0) })
        graph.weights.append(Weight(value: name, name: name))
    }

    /// Adds what a Constant node gives as a weight; false for other nodes.
    private func addConstant(
        _ node: ONNXGraphs.Node, to graph: inout Graph, _ constants: inout Set<String>, _ arguments: [String: Attribute]
    ) throws(GraphError) -> Bool {
        guard node.message.opType == "Constant", node.isStandard, let attribute = node.attributes.first,
            let output = node.message.output.first, !output.isEmpty
        else { return false }
        // A second one of the name stays a layer, which checking refuses.
        guard constants.insert(output).inserted else { return false }
        if let tensor = attribute.tensors.first, attribute.tensors.count == 1 {
            graph.values[output] = nil
            try add(graphs.tensors[tensor], to: &graph, as: output)
            return true
        }
        let value = try readingFile { () throws(ModelFileError) in try attributes.value(of: attribute, arguments) }
        graph.values[output] =
            switch value {
            case .integer(let number): Value(type: .i64, shape: [], integers: [.size(number)])
            case .number(let number): Value(type: .f32, shape: [], reals: [number])
            case .integers(let numbers):
                Value(
                    type: .i64, shape: [.size(numbers.count)],
                    integers: numbers.count <= Value.mostFollowed ? numbers.map { .size($0) } : nil)
            case .numbers(let numbers):
                Value(
                    type: .f32, shape: [.size(numbers.count)],
                    reals: numbers.count <= Value.mostFollowed ? numbers : nil)
            case .text: Value(type: .string, shape: [])
            case .texts(let texts): Value(type: .string, shape: [.size(texts.count)])
            case .tensor(let value): value
            case .other, nil: Value.unknown
            }
        graph.weights.append(Weight(value: output, name: output))
        return true
    }

    private func infos(_ ranges: [Range<Int>]) throws(GraphError) -> [ONNXValueInfoProto] {
        var infos: [ONNXValueInfoProto] = []
        for range in ranges {
            infos.append(
                try readingFile { () throws(ModelFileError) in try decodeMessage(small.bytes, range, path: path) })
        }
        return infos
    }

    /// How a node is called: by its own name, or what it is and gives.
    private func label(_ node: ONNXGraphs.Node) -> String {
        guard node.message.name.isEmpty else { return node.message.name }
        return "\(node.message.opType)(\(node.message.output.first { !$0.isEmpty } ?? ""))"
    }

    private func failure(_ node: String, _ expected: String, _ found: String) -> GraphError {
        .node(source: path, node: node, expected: expected, found: found)
    }
}
