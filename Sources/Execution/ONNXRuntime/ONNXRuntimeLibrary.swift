import CEngineShims
import FoundationEssentials
import Subprocess
import SystemPackage

/// ONNX Runtime's library, loaded at run time: only running networks needs it.
///
/// Source: onnxruntime_c_api.h of microsoft/onnxruntime.
struct ONNXRuntimeLibrary: Sendable {
    static let title = "ONNX Runtime"
    /// The environment variable that names the library.
    static let variable = "WCODEC_ONNXRUNTIME"

    let functions: wc_onnxruntime

    /// Loads the library from a file or a folder; without one from where the environment variable says, where the system's
    /// loader finds it, or from the package of the Python that is called `python3`.
    ///
    /// - Throws: `ExecutionError.missing`.
    init(at path: String?) async throws(ExecutionError) {
        if let path = path ?? ProcessInfo.processInfo.environment[Self.variable], !path.isEmpty {
            functions = try Self.load(Self.file(in: path) ?? path)
        } else if let found = try? Self.load("libonnxruntime.so.1") {
            functions = found
        } else if let package = await Self.pythonPackage(), let file = Self.file(in: "\(package)/capi") {
            functions = try Self.load(file)
        } else {
            throw Self.missing("no library was found")
        }
    }

    private static func load(_ file: String) throws(ExecutionError) -> wc_onnxruntime {
        var message = wc_engine_message()
        guard let functions = wc_onnxruntime_load(file, &message) else {
            throw missing(withUnsafeBytes(of: message.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return functions.pointee
    }

    private static func missing(_ reason: String) -> ExecutionError {
        .missing(
            engine: title, reason: reason,
            advice: "pip install onnxruntime, or name the library with --onnxruntime or \(variable)")
    }

    /// The library in a folder; `nil` when there is none, or the path is no folder.
    private static func file(in folder: String) -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasPrefix("libonnxruntime.so") }.max().map { "\(folder)/\($0)" }
    }

    /// The folder of Python's package `onnxruntime`, which is not imported.
    private static func pythonPackage() async -> String? {
        // Python would look in the current folder first, and anything may lie there.
        let script = """
            import sys
            sys.path = [path for path in sys.path if path]
            import importlib.util
            package = importlib.util.find_spec("onnxruntime")
            print(package.submodule_search_locations[0] if package else "")
            """
        let result = try? await run(
            .name("python3"), arguments: ["-c", script], output: .string(limit: 1 << 16), error: .discarded)
        guard let result, result.terminationStatus.isSuccess else { return nil }
        let folder = result.standardOutput.split(separator: "\n").last.map(String.init) ?? ""
        return folder.isEmpty ? nil : folder
    }
}
