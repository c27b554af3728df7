import Glibc
import WeightArchive

/// Seconds that checking a packed file took, once.
struct CheckRun: Encodable {
    /// Seconds on the wall.
    let seconds: Double
    /// Seconds of processors, user and system, in all threads.
    let processorSeconds: Double

    /// Runs `work` and times it.
    static func timing<Result>(_ work: () async throws -> Result) async throws -> (Result, CheckRun) {
        let (start, processorStart) = (ContinuousClock.now, processorTime())
        let result = try await work()
        return (
            result,
            CheckRun(seconds: (.now - start) / .seconds(1), processorSeconds: processorTime() - processorStart)
        )
    }

    private static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// What `unpack --check --json` prints; the times are medians of all runs.
struct CheckDocument: Encodable {
    let file: String
    let layers, weights: Int
    /// Whether every restored tensor has the hash that it had at packing; every stream has its own in any case.
    let everyHashMatches: Bool
    let roundedOtherwise: [String]
    let runs: [CheckRun]
    let seconds, processorSeconds, weightsPerSecond: Double

    /// - Parameter runs: at least one.
    init(_ file: String, _ result: CheckResult, _ runs: [CheckRun]) {
        func median(_ values: [Double]) -> Double {
            let sorted = values.sorted()
            return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
        }
        self.file = file
        layers = result.layerCount
        weights = result.weightCount
        everyHashMatches = result.changed.isEmpty
        roundedOtherwise = result.changed
        self.runs = runs
        seconds = median(runs.map(\.seconds))
        processorSeconds = median(runs.map(\.processorSeconds))
        weightsPerSecond = Double(weights) / max(seconds, 1e-9)
    }
}
