import Codecs
import Execution
import ModelFiles

/// Why data for a network could not be read: one line that names the file, what was expected and what was found.
public enum DataError: Error, Sendable, CustomStringConvertible {
    /// The file cannot be opened.
    case unreadable(path: String, reason: String)
    /// The file, or a part of it, is not what it should be.
    case file(path: String, part: String, expected: String, found: String)
    /// What the file holds does not fit an input of the network.
    case input(path: String, input: String, expected: String, found: String)
    /// A library that this machine does not have reads it.
    case library(path: String, reason: String)
    /// An option does not fit the network or the data.
    case option(String, expected: String, found: String)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "\(shown(path)): cannot be read: \(reason)"
        case .file(let path, let part, let expected, let found):
            "\(shown(path)): \(shown(part)): expected \(shown(expected)), found \(shown(found))"
        case .input(let path, let input, let expected, let found):
            "\(shown(path)): input \(quoted(input)): expected \(shown(expected)), found \(shown(found))"
        case .library(let path, let reason): "\(shown(path)): \(reason)"
        case .option(let option, let expected, let found):
            "\(option): expected \(shown(expected)), found \(shown(found))"
        }
    }

    init(_ error: ModelFileError) {
        switch error {
        case .unreadable(let path, let reason): self = .unreadable(path: path, reason: reason)
        case .changed(let path, let expected, let found):
            self = .unreadable(path: path, reason: "changed meanwhile: expected \(expected), found \(found)")
        case .malformed(let path, let part, let expected, let found):
            self = .file(path: path, part: part, expected: expected, found: found)
        case .invalidTensor(let path, let tensor, let expected, let found):
            self = .file(path: path, part: "array \(quoted(tensor))", expected: expected, found: found)
        case .noTensors(let path):
            self = .file(path: path, part: "content", expected: "arrays of numbers", found: "none")
        case .notAModel(let path, let found), .unsupported(let path, let found, _):
            self = .file(path: path, part: "content", expected: "arrays, a picture or a sound", found: found)
        }
    }

    init(_ error: CodecError, path: String) {
        switch error {
        case .unavailable(_, let reason): self = .library(path: path, reason: reason)
        case .damaged(_, let reason):
            self = .file(path: path, part: "content", expected: "a whole file of its kind", found: reason)
        case .unsupported(_, let expected, let found):
            self = .file(path: path, part: "content", expected: expected, found: found)
        default: self = .file(path: path, part: "content", expected: "a file of its kind", found: error.description)
        }
    }
}

/// Runs what reads a file, so that its errors are errors of the data.
func readingData<Result>(_ body: () throws(ModelFileError) -> Result) throws(DataError) -> Result {
    do { return try body() } catch { throw DataError(error) }
}

/// Runs what decodes a file, so that its errors are errors of the data.
func decoding<Result>(_ path: String, _ body: () throws(CodecError) -> Result) throws(DataError) -> Result {
    do { return try body() } catch { throw DataError(error, path: path) }
}
