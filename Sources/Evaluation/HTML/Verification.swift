import FoundationEssentials

/// The loss of accuracy that `wcodec verify --eval … --json` measured.
public struct Verification: Sendable, Decodable {
    /// The metric of the original and of the restored model.
    struct Metric: Sendable, Decodable {
        let before, after, loss, relativeLoss: Double
    }

    let metric: Metric?
    let accepted: Bool

    /// Reads what `verify --json` printed.
    ///
    /// - Throws: `EvaluationError.verification` for a file that cannot be read, is something else, or holds no metric.
    public init(path: String) throws(EvaluationError) {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let expected = "what verify --eval --json printed"
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw .verification(path: path, expected: expected, found: "no file that can be read")
        }
        guard let found = try? decoder.decode(Verification.self, from: data) else {
            throw .verification(path: path, expected: expected, found: "something else")
        }
        guard found.metric != nil else {
            throw .verification(path: path, expected: "a metric (verify with --eval)", found: "none")
        }
        self = found
    }
}
