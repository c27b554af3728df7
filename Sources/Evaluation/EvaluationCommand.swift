import Subprocess
import SystemPackage

/// The user's own evaluation of a model: a shell command that prints a number.
public struct EvaluationCommand: Sendable {
    /// The command; `{}` stands for the path of the model to judge.
    public let command: String

    /// - Throws: `EvaluationError.command` when the command says nowhere which model to judge.
    public init(_ command: String) throws(EvaluationError) {
        guard command.contains("{}") else {
            throw .command(command, expected: "{} where the model's path goes", found: "none")
        }
        self.command = command
    }

    /// Runs the command on a model; what it prints on standard error passes through.
    ///
    /// - Returns: the last number on standard output.
    /// - Throws: `EvaluationError.command` when it fails or prints no number.
    public func metric(of path: String) async throws -> Double {
        // The path may hold anything; in single quotes the shell takes it as it is.
        let result = try await run(
            .path("/bin/sh"), arguments: ["-c", command.replacing("{}", with: shellQuoted(path))],
            output: .bytes(limit: 1 << 26),
            error: .currentStandardError)
        guard result.terminationStatus.isSuccess else {
            throw EvaluationError.command(command, expected: "exit status 0", found: "\(result.terminationStatus)")
        }
        // What is printed may be no text at all; numbers are found in it all the same.
        let text = String(decoding: result.standardOutput.suffix(1 << 16), as: UTF8.self)
        guard let number = Self.lastNumber(in: text) else {
            throw EvaluationError.command(command, expected: "a number on its standard output", found: "none")
        }
        return number
    }

    /// The last number of a text: `accuracy: 0.97`, `CE=1.2e-3`, `97.5%`, and as a word of its own `nan` or `inf`.
    static func lastNumber(in text: String) -> Double? {
        // Scalars, not Characters: an accent after a digit does not make it another one.
        let number = /[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\b(?i:nan|inf|infinity)\b/
            .matchingSemantics(.unicodeScalar)
        return text.matches(of: number).last.flatMap { Double(String($0.output).lowercased()) }
    }
}

/// A metric before and after packing.
public struct MetricChange: Sendable {
    /// Of the original model.
    public let before: Double
    /// Of the restored model.
    public let after: Double
    /// Whether larger values are better, as of accuracy; smaller ones are, as of cross-entropy, when false.
    public let higherIsBetter: Bool

    public init(before: Double, after: Double, higherIsBetter: Bool) {
        self.before = before
        self.after = after
        self.higherIsBetter = higherIsBetter
    }

    /// How much worse the restored model is, in the metric's unit; negative when it is better.
    public var loss: Double { higherIsBetter ? before - after : after - before }

    /// The loss by the original's metric.
    public var relativeLoss: Double { before == 0 ? (loss == 0 ? 0 : .infinity) : loss / before.magnitude }
}

/// The most loss of a metric that is accepted: in its own unit, or with `%` relative to the original's.
public struct LossLimit: Sendable, Hashable {
    private let value: Double
    private let isRelative: Bool

    /// A limit from `0.005` or `1%`; `nil` when the text is neither.
    public init?(_ text: String) {
        isRelative = text.hasSuffix("%")
        guard let value = Double(isRelative ? String(text.dropLast()) : text), value.isFinite else { return nil }
        self.value = isRelative ? value / 100 : value
    }

    /// Whether a change stays within the limit; a metric that is not a number does not.
    public func accepts(_ change: MetricChange) -> Bool {
        (isRelative ? change.relativeLoss : change.loss) <= value
    }
}
