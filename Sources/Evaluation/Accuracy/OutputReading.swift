import Execution
import Glibc
import ModelFiles

/// What the numbers that a network puts out are.
enum OutputReading: Sendable, Hashable {
    /// The last dimension has a value for each class: its probability, or a logit.
    case classes(Int, areProbabilities: Bool)
    /// One value for each label: the probability that it is 1, or a logit.
    case binary(areProbabilities: Bool)
    /// Whole numbers that stand for something.
    case tokens
    /// Measures.
    case values

    /// Probabilities below this count as this, so that a single one cannot make a divergence infinite.
    static let smallestProbability = 1e-9

    /// How the outputs of a metric are to be read.
    ///
    /// - Parameters:
    ///   - metric: what is measured; `nil` when only outputs are compared.
    ///   - label: the first sample's labels.
    ///   - output: what the original puts out for the first sample.
    init(_ metric: AccuracyMetric?, label: [Double]?, _ output: TensorValue) throws(DataError) {
        guard let numbers = output.numbers else {
            throw .option("the output", expected: "real numbers", found: output.text)
        }
        let classes = output.shape.last ?? 1
        func mistake(_ expected: String) -> DataError {
            .option("--metric \(metric?.rawValue ?? "")", expected: expected, found: output.text)
        }
        if metric == .mse || metric == .cosine {
            self = .values
        } else if !output.type.isPackableFloat {
            guard metric == nil || metric == .wer || metric == .top1 else { throw mistake("an output of floats") }
            self = .tokens
        } else if metric == .f1, label?.count == numbers.count {
            self = .binary(areProbabilities: numbers.allSatisfy { (0...1).contains($0) })
        } else if classes >= 2 {
            self = .classes(classes, areProbabilities: Self.areProbabilities(numbers, classes))
        } else {
            guard metric == nil else { throw mistake("an output with a last dimension of two classes or more") }
            self = .values
        }
    }

    private static func areProbabilities(_ numbers: [Double], _ classes: Int) -> Bool {
        stride(from: 0, to: numbers.count, by: classes).allSatisfy { start in
            let row = numbers[start..<start + classes]
            return row.allSatisfy { (-1e-6...1 + 1e-6).contains($0) } && abs(row.reduce(0, +) - 1) < 1e-3
        }
    }
}

/// The values of the classes at one position.
struct ClassScores {
    private let values: ArraySlice<Double>
    private let areProbabilities: Bool

    init(_ values: ArraySlice<Double>, areProbabilities: Bool) {
        self.values = values
        self.areProbabilities = areProbabilities
    }

    /// The likeliest class, the first of several.
    var likeliest: Int {
        var best = values.startIndex
        for index in values.indices where values[index] > values[best] || values[best].isNaN { best = index }
        return best - values.startIndex
    }

    /// Whether a class is among the likeliest ones; of equally likely ones the first count as likelier.
    func isAmong(_ number: Int, _ label: Int) -> Bool {
        let value = values[values.startIndex + label]
        guard !value.isNaN else { return false }
        let before = values.enumerated().count { $1 > value || $1 == value && $0 < label }
        return before < number
    }

    /// Natural logarithms of the probabilities, none below that of the smallest that counts.
    var logProbabilities: [Double] {
        let smallest = log(OutputReading.smallestProbability)
        if areProbabilities { return values.map { $0.isNaN ? .nan : max(log(max($0, 0)), smallest) } }
        let largest = values.max() ?? 0
        let total = largest + log(values.reduce(0) { $0 + exp($1 - largest) })
        return values.map { $0.isNaN || total.isNaN ? .nan : max($0 - total, smallest) }
    }

    /// The Kullback-Leibler divergence of other scores from these, in nats.
    func divergence(of other: ClassScores) -> Double {
        zip(logProbabilities, other.logProbabilities).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
    }
}

/// The probability of yes, as a value of a binary output says it.
func binaryProbability(_ value: Double, areProbabilities: Bool) -> Double {
    let p = areProbabilities ? value : 1 / (1 + exp(-value))
    return min(max(p, OutputReading.smallestProbability), 1 - OutputReading.smallestProbability)
}

/// The Kullback-Leibler divergence of a yes-or-no probability from another, in nats.
func binaryDivergence(_ p: Double, _ q: Double) -> Double {
    p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))
}

/// Fewest insertions, deletions and substitutions that turn one sequence into another.
///
/// Source: V. I. Levenshtein, "Binary Codes Capable of Correcting Deletions, Insertions, and Reversals" (1966).
func editDistance(_ first: [Int], _ second: [Int]) -> Int {
    var row = Array(0...second.count)
    for (index, left) in first.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for (column, right) in second.enumerated() {
            let substituted = diagonal + (left == right ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(diagonal + 1, row[column] + 1, substituted)
        }
    }
    return row[second.count]
}
