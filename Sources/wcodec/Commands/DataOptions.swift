import ArgumentParser
import Evaluation
import Execution
import ModelFiles
import WeightArchive

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

    @Option(
        help: ArgumentHelp(
            "For wer: the class that stands for nothing in a sequence, or several with commas between.",
            valueName: "class[,class]"))
    var blank = "0"

    @OptionGroup var engine: EngineOptions

    func validate() throws {
        guard data != nil || labels == nil && metric == nil && output == nil && batch == nil else {
            throw ValidationError("--labels, --metric, --output and --batch: expected with --data")
        }
        if let batch, !(1...65536).contains(batch) {
            throw ValidationError("--batch: expected 1 to 65536, found \(batch)")
        }
        _ = try blanks()
    }

    /// Classes that stand for nothing.
    fileprivate func blanks() throws -> Set<Int> {
        let parts = blank.split(separator: ",", omittingEmptySubsequences: false)
        let classes = parts.compactMap { Int($0) }.filter { $0 >= 0 }
        guard classes.count == parts.count else {
            throw ValidationError("--blank: expected numbers from 0 on with commas between, found '\(blank)'")
        }
        return Set(classes)
    }

    /// Makes the original ready and opens the data, where there are any.
    ///
    /// - Throws: `DataError` for a model or data that cannot be used, `ExecutionError`.
    func trial(of model: ModelFile) async throws -> AccuracyTrial? {
        guard let data else { return nil }
        guard model.format == .onnx else {
            throw DataError.file(
                path: model.path, part: "model", expected: "an ONNX model to run on --data (or --eval with a command)",
                found: model.format.title)
        }
        let target = try await engine.target()
        let mode = try engine.mode()
        var plain = mode
        plain.weights = .plain
        let network = try target.load(model.path, weights: [:], mode: plain, threads: AccuracyTrial.threadsOfRun)
        let samples = try DataSet.open(
            data, labels: labels, for: network.inputs, scaling: try engine.pictures.scaling())
        return AccuracyTrial(target: target, mode: mode, original: network, samples: samples, options: self)
    }
}

/// A network that is ready, and the samples to compare another one with it on.
struct AccuracyTrial: Sendable {
    /// One thread for each run, several runs at once: the bits do not depend on the number of threads.
    static let threadsOfRun = 1

    let target: any ExecutionTarget
    private let mode: RunMode
    fileprivate let original: any LoadedNetwork
    fileprivate let samples: DataSet
    fileprivate let options: DataOptions

    fileprivate init(
        target: any ExecutionTarget, mode: RunMode, original: any LoadedNetwork, samples: DataSet, options: DataOptions
    ) {
        (self.target, self.mode, self.original) = (target, mode, original)
        (self.samples, self.options) = (samples, options)
    }

    /// Runs both networks on the data.
    ///
    /// - Parameters:
    ///   - restored: the restored model.
    ///   - packed: what it was restored from, which a mode of packed weights takes them from.
    func compare(with restored: String, of packed: PackedModel, _ work: RunOptions) async throws -> AccuracyResult {
        var means = RunPlan.Means(targets: [mode.target: target], threads: Self.threadsOfRun)
        means.source = LayerSource(packed).map(ExecutableModel.weightSource)
        let network = try RunPlan.all(mode).load(restored, by: means)
        let check = try AccuracyCheck(original, network, samples, output: options.output, batch: options.batch)
        let progress = ProgressLine("running", quiet: work.quiet, unit: ("samples", 1))
        defer { progress.clear() }
        let (metric, blanks, threads) = (options.metric, try options.blanks(), work.threads)
        return try await withInterruption {
            try await check.run(metric, blanks: blanks, threads: threads) { progress.show($0) }
        }
    }
}
