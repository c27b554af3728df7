import Foundation

/// Engines that this machine has, for tests that run networks.
public enum Engines {
    /// The folder of ONNX Runtime's library: what the program's own variable says, or that of the tests' Python; nil without one.
    public static let onnxruntime: String? = {
        if let path = ProcessInfo.processInfo.environment["WCODEC_ONNXRUNTIME"] { return path }
        return folder(of: "onnxruntime").map { "\($0)/capi" }
    }()

    /// The folder of OpenVINO's libraries, looked for in the same way.
    public static let openvino: String? = {
        if let path = ProcessInfo.processInfo.environment["WCODEC_OPENVINO"] { return path }
        return folder(of: "openvino").map { "\($0)/libs" }
    }()

    /// Whether OpenBLAS is there, as on every machine that `scripts/install-packages` saw.
    public static let hasOpenBLAS: Bool = {
        if let handle = dlopen("libopenblas.so.0", RTLD_LAZY) { return dlclose(handle) == 0 }
        return false
    }()

    /// The folder of a Python package.
    private static func folder(of package: String) -> String? {
        let script = """
            import importlib.util
            spec = importlib.util.find_spec("\(package)")
            print(spec.submodule_search_locations[0] if spec else "")
            """
        let result = try? Python.run(["-c", script])
        guard let result, result.status == 0 else { return nil }
        let path = result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        return path.isEmpty ? nil : path
    }

    /// An ONNX model that the tests of Execution carry.
    public static func model(_ name: String) -> String {
        "\(productsFolder)/wcodec_ExecutionTests.resources/Fixtures/\(name).onnx"
    }
}
