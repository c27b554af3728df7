import ModelGraph
import TestSupport

@testable import ModelFiles

/// Writes ONNX models by hand, as protocol buffers.
struct ONNXModel: Sendable {
    /// An attribute of a node.
    enum Attribute: Sendable {
        case int(Int)
        case float(Float)
        case ints([Int])
        case string(String)
        case graph(ONNXGraph)
        case tensor(ONNXTensor)
    }

    var graph: ONNXGraph
    var sets: [String: Int] = ["": 17]
    var functions: [Function] = []

    struct Function: Sendable {
        var name: String
        var domain: String
        var inputs: [String]
        var outputs: [String]
        var nodes: [ONNXNode]
    }

    init(_ graph: ONNXGraph, sets: [String: Int] = ["": 17], functions: [Function] = []) {
        self.graph = graph
        self.sets = sets
        self.functions = functions
    }

    var bytes: [UInt8] {
        var bytes = varint(1, 8) + message(7, graph.bytes)
        for (domain, version) in sets.sorted(by: { $0.key < $1.key }) {
            bytes += message(8, text(1, domain) + varint(2, version))
        }
        for function in functions {
            var content = text(1, function.name)
            for input in function.inputs { content += text(4, input) }
            for output in function.outputs { content += text(5, output) }
            for node in function.nodes { content += message(7, node.bytes) }
            content += message(9, text(1, "") + varint(2, sets[""] ?? 17))
            bytes += message(25, content + text(10, function.domain))
        }
        return bytes
    }

    /// The network that is read from the model.
    func network() throws -> Network {
        let folder = try TemporaryFolder()
        return try Network.open(try folder.write(bytes, "model.onnx")) { _, _ in nil }
    }

    /// What reading and inferring the model says, without the folder's name.
    func error(_ shapes: [String: [Int]] = [:], estimating: Bool = false) throws -> String? {
        let folder = try TemporaryFolder()
        let path = try folder.write(bytes, "model.onnx")
        do throws(GraphError) {
            let network = try Network.open(path) { _, _ in nil }.inferringShapes(shapes)
            if estimating { _ = try network.estimate() }
            return nil
        } catch {
            return error.description.replacing(path, with: "model.onnx")
        }
    }
}

/// A graph of nodes.
struct ONNXGraph: Sendable {
    var inputs: [(String, Int, [String])]
    var outputs: [String]
    var nodes: [ONNXNode]
    var initializers: [ONNXTensor] = []

    /// A graph.
    ///
    /// - Parameter inputs: names, element types by ONNX's number, and sizes: numbers, names, or "?".
    init(
        _ inputs: [(String, Int, [String])], _ outputs: [String], _ nodes: [ONNXNode], _ initializers: [ONNXTensor] = []
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.nodes = nodes
        self.initializers = initializers
    }

    fileprivate var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for node in nodes { bytes += message(1, node.bytes) }
        bytes += text(2, "graph")
        for tensor in initializers { bytes += message(5, tensor.bytes) }
        for (name, type, sizes) in inputs {
            var shape: [UInt8] = []
            for size in sizes {
                let dimension = Int(size).map { varint(1, $0) } ?? (size == "?" ? [] : text(2, size))
                shape += message(1, dimension)
            }
            let tensor = varint(1, type) + message(2, shape)
            bytes += message(11, text(1, name) + message(2, message(1, tensor)))
        }
        for output in outputs { bytes += message(12, text(1, output)) }
        return bytes
    }
}

/// A node.
struct ONNXNode: Sendable {
    var type: String
    var inputs: [String]
    var outputs: [String]
    var name: String
    var domain: String
    var attributes: [(String, ONNXModel.Attribute)]

    init(
        _ type: String, _ inputs: [String], _ outputs: [String], name: String = "", domain: String = "",
        _ attributes: KeyValuePairs<String, ONNXModel.Attribute> = [:]
    ) {
        self.type = type
        self.inputs = inputs
        self.outputs = outputs
        self.name = name
        self.domain = domain
        self.attributes = attributes.map { ($0.key, $0.value) }
    }

    fileprivate var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for input in inputs { bytes += message(1, Array(input.utf8)) }
        for output in outputs { bytes += message(2, Array(output.utf8)) }
        bytes += text(3, name) + text(4, type)
        for (name, value) in attributes { bytes += message(5, text(1, name) + Self.bytes(value)) }
        return bytes + text(7, domain)
    }

    private static func bytes(_ value: ONNXModel.Attribute) -> [UInt8] {
        switch value {
        case .int(let number): varint(3, number) + varint(20, 2)
        case .float(let number): [2 << 3 | 5] + littleEndian(number.bitPattern) + varint(20, 1)
        case .ints(let numbers): numbers.flatMap { varint(8, $0) } + varint(20, 7)
        case .string(let string): text(4, string) + varint(20, 3)
        case .graph(let graph): message(6, graph.bytes) + varint(20, 5)
        case .tensor(let tensor): message(5, tensor.bytes) + varint(20, 4)
        }
    }
}

/// A tensor with its elements.
struct ONNXTensor: Sendable {
    var name: String
    var type: Int
    var shape: [Int]
    var data: [UInt8]

    /// float32 zeros.
    init(_ name: String, _ shape: [Int]) {
        self.init(name, 1, shape, [UInt8](repeating: 0, count: 4 * shape.reduce(1, *)))
    }

    /// A list of 64-bit integers.
    init(_ name: String, integers numbers: [Int]) {
        self.init(name, 7, [numbers.count], numbers.flatMap { littleEndian(Int64($0)) })
    }

    /// A list of floats.
    init(_ name: String, reals: [Float]) {
        self.init(name, 1, [reals.count], reals.flatMap { littleEndian($0.bitPattern) })
    }

    init(_ name: String, _ type: Int, _ shape: [Int], _ data: [UInt8]) {
        self.name = name
        self.type = type
        self.shape = shape
        self.data = data
    }

    fileprivate var bytes: [UInt8] {
        shape.flatMap { varint(1, $0) } + varint(2, type) + text(8, name) + message(9, data)
    }
}

private func varint(_ field: Int, _ value: Int) -> [UInt8] {
    varintBytes(UInt64(field << 3)) + varintBytes(UInt64(bitPattern: Int64(value)))
}

private func message(_ field: Int, _ bytes: [UInt8]) -> [UInt8] {
    varintBytes(UInt64(field << 3 | 2)) + varintBytes(UInt64(bytes.count)) + bytes
}

private func text(_ field: Int, _ value: String) -> [UInt8] { value.isEmpty ? [] : message(field, Array(value.utf8)) }

/// The shape of a value as text, "?" where nothing is known.
func shape(_ name: String, _ network: Network) -> String { network.graph.values[name]?.shape?.text ?? "?" }
