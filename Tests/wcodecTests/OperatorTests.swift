import Execution
import Foundation
import TestSupport
import Testing

/// The operator tests of the onnx package, through `wcodec run`.
@Suite(.enabled(if: Python.has("onnx, numpy"))) struct OperatorTests {
    private static let script = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "operators/run.py").path

    /// Refuses what the script finds wrong.
    private func run(_ engine: String, _ operators: [String] = []) throws {
        let result = try Python.run(
            ["-W", "ignore", Self.script, "\(productsFolder)/wcodec", engine] + operators)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains(" passed, 0 failed"), "\(result.output)")
        let passed = result.output.split(separator: "\n").last?.split(separator: " ").first.flatMap { Int($0) }
        #expect(passed ?? 0 > 1000, "\(result.output)")
    }

    @Test(
        "all operators that the native target claims agree", .enabled(if: Engines.hasOpenBLAS),
        arguments: ["native/NCHW/F32", "native/NHWC/F32"])
    func nativeOperators(mode: String) throws { try run(mode, NativeTarget.operators) }

    @Test("all that ONNX Runtime takes agrees, but for what it is known for", .enabled(if: Engines.onnxruntime != nil))
    func operatorsOfONNXRuntime() throws { try run("onnxruntime=\(Engines.onnxruntime ?? "")") }

    @Test("all that OpenVINO takes agrees, but for what it is known for", .enabled(if: Engines.openvino != nil))
    func operatorsOfOpenVINO() throws { try run("openvino=\(Engines.openvino ?? "")") }
}
