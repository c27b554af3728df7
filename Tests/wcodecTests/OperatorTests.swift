import Execution
import Foundation
import TestSupport
import Testing

/// The operator tests of the onnx package, through `wcodec run`.
@Suite(.enabled(if: Python.has("onnx, numpy"))) struct OperatorTests {
    private static let script = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "operators/run.py").path

    /// Operators whose results in other engines do not hang on what a processor has.
    private static let common = [
        "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
        "Conv", "ConvTranspose", "Cos", "CumSum", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather",
        "GatherElements", "GatherND", "Gemm", "GlobalAveragePool", "Greater", "Identity", "LeakyRelu", "Less", "Log",
        "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "Reciprocal", "ReduceL2", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "ScatterND", "Shape", "Sigmoid", "Sin",
        "Size", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where",
        "Xor",
    ]

    /// Refuses what the script finds wrong, and less than so many cases.
    private func run(_ engine: String, _ operators: [String], atLeast least: Int) throws {
        let result = try Python.run(
            ["-W", "ignore", Self.script, "\(productsFolder)/wcodec", engine] + operators)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains(" passed, 0 failed"), "\(result.output)")
        let passed = result.output.split(separator: "\n").last?.split(separator: " ").first.flatMap { Int($0) }
        #expect(passed ?? 0 > least, "\(result.output)")
    }

    @Test(
        "all operators that the native target claims agree", .enabled(if: Engines.hasOpenBLAS),
        arguments: ["native/NCHW/F32", "native/NHWC/F32"])
    func nativeOperators(mode: String) throws { try run(mode, NativeTarget.operators, atLeast: 1000) }

    @Test("common operators agree in ONNX Runtime", .enabled(if: Engines.onnxruntime != nil))
    func operatorsOfONNXRuntime() throws {
        try run("onnxruntime=\(Engines.onnxruntime ?? "")", Self.common, atLeast: 300)
    }

    @Test("common operators agree in OpenVINO", .enabled(if: Engines.openvino != nil))
    func operatorsOfOpenVINO() throws {
        try run("openvino=\(Engines.openvino ?? "")", Self.common, atLeast: 300)
    }
}
