/// What is wrong with a model file: one line that names the file, the part or tensor, what was expected and what was found.
public enum ModelFileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file could not be opened or mapped.
    case unreadable(path: String, reason: String)
    /// The file is something else than a model; `found` says what.
    case notAModel(path: String, found: String)
    /// The file is a model of a kind that is not read; `found` says which, `advice` what to do instead.
    case unsupported(path: String, found: String, advice: String?)
    /// A part of the file (its header, directory, pickle…) breaks the format's rules.
    case malformed(path: String, part: String, expected: String, found: String)
    /// A tensor's description disagrees with itself or with the file.
    case invalidTensor(path: String, tensor: String, expected: String, found: String)
    /// The file was written to, or replaced, while it was read.
    case changed(path: String, expected: String, found: String)
    /// The file is well formed but describes no tensor.
    case noTensors(path: String)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "\(shown(path)): cannot be read: \(reason)"
        case .notAModel(let path, let found):
            "\(shown(path)): not a model: \(found)"
        case .unsupported(let path, let found, let advice):
            "\(shown(path)): is \(found), which this version does not read" + (advice.map { "; \($0)" } ?? "")
        case .malformed(let path, let part, let expected, let found):
            "\(shown(path)): \(part): expected \(shown(expected)), found \(shown(found))"
        case .invalidTensor(let path, let tensor, let expected, let found):
            "\(shown(path)): tensor \(quoted(tensor)): expected \(shown(expected)), found \(shown(found))"
        case .changed(let path, let expected, let found):
            "\(shown(path)): changed while it was read: expected \(expected), found \(found)"
        case .noTensors(let path):
            "\(shown(path)): expected at least one tensor, found none"
        }
    }
}

/// A name out of a file, quoted for a message.
package func quoted(_ name: String) -> String { "\"\(shown(name, limit: 120))\"" }

/// Text out of a file as one line of a message: control characters escaped, long text cut.
package func shown(_ text: String, limit: Int = 300) -> String {
    // As most are.
    if text.utf8.count <= limit, text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) { return text }
    var line = ""
    for scalar in text.unicodeScalars.prefix(limit) {
        switch scalar.properties.generalCategory {
        // Line separators and bidirectional controls would let a file's names rewrite the terminal's line.
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
            line += "\\u{\(String(scalar.value, radix: 16))}"
        default:
            line.unicodeScalars.append(scalar)
        }
    }
    return text.unicodeScalars.count > limit ? line + "…" : line
}
