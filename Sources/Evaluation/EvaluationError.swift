/// Why a restored model could not be judged.
public enum EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The two models do not hold the same tensors.
    case differentModels(String)
    /// The user's evaluation failed or printed no number.
    case command(String, expected: String, found: String)
    /// A report's page cannot be made as asked.
    case page(String)
    /// A file that should hold what `verify --json` printed.
    case verification(path: String, expected: String, found: String)

    public var description: String {
        switch self {
        case .differentModels(let difference): "the models differ in more than weights: \(difference)"
        case .page(let reason): reason
        case .verification(let path, let expected, let found): "\(path): expected \(expected), found \(found)"
        case .command(let command, let expected, let found): "--eval '\(command)': expected \(expected), found \(found)"
        }
    }
}
