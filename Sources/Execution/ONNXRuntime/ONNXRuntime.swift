import CEngineShims

/// Networks run by ONNX Runtime on the processor.
public struct ONNXRuntime: ExecutionTarget {
    public static let name = "onnxruntime"

    /// The library itself keeps pictures in blocks of channels where that pays, unless it is told to keep the model's layout.
    public static let modes = [RunMode(name, layout: "blocked"), RunMode(name, layout: "NCHW")]

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
        _ path: String, weights: [String: TensorValue], mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork {
        _ = try initializers(weights, of: path)
        return try ONNXRuntimeNetwork(path, weights: weights, mode: mode, threads: threads, environment)
    }
}
