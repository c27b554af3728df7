import Execution
import Foundation
import TestSupport
import Testing

/// The native target, through `wcodec run`.
@Suite struct NativeTargetTests {
    private static let script = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "operators/native.py").path

    @Test(
        "All operators that it claims agree with the tests of the onnx package",
        .enabled(if: Engines.hasOpenBLAS && Python.has("onnx, numpy")),
        arguments: ["native/NCHW/F32", "native/NHWC/F32"])
    func operators(mode: String) throws {
        let result = try Python.run(
            ["-W", "ignore", Self.script, "\(productsFolder)/wcodec", mode] + NativeTarget.operators)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains(" passed, 0 failed"), "\(result.output)")
    }
}
