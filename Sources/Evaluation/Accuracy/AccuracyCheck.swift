import Execution
import ModelFiles
import ModelGraph
import WeightArchive

/// Runs two networks on the same samples and says how they differ.
public struct AccuracyCheck: Sendable {
    private let original: any LoadedNetwork
    private let restored: any LoadedNetwork
    private let data: DataSet
    private let output: String
    private let batch: Int
    private let isFixed: Bool

    /// Samples that are run together where the network leaves that open; fewer where all threads are to have some.
    ///
    /// It does not depend on the number of threads, so that results do not.
    private static func defaultBatch(_ count: Int) -> Int { min(32, max(1, count / 8)) }

    /// - Parameters:
    ///   - original: the original network.
    ///   - restored: the restored one.
    ///   - data: the samples.
    ///   - output: the output that is judged; the first one when left out.
    ///   - batch: samples that are run together; chosen when left out.
    /// - Throws: `DataError.option` for an output that there is not.
    public init(
        _ original: any LoadedNetwork, _ restored: any LoadedNetwork, _ data: DataSet, output: String? = nil,
        batch: Int? = nil
    ) throws(DataError) {
        let names = original.outputs.map(\.name)
        guard let output = output ?? names.first, names.contains(output) else {
            throw .option("--output", expected: "one of \(names.joined(separator: ", "))", found: output ?? "none")
        }
        self.original = original
        self.restored = restored
        self.data = data
        self.output = output
        let fixed = data.fixedBatch(for: original.inputs)
        isFixed = fixed != nil
        self.batch = !data.joins ? 1 : max(1, fixed ?? batch ?? Self.defaultBatch(data.count))
    }

    /// Judges the networks.
    ///
    /// - Parameters:
    ///   - metric: what is measured; chosen by the labels when left out, and nothing without labels.
    ///   - blanks: the classes that stand for nothing in sequences.
    ///   - threads: batches that are run at the same time; the result does not depend on it.
    ///   - progress: receives the number of samples done.
    /// - Throws: `DataError`, `ExecutionError`, `ArchiveError.cancelled`.
    public func run(
        _ metric: AccuracyMetric?, blanks: Set<Int>, threads: Int, progress: ProgressHandler = { _ in }
    ) async throws -> AccuracyResult {
        if let metric, !data.hasLabels, !metric.worksWithoutLabels {
            throw DataError.option("--metric \(metric.rawValue)", expected: "labels", found: "none in \(data.path)")
        }
        let (first, size) = try probe()
        let label = try data.sample(0).label
        let chosen = metric ?? label.map { Self.metric(for: $0, first) }
        let judge = SampleJudge(
            metric: chosen, reading: try OutputReading(chosen, label: label, first), blanks: blanks, path: data.path)
        var tallies = [SampleJudge.Tallies?](repeating: nil, count: data.count)
        let starts = Array(stride(from: 0, to: data.count, by: size))
        progress(Progress(done: 0, total: data.count))
        var done = 0
        try await withThrowingTaskGroup(of: (Int, [SampleJudge.Tallies]).self) { tasks in
            func take(_ finished: (Int, [SampleJudge.Tallies])) {
                for (place, tally) in finished.1.enumerated() { tallies[finished.0 + place] = tally }
                done += finished.1.count
                progress(Progress(done: done, total: data.count))
            }
            for (job, start) in starts.enumerated() {
                if job >= threads, let finished = try await tasks.next() { take(finished) }
                guard !Task.isCancelled else { throw ArchiveError.cancelled }
                tasks.addTask { (start, try judgeBatch(start..<min(start + size, data.count), size, judge)) }
            }
            while let finished = try await tasks.next() { take(finished) }
        }
        return AccuracyResult(
            tallies.compactMap(\.self), judge, output: output, isLabeled: data.hasLabels, path: data.path)
    }

    /// What labels of that kind are judged by when nobody says.
    private static func metric(for label: [Double], _ output: TensorValue) -> AccuracyMetric {
        let classes = output.shape.last ?? 1
        return classes >= 2 && label.count * classes == output.count ? .top1 : .mse
    }

    /// The original's output for the first sample, and the number of samples that can be run together.
    private func probe() throws -> (TensorValue, Int) {
        let size = isFixed ? batch : min(batch, data.count)
        let samples = try (0..<min(size, data.count)).map { try data.sample($0) }
        if size > 1, isFixed || canJoin(samples) {
            let value = try judgedOutput(of: original, try data.joined(samples[...], size))
            if value.shape.first == size, let row = value.row(0) { return (row, size) }
            guard !isFixed else {
                throw DataError.option(
                    "output \(output)", expected: "a first dimension of \(size), the size of a batch", found: value.text
                )
            }
        }
        return (try judgedOutput(of: original, try data.joined(samples[..<1], 1)), canJoin(samples) ? 1 : size)
    }

    private func judgeBatch(_ range: Range<Int>, _ size: Int, _ judge: SampleJudge) throws -> [SampleJudge.Tallies] {
        let samples = try range.map { try data.sample($0) }
        var tallies: [SampleJudge.Tallies] = []
        let step = isFixed || canJoin(samples) ? samples.count : 1
        for start in stride(from: 0, to: samples.count, by: step) {
            let group = samples[start..<start + step]
            let width = isFixed ? size : group.count
            let inputs = try data.joined(group, width)
            let before = try judgedOutput(of: original, inputs)
            let after = try judgedOutput(of: restored, inputs)
            for (row, sample) in group.enumerated() {
                guard let a = width == 1 ? before : before.row(row), let b = width == 1 ? after : after.row(row),
                    width == 1 || before.shape.first == width && after.shape == before.shape
                else {
                    throw DataError.option(
                        "output \(output)", expected: "a first dimension of \(width), the size of the batch",
                        found: before.text)
                }
                tallies.append(
                    try judge.judge(range.lowerBound + start + row, label: sample.label, original: a, restored: b))
            }
        }
        return tallies
    }

    private func canJoin(_ samples: [Sample]) -> Bool {
        samples.allSatisfy { $0.inputs.mapValues(\.shape) == samples[0].inputs.mapValues(\.shape) }
    }

    private func judgedOutput(
        of network: any LoadedNetwork, _ values: [String: TensorValue]
    ) throws -> TensorValue {
        guard let value = try network.run(values)[output] else {
            throw DataError.option("--output", expected: "an output of both networks", found: output)
        }
        return value
    }
}
