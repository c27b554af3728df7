import Execution
import Glibc

/// How long runs take: the median of several, and how far it may be off.
public struct RunTiming: Hashable, Sendable {
    /// Seconds of one pass over the test data.
    public let median: Double
    /// Standard error of the median, in seconds, by the median absolute deviation.
    public let noise: Double
    /// Passes that were timed.
    public let passes: Int

    /// - Parameter seconds: of each pass, at least one.
    init(_ seconds: [Double]) {
        let median = Self.median(seconds)
        self.median = median
        passes = seconds.count
        // Of a normal distribution, deviation is 1.4826 times the median absolute one, and the median's error 1.2533 times a mean's.
        noise =
            1.4826 * 1.2533 * Self.median(seconds.map { ($0 - median).magnitude }) / Double(seconds.count).squareRoot()
    }

    /// Whether a run is faster than another beyond doubt: by the median of differences of pairs, and by the sign test at 1 %.
    ///
    /// - Parameter differences: seconds that it took less, of pairs that were timed one after the other.
    static func isFaster(_ differences: [Double]) -> Bool {
        let timing = RunTiming(differences)
        guard timing.median > 2 * timing.noise else { return false }
        // The chance that of as many fair coins at least so many show heads; each term is its binomial's share of all.
        let heads = differences.count { $0 > 0 }
        var share = pow(0.5, Double(differences.count))
        var tail = 0.0
        for number in 0...differences.count {
            if number >= heads { tail += share }
            share *= Double(differences.count - number) / Double(number + 1)
        }
        return tail < 0.01
    }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// Test data that networks are timed on, and what a trusted run made of them.
struct TestData: Sendable {
    let inputs: [[String: TensorValue]]

    /// Seconds of one pass over the data, and what came of it.
    func pass(_ network: any LoadedNetwork) throws(ExecutionError) -> (
        seconds: Double, outputs: [[String: TensorValue]]
    ) {
        let start = ContinuousClock.now
        var outputs: [[String: TensorValue]] = []
        for input in inputs { outputs.append(try network.run(input)) }
        return ((ContinuousClock.now - start) / .seconds(1), outputs)
    }

    /// The largest relative L2 error of outputs, one by one; infinite where they are of other types or shapes.
    static func error(_ outputs: [[String: TensorValue]], against expected: [[String: TensorValue]]) -> Double {
        var largest = 0.0
        for (found, expected) in zip(outputs, expected) {
            for (name, value) in expected {
                guard let other = found[name], other.shape == value.shape, other.type == value.type else {
                    return .infinity
                }
                if other.bytes == value.bytes { continue }
                guard let a = value.numbers, let b = other.numbers else { return .infinity }
                var (difference, norm) = (0.0, 0.0)
                for (x, y) in zip(a, b) where x != y && !(x.isNaN && y.isNaN) {
                    difference += (x - y) * (x - y)
                }
                for x in a where x.isFinite { norm += x * x }
                let error = (difference / max(norm, .leastNormalMagnitude)).squareRoot()
                largest = max(largest, error.isNaN ? .infinity : error)
            }
        }
        return largest
    }
}
