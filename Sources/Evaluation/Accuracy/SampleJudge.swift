import Execution
import ModelFiles

/// Compares what two networks make of a sample, with its labels and with each other.
struct SampleJudge: Sendable {
    let metric: AccuracyMetric?
    let reading: OutputReading
    /// The class that stands for nothing, where outputs are read as a sequence.
    let blanks: Set<Int>
    /// The data, for errors.
    let path: String

    /// What a sample adds to each sum.
    struct Tallies: Sendable {
        /// To the metric of the original and of the restored network.
        var before = Tally()
        var after = Tally()
        /// Equal predictions, and all.
        var agreement = Tally()
        /// Divergences, and their number.
        var divergence = Tally()
        /// The cosine of the outputs, and 1.
        var cosine = Tally()
        /// The squared error of the restored output, and the squared length of the original's.
        var error = Tally()
    }

    /// - Parameters:
    ///   - sample: its number, for errors.
    ///   - label: its labels.
    ///   - original: what the original network puts out.
    ///   - restored: what the restored network puts out.
    /// - Throws: `DataError.file` for labels that do not fit the output.
    func judge(
        _ sample: Int, label: [Double]?, original: TensorValue, restored: TensorValue
    ) throws(DataError) -> Tallies {
        guard let a = original.numbers, let b = restored.numbers, a.count == b.count else {
            throw .option("the restored output", expected: original.text, found: restored.text)
        }
        var tallies = Tallies()
        tallies.cosine = Tally(cosine(a, b), 1)
        let squares = zip(a, b).reduce((0.0, 0.0)) { ($0.0 + ($1.0 - $1.1) * ($1.0 - $1.1), $0.1 + $1.0 * $1.0) }
        tallies.error = Tally(squares.0, squares.1)
        compare(a, b, &tallies)
        guard let metric else { return tallies }
        if let label {
            tallies.before = try score(metric, a, label, sample)
            tallies.after = try score(metric, b, label, sample)
        } else {
            tallies.before = reference(metric, a, a, tallies)
            tallies.after = reference(metric, a, b, tallies)
        }
        return tallies
    }

    /// Predictions and probabilities of the two networks.
    private func compare(_ a: [Double], _ b: [Double], _ tallies: inout Tallies) {
        switch reading {
        case .classes:
            var equal = 0.0
            var divergence = 0.0
            let (p, q) = (positions(a), positions(b))
            for (p, q) in zip(p, q) {
                equal += p.likeliest == q.likeliest ? 1 : 0
                divergence += p.divergence(of: q)
            }
            tallies.agreement = Tally(equal, Double(p.count))
            tallies.divergence = Tally(divergence, Double(p.count))
        case .binary(let areProbabilities):
            let p = a.map { binaryProbability($0, areProbabilities: areProbabilities) }
            let q = b.map { binaryProbability($0, areProbabilities: areProbabilities) }
            tallies.agreement = Tally(Double(zip(p, q).count { ($0 > 0.5) == ($1 > 0.5) }), Double(p.count))
            tallies.divergence = Tally(zip(p, q).reduce(0) { $0 + binaryDivergence($1.0, $1.1) }, Double(p.count))
        case .tokens: tallies.agreement = Tally(Double(zip(a, b).count { $0 == $1 }), Double(a.count))
        case .values: break
        }
    }

