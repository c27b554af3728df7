import CEngineShims
import FoundationEssentials
import Subprocess
import SystemPackage

/// Where an engine's library may be.
struct EngineLibrary: Sendable {
    /// The engine's name, for people.
    let title: String
    /// What the library's file name begins with.
    let file: String
    /// The name that the system's loader may know it by.
    let systemName: String
    /// The Python package that brings it, and the folder in it.
    let package: String
    let folder: String
    /// The option and the environment variable that say where it is.
    let option: String
    let variable: String

    /// Loads a library and gives its functions, or nil and a message.
    typealias Loader<Functions> = (String, UnsafeMutablePointer<wc_engine_message>) -> UnsafePointer<Functions>?

    /// Loads the library from a file or a folder; without one from where the environment variable says, where the system's
    /// loader finds it, or from the package of the Python that is called `python3`.
    ///
    /// - Throws: `ExecutionError.missing`.
    func load<Functions>(at path: String?, _ loader: Loader<Functions>) async throws(ExecutionError) -> Functions {
        if let path = path ?? ProcessInfo.processInfo.environment[variable], !path.isEmpty {
            return try load(file(in: path) ?? path, loader)
        }
        if let found = try? load(systemName, loader) { return found }
        guard let place = await pythonPackage(), let file = file(in: "\(place)/\(folder)") else {
            throw missing("no library was found")
        }
        return try load(file, loader)
    }

    func missing(_ reason: String) -> ExecutionError {
        .missing(
            engine: title, reason: reason,
            advice: "pip install \(package), or name the library with \(option) or \(variable)")
    }

    private func load<Functions>(_ file: String, _ loader: Loader<Functions>) throws(ExecutionError) -> Functions {
        var message = wc_engine_message()
        guard let functions = loader(file, &message) else {
            throw missing(message.string)
        }
        return functions.pointee
    }

    /// The library in a folder; `nil` when there is none, or the path is no folder.
    private func file(in folder: String) -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasPrefix(file) }.max().map { "\(folder)/\($0)" }
    }

    /// The folder of the Python package, which is not imported.
    private func pythonPackage() async -> String? {
        // Python would look in the current folder first, and anything may lie there.
        let script = """
            import sys
            sys.path = [path for path in sys.path if path]
            import importlib.util
            package = importlib.util.find_spec("\(package)")
            print(package.submodule_search_locations[0] if package else "")
            """
        let result = try? await run(
            .name("python3"), arguments: ["-c", script], output: .string(limit: 1 << 16), error: .discarded)
        guard let result, result.terminationStatus.isSuccess else { return nil }
        let folder = result.standardOutput.split(separator: "\n").last.map(String.init) ?? ""
        return folder.isEmpty ? nil : folder
    }
}
