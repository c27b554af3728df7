import ModelFiles
import ModelGraph

/// Something that runs networks: an engine on some hardware.
///
/// A new one is a conformer in a file of its own and an entry of ``ExecutionTargets/all``.
public protocol ExecutionTarget: Sendable {
    /// What options call it.
    static var name: String { get }

    /// The ways in which it runs layers, the default first.
    static var modes: [RunMode] { get }

    /// Finds the engine on this machine.
    ///
    /// - Parameter library: the engine's library, a file or the folder it lies in; where it is looked for when left out, the
    ///   conformer says.
    /// - Throws: `ExecutionError.missing` without it.
    init(library: String?) async throws(ExecutionError)

    /// The engine and its version, for people.
    var description: String { get }

    /// Makes a network ready to run.
    ///
    /// - Parameters:
    ///   - path: an ONNX model; its external data lie beside it.
    ///   - weights: values for initializers of its main graph, in the place of those in the file.
    ///   - mode: one of ``modes``, whose weights are plain.
    ///   - threads: threads that one run may use; the same number gives the same bits.
    /// - Throws: `ExecutionError.model` when the engine refuses it, `.value` for weights that it does not have or that have
    ///   another type or shape.
    func load(
        _ path: String, weights: [String: TensorValue], mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork
}

extension ExecutionTarget {
    /// Its default mode.
    public static var mode: RunMode { modes[0] }
}

/// Gives the elements of a weight by its name in the model file; `nil` for one that the file itself is to be asked for.
///
/// It is called each time that a layer needs the weight, on whatever thread.
public typealias WeightSource = @Sendable (_ name: String) throws -> TensorValue?

/// A target that asks for the weights of each layer when it runs, and lets them go after.
public protocol LayerwiseTarget: ExecutionTarget {
    /// Makes a network ready to run whose weights come from elsewhere.
    ///
    /// - Parameters:
    ///   - path: an ONNX model, in which the bytes of the weights that `source` gives count for nothing.
    ///   - source: gives weights.
    ///   - mode: one of ``ExecutionTarget/modes``, whose weights are packed.
    ///   - threads: threads that one run may use.
    /// - Throws: `ExecutionError.model` when the engine refuses it.
    func load(
        _ path: String, source: @escaping WeightSource, mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork
}

/// The execution targets that there are.
public enum ExecutionTargets {
    /// The default first.
    public static let all: [any ExecutionTarget.Type] = [ONNXRuntime.self, OpenVINO.self, NativeTarget.self]

    /// The target of that name.
    ///
    /// - Throws: `ExecutionError.unknownTarget`.
    public static func named(_ name: String) throws(ExecutionError) -> any ExecutionTarget.Type {
        guard let target = all.first(where: { $0.name == name }) else {
            throw .unknownTarget(name, known: all.map { $0.name })
        }
        return target
    }
}

/// A network that an execution target made ready.
public protocol LoadedNetwork: Sendable {
    /// What it takes, in its order.
    var inputs: [NetworkPort] { get }
    /// What it gives, in its order.
    var outputs: [NetworkPort] { get }
    /// How long it took to make it ready.
    var loadTime: Duration { get }

    /// Runs the network once; may be called from several threads at the same time.
    ///
    /// - Parameter values: a value for each input, by its name.
    /// - Returns: the value of every output, by its name.
    /// - Throws: `ExecutionError.value` for an input that is missing or does not fit, `.run` when the engine fails.
    func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue]
}

/// An input or an output of a network, as the model declares it.
public struct NetworkPort: Hashable, Sendable {
    public let name: String
    /// The type of its elements; `nil` for one that is no tensor of a known type.
    public let type: DType?
    /// Its sizes, some of which may be open; `nil` when not even their number is declared.
    public let shape: [Dimension]?

    public init(name: String, type: DType?, shape: [Dimension]?) {
        self.name = name
        self.type = type
        self.shape = shape
    }

    /// A value of a graph, as that knows it.
    public init(_ name: String, of graph: Graph) {
        self.init(name: name, type: graph.values[name]?.type, shape: graph.values[name]?.shape)
    }

    /// The type and the sizes, as "F32 batchx3x224x224".
    public var text: String { "\(type?.rawValue ?? "?") \(shape?.text ?? "of any shape")" }

    /// Whether a tensor of these sizes may be given here.
    public func accepts(_ sizes: [Int]) -> Bool {
        guard let shape else { return true }
        return shape.count == sizes.count && zip(shape, sizes).allSatisfy { $0.size == nil || $0.size == $1 }
    }
}

extension LoadedNetwork {
    /// Refuses values that are not those of the inputs.
    ///
    /// - Throws: `ExecutionError.value`, which names the model.
    public func check(_ values: [String: TensorValue], model: String) throws(ExecutionError) {
        for port in inputs {
            guard let value = values[port.name] else {
                throw .value(model: model, name: port.name, expected: port.text, found: "no value")
            }
            guard let type = port.type else {
                throw .value(model: model, name: port.name, expected: "a tensor of numbers", found: "another input")
            }
            guard value.type == type, port.accepts(value.shape) else {
                throw .value(model: model, name: port.name, expected: port.text, found: value.text)
            }
        }
        let names = inputs.map(\.name)
        if let stranger = values.keys.filter({ !names.contains($0) }).min() {
            throw .value(
                model: model, name: stranger, expected: "one of \(names.joined(separator: ", "))", found: "another name"
            )
        }
    }
}
