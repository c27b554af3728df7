import Execution
import Foundation
import TestSupport
import Testing

/// The native target, through `wcodec run`.
@Suite struct NativeTargetTests {
    /// Whether OpenBLAS is there, as on every machine that `scripts/install-packages` saw.
    static let isAvailable: Bool = {
        if let handle = dlopen("libopenblas.so.0", RTLD_LAZY) { return dlclose(handle) == 0 }
        return false
    }()

    private static let script = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "operators/native.py").path

    @Test(
        "All operators that it claims agree with the tests of the onnx package",
        .enabled(if: isAvailable && Python.has("onnx, numpy")), arguments: ["native/NCHW/F32", "native/NHWC/F32"])
    func operators(mode: String) throws {
        let result = try Python.run(
            ["-W", "ignore", Self.script, "\(productsFolder)/wcodec", mode] + NativeTarget.operators)
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains(" passed, 0 failed"), "\(result.output)")
    }
}
