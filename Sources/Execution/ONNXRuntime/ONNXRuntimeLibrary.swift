import CEngineShims

/// ONNX Runtime's library, loaded at run time: only running networks needs it.
///
/// Source: onnxruntime_c_api.h of microsoft/onnxruntime.
struct ONNXRuntimeLibrary: Sendable {
    static let title = "ONNX Runtime"
    private static let place = EngineLibrary(
        title: title, file: "libonnxruntime.so", systemName: "libonnxruntime.so.1", package: "onnxruntime",
        folder: "capi", option: "--onnxruntime", variable: "WCODEC_ONNXRUNTIME")

    let functions: wc_onnxruntime

    /// - Throws: `ExecutionError.missing`.
    init(at path: String?) async throws(ExecutionError) {
        functions = try await Self.place.load(at: path) { wc_onnxruntime_load($0, $1) }
    }
}
