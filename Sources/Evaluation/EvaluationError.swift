/// Why a restored model could not be judged.
public enum EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The two models do not hold the same tensors.
    case differentModels(String)
    /// The user's evaluation failed or printed no number.
    case command(String, expected: String, found: String)

    public var description: String {
        switch self {
        case .differentModels(let difference): "the models differ in more than weights: \(difference)"
        case .command(let command, let expected, let found): "--eval '\(command)': expected \(expected), found \(found)"
        }
    }
}
