import ArgumentParser
import Evaluation
import Execution
import ModelFiles

extension AccuracyMetric: ExpressibleByArgument {}

/// Options that say on which data two networks are compared, and how.
struct DataOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Samples to run both networks on, as docs/data.md describes.", valueName: "path"),
        completion: .file())
    var data: String?

    @Option(
        help: ArgumentHelp(
            "Labels of samples that lie in a file of their own: IDX or an array. (default: beside MNIST's files)",
            valueName: "file"),
        completion: .file())
    var labels: String?

    @Option(
        help: ArgumentHelp(
            "What is measured. (default: top1 for classes, mse for values)",
            valueName: AccuracyMetric.allCases.map(\.rawValue).joined(separator: "|")))
    var metric: AccuracyMetric?

    @Option(help: ArgumentHelp("The network's output that is judged. (default: the first)", valueName: "name"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Samples that are run together, where the network leaves that open. (default: up to 32)", valueName: "n"))
    var batch: Int?

    @Option(help: ArgumentHelp("For wer: the class that stands for nothing in a sequence.", valueName: "class"))
    var blank = 0

    @OptionGroup var engine: EngineOptions

    func validate() throws {
        guard data != nil || labels == nil && metric == nil && output == nil && batch == nil else {
            throw ValidationError("--labels, --metric, --output and --batch: expected with --data")
        }
        if let batch, !(1...65536).contains(batch) {
            throw ValidationError("--batch: expected 1 to 65536, found \(batch)")
        }
        guard blank >= 0 else { throw ValidationError("--blank: expected 0 or more, found \(blank)") }
    }

    /// The engine, for a model that it can run.
    func target(for model: ModelFile) async throws -> any ExecutionTarget {
        guard model.format == .onnx else {
            throw DataError.file(
                path: model.path, part: "model", expected: "an ONNX model to run on --data (or --eval with a command)",
                found: model.format.title)
        }
        return try await engine.target()
    }

    /// Runs both networks on the data.
    func compare(
        _ original: String, _ restored: String, on target: any ExecutionTarget, _ options: RunOptions
    ) async throws -> AccuracyResult {
        // One thread for each run, several runs at once: the bits do not depend on the number of threads.
        let first = try target.load(original, weights: [:], threads: 1)
        let second = try target.load(restored, weights: [:], threads: 1)
        let samples = try DataSet.open(data ?? "", labels: labels, for: first.inputs, scaling: try engine.scaling())
        let check = try AccuracyCheck(first, second, samples, output: output, batch: batch)
        let progress = ProgressLine("running", quiet: options.quiet, unit: ("samples", 1))
        defer { progress.clear() }
        let (metric, blank, threads) = (metric, blank, options.threads)
        return try await withInterruption {
            try await check.run(metric, blank: blank, threads: threads) { progress.show($0) }
        }
    }
}
