import ModelFiles

/// Why a network could not be run: one line that names the model and the value, what was expected and what was found.
public enum ExecutionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No execution target has this name.
    case unknownTarget(String, known: [String])
    /// The target does not run layers that way.
    case unknownMode(String, known: [RunMode])
    /// This machine does not have the engine; `advice` says how to get it.
    case missing(engine: String, reason: String, advice: String)
    /// The engine does not take the model.
    case model(path: String, engine: String, reason: String)
    /// A value does not fit the network.
    case value(model: String, name: String, expected: String, found: String)
    /// The engine failed to run the network.
    case run(path: String, engine: String, reason: String)

    public var description: String {
        switch self {
        case .unknownTarget(let name, let known):
            "unknown engine '\(shown(name))': expected one of \(known.joined(separator: ", "))"
        case .unknownMode(let mode, let known):
            "unknown run mode '\(shown(mode))': expected one of \(known.map(\.description).joined(separator: ", "))"
        case .missing(let engine, let reason, let advice): "\(engine) is not available: \(shown(reason)) (\(advice))"
        case .model(let path, let engine, let reason): "\(shown(path)): \(engine) refuses it: \(shown(reason))"
        case .value(let model, let name, let expected, let found):
            "\(shown(model)): input \(quoted(name)): expected \(shown(expected)), found \(shown(found))"
        case .run(let path, let engine, let reason): "\(shown(path)): \(engine) failed: \(shown(reason))"
        }
    }
}
