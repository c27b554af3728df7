import CEngineShims
import ModelFiles

/// Networks run by ONNX Runtime on the processor.
public struct ONNXRuntime: ExecutionTarget {
    public static let name = "onnxruntime"

    private let library: ONNXRuntimeLibrary
    private let environment: ONNXRuntimeEnvironment

    /// Finds ONNX Runtime: where `library` says, else where the environment variable `WCODEC_ONNXRUNTIME` says, else among the
    /// system's libraries, else in the package of `python3`.
    public init(library path: String?) async throws(ExecutionError) {
        library = try await ONNXRuntimeLibrary(at: path)
        environment = try ONNXRuntimeEnvironment(library)
    }

    public var description: String { "\(ONNXRuntimeLibrary.title) \(String(cString: library.functions.version))" }

    public func load(
        _ path: String, weights: [String: TensorValue], threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork {
        try checkInitializers(weights, of: path)
        return try ONNXRuntimeNetwork(path, weights: weights, threads: threads, environment)
    }
}

/// Refuses weights that are no initializers of a model's main graph: an engine would pass over them.
///
/// - Throws: `ExecutionError.value`, and `.model` when the file is no ONNX model.
func checkInitializers(_ weights: [String: TensorValue], of path: String) throws(ExecutionError) {
    guard !weights.isEmpty else { return }
    var known: [String: (type: DType?, shape: [Int])] = [:]
    do {
        let file = try MappedFile(path)
        let graphs = try file.withAllBytes { (bytes) throws(ModelFileError) in try ONNXGraphs(bytes, path: path) }
        for tensor in graphs.tensors where tensor.isInitializer {
            if let value = tensor.value, value.scope == 0 { known[value.name] = (tensor.dtype, tensor.shape) }
        }
    } catch {
        throw .model(path: path, engine: "reading its graph", reason: error.description)
    }
    for (name, value) in weights.sorted(by: { $0.key < $1.key }) {
        guard let (type, shape) = known[name] else {
            throw .value(model: path, name: name, expected: "an initializer of the main graph", found: "none")
        }
        guard type == value.type, shape == value.shape else {
            let sizes = shape.map(String.init).joined(separator: "x")
            throw .value(
                model: path, name: name, expected: "\(type?.rawValue ?? "?") \(shape.isEmpty ? "scalar" : sizes)",
                found: value.text)
        }
    }
}