    /// The metric of an output against the original's, which is as good as can be.
    private func reference(_ metric: AccuracyMetric, _ a: [Double], _ b: [Double], _ tallies: Tallies) -> Tally {
        let isItself = a == b
        switch metric {
        case .mse: return Tally(zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }, Double(a.count))
        case .cosine: return Tally(isItself ? 1 : cosine(a, b), 1)
        case .kl:
            let count = tallies.divergence.entries.last?.amount ?? 0
            return isItself ? Tally(0, count) : tallies.divergence
        default:
            let count = tallies.agreement.entries.last?.amount ?? 0
            return isItself ? Tally(count, count) : tallies.agreement
        }
    }

    /// The metric of an output against labels.
    private func score(
        _ metric: AccuracyMetric, _ output: [Double], _ label: [Double], _ sample: Int
    ) throws(DataError) -> Tally {
        func mismatch(_ expected: String) -> DataError {
            .file(
                path: path, part: "labels of sample \(sample)", expected: expected,
                found: count(label.count, "label"))
        }
        guard label.allSatisfy(\.isFinite) else {
            throw .file(path: path, part: "labels of sample \(sample)", expected: "finite numbers", found: "others")
        }
        switch (metric, reading) {
        case (.mse, _):
            guard label.count == output.count else { throw mismatch(count(output.count, "value")) }
            return Tally(zip(output, label).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }, Double(output.count))
        case (.cosine, _):
            guard label.count == output.count else { throw mismatch(count(output.count, "value")) }
            return Tally(cosine(output, label), 1)
        case (.f1, .binary(let areProbabilities)):
            guard label.count == output.count else { throw mismatch(count(output.count, "label")) }
            var tally = Tally(0, 0, 0)
            for (value, label) in zip(output, label) where label >= 0 {
                addHit(label > 0.5, value > (areProbabilities ? 0.5 : 0), 0, &tally)
            }
            return tally
        case (.wer, _):
            let labels = label.filter { $0 >= 0 }.map(token)
            return Tally(Double(editDistance(sequence(output), labels)), Double(labels.count))
        case (.top1, .tokens):
            guard label.count == output.count else { throw mismatch(count(output.count, "label")) }
            return Tally(Double(zip(output, label).count { $0 == $1 }), Double(label.count))
        case (.kl, .classes(let classes, _)) where label.count == output.count:
            let expected = positions(label, areProbabilities: true)
            let divergence = zip(expected, positions(output)).reduce(0) { $0 + $1.0.divergence(of: $1.1) }
            return Tally(divergence, Double(output.count / classes))
        case (_, .classes(let classes, _)):
            let found = positions(output)
            guard label.count == found.count else { throw mismatch(count(found.count, "class")) }
            return try score(metric, found, label, classes, sample)
        default: throw mismatch("another metric")
        }
    }

    /// A metric of classes; negative labels stand for positions that do not count.
    private func score(
        _ metric: AccuracyMetric, _ found: [ClassScores], _ labels: [Double], _ classes: Int, _ sample: Int
    ) throws(DataError) -> Tally {
        var sum = 0.0
        var total = 0.0
        var f1 = Tally()
        for (scores, number) in zip(found, labels) where number >= 0 {
            guard number < Double(classes), number.rounded() == number else {
                throw .file(
                    path: path, part: "labels of sample \(sample)", expected: "classes from 0 to \(classes - 1)",
                    found: "\(number)")
            }
            let label = Int(number)
            total += 1
            switch metric {
            case .top1: sum += scores.likeliest == label ? 1 : 0
            case .top5: sum += scores.isAmong(5, label) ? 1 : 0
            case .f1 where classes == 2: addHit(label == 1, scores.likeliest == 1, 0, &f1)
            case .f1:
                let likeliest = scores.likeliest
                addHit(true, likeliest == label, label, &f1)
                if likeliest != label { addHit(false, true, likeliest, &f1) }
            default: sum -= scores.logProbabilities[label]
            }
        }
        return metric == .f1 ? f1 : Tally(sum, total)
    }

    /// Counts one decision about a class: right ones, found ones, and those there are.
    private func addHit(_ isThere: Bool, _ isFound: Bool, _ number: Int, _ tally: inout Tally) {
        if isThere, isFound { tally.add(1, at: 3 * number) }
        if isFound { tally.add(1, at: 3 * number + 1) }
        if isThere { tally.add(1, at: 3 * number + 2) }
    }

    private func positions(_ output: [Double], areProbabilities: Bool? = nil) -> [ClassScores] {
        guard case .classes(let classes, let given) = reading else { return [] }
        return stride(from: 0, to: output.count, by: classes).map {
            ClassScores(output[$0..<$0 + classes], areProbabilities: areProbabilities ?? given)
        }
    }

    /// An output as a sequence: the likeliest class of each step, equal neighbors once, without blanks; whole numbers as they are.
    ///
    /// Source: A. Graves et al., "Connectionist Temporal Classification", ICML 2006 (best path decoding).
    private func sequence(_ output: [Double]) -> [Int] {
        guard case .classes = reading else { return output.filter { $0 >= 0 }.map(token) }
        var last: Int?
        return positions(output).map(\.likeliest).filter { step in
            defer { last = step }
            return step != last && !blanks.contains(step)
        }
    }
}

/// The cosine of the angle between two vectors; 1 when both are 0.
private func cosine(_ a: [Double], _ b: [Double]) -> Double {
    let sums = zip(a, b).reduce((0.0, 0.0, 0.0)) {
        ($0.0 + $1.0 * $1.1, $0.1 + $1.0 * $1.0, $0.2 + $1.1 * $1.1)
    }
    if sums.1 == 0, sums.2 == 0 { return 1 }
    return sums.1 == 0 || sums.2 == 0 ? 0 : sums.0 / (sums.1 * sums.2).squareRoot()
}

/// A number that stands for something; those too large to be told apart are one.
private func token(_ number: Double) -> Int { Int(exactly: number.rounded()) ?? .max }
