import ArgumentParser
import Evaluation
import Execution
import Glibc
import ModelFiles
import ModelGraph
import WeightArchive

struct TuneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tune",
        abstract: "Finds the fastest way to run each layer of an ONNX model, or a packed one.",
        usage: "wcodec tune <model> --data <path> [-o <file>] [<options>]",
        discussion: """
            A run mode is a target, a layout, a numeric type, and whether weights are plain or packed. All layers are run in each mode \
            that this machine has; then every combination of modes of the first conv and FC layers, or with --second those of them \
            that do not have so many --input-channels or --kernels, while those that do are timed alone and keep their fastest. The \
            fastest combination is chosen if it is faster than the best single mode beyond the noise, and gives the same outputs. \
            The result is the model with a run mode for each layer, which 'wcodec run' obeys. docs/targets.md says more.

            EXAMPLES
              wcodec tune model.onnx --data samples.npz
              wcodec tune model.wcz --data samples.npz --first 3 -o tuned.wcz
              wcodec tune model.onnx --data samples.npz --second 12 --kernels 64
            """)

    @Argument(help: ArgumentHelp("An ONNX model, or a packed file of one.", valueName: "model"), completion: .file())
    var model: String

    @Option(
        help: ArgumentHelp("Samples to run it on, as docs/data.md describes.", valueName: "path"), completion: .file())
    var data: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The model with the run modes. (default: the model's name with .tuned before its extension)",
            valueName: "file"), completion: .file())
    var output: String?

    @Option(
        help: ArgumentHelp(
            "First layers: try every combination of modes of so many conv and FC layers. (default: as many as make at most 64)",
            valueName: "n"))
    var first: Int?

    @Option(help: ArgumentHelp("Second layers: so many, of which some are timed alone.", valueName: "n"))
    var second: Int?

    @Option(
        help: ArgumentHelp("Of the second layers, time those of so many input channels alone.", valueName: "n"))
    var inputChannels: Int?

    @Option(
        help: ArgumentHelp(
            "Of the second layers, time those of so many kernels (output channels) alone.", valueName: "n"))
    var kernels: Int?

    @Option(
        name: .customLong("mode"),
        help: ArgumentHelp(
            "A run mode or target to try, as native/NHWC; may be repeated. The first gives the reference for outputs. (default: all "
                + "that this machine has)", valueName: "mode"))
    var modes: [String] = []

    @Option(
        help: ArgumentHelp(
            "The mode of all layers that are not tried. (default: the fastest single one)", valueName: "mode"))
    var designated: String?

    @Option(help: ArgumentHelp("Largest relative L2 error of outputs.", valueName: "error"))
    var tolerance = 1e-3

    @Option(help: ArgumentHelp("Samples in each of the two sets of test data.", valueName: "n"))
    var samples = 4

    @Option(help: ArgumentHelp("Samples that are run together, where the network leaves that open.", valueName: "n"))
    var batch = 1

    @Option(help: ArgumentHelp("Timed passes over the samples, after a warm one.", valueName: "n"))
    var runs = 25

    @Option(
        help: ArgumentHelp(
            "The model that it was packed against, as --delta named it.", valueName: "base"), completion: .file())
    var delta: String?

    @OptionGroup var libraries: EngineLibraries

    @OptionGroup var pictures: PictureOptions

    @Flag(help: "Replace an existing file.")
    var force = false

    @Flag(help: "Write no model.")
    var dryRun = false

    @Flag(help: "Print what was tried as JSON.")
    var json = false

    @OptionGroup var work: RunOptions

    func validate() throws {
        guard first == nil || second == nil else { throw ValidationError("expected --first or --second, found both") }
        guard second != nil || inputChannels == nil && kernels == nil else {
            throw ValidationError("--input-channels and --kernels: expected with --second")
        }
        guard second == nil || inputChannels != nil || kernels != nil else {
            throw ValidationError("--second: expected with --input-channels or --kernels")
        }
        let numbers = [
            ("--first", first, 0...4096), ("--second", second, 1...4096),
            ("--input-channels", inputChannels, 1...1 << 30),
            ("--kernels", kernels, 1...1 << 30), ("--samples", samples, 1...65536), ("--batch", batch, 1...65536),
            ("--runs", runs, 3...100_000),
        ]
        for (name, value, range) in numbers {
            if let value, !range.contains(value) {
                throw ValidationError("\(name): expected \(range.lowerBound) to \(range.upperBound), found \(value)")
            }
        }
        guard tolerance >= 0 else { throw ValidationError("--tolerance: expected 0 or more, found \(tolerance)") }
        for text in modes + [designated].compactMap(\.self) {
            do { _ = try RunMode(parsing: text) } catch { throw ValidationError("\(error)") }
        }
    }

    func run() async throws {
        try await reportingErrors {
            let target = output ?? tunedName
            if !dryRun { try checkWritable(target, force: force, inputs: [model, data]) }
            var executable = try ExecutableModel(model, delta: delta)
            defer { executable.remove() }
            let network = try RunPlan.network(executable.path)
            let (modes, targets, missing) = try await candidates(executable.weights)
            try await executable.prepare(for: .each(network, modes), work)
            let path = executable.path
            let ports = network.graph.inputs.map { NetworkPort($0, of: network.graph) }
            let samples = try DataSet.open(data, labels: nil, for: ports, scaling: try pictures.scaling())
            let tuner = try RunModeTuner(
                path, network, modes: modes, by: executable.means(targets, threads: work.threads), on: samples,
                samples: self.samples, batch: batch, try options(modes))
            let progress = ProgressLine("tuning", quiet: work.quiet, unit: ("trials", 1))
            defer { progress.clear() }
            let result = try await withInterruption { try await tuner.run { progress.show($0) } }
            progress.clear()
            try MappedFile.checkAllWhole()
            if !dryRun { try write(result, network, path, to: target) }
            let document = TuningDocument(
                result, network, missing: missing, threads: work.threads, output: dryRun ? nil : target)
            if json { return try printJSON(document) }
            if !work.quiet { for line in document.lines(width: terminalWidth()) { print(line) } }
        }
    }

    /// `model.onnx` becomes `model.tuned.onnx`.
    private var tunedName: String {
        let extensions = model.split(separator: "/").last?.split(separator: ".", omittingEmptySubsequences: false) ?? []
        guard extensions.count > 1, let last = extensions.last else { return "\(model).tuned" }
        return replacingExtension(model, with: "tuned.\(last)")
    }

    private func options(_ modes: [RunMode]) throws -> RunModeTuner.Options {
        var options = RunModeTuner.Options()
        options.tolerance = tolerance
        options.passes = runs
        options.designated = try designated.map { (text) throws(ExecutionError) in
            let mode = try RunMode(parsing: text)
            guard modes.contains(mode) else { throw .unknownMode(text, known: modes) }
            return mode
        }
        if let first { options.selection = { LayerSelection($0, first: first) } }
        if let second {
            let (inputChannels, kernels) = (inputChannels, kernels)
            options.selection = {
                LayerSelection($0, second: second, inputChannels: inputChannels, kernels: kernels)
            }
        }
        return options
    }

    /// The modes to try, their targets, and why others are left out.
    private func candidates(
        _ weights: RunMode.Weights
    ) async throws -> (modes: [RunMode], targets: [String: any ExecutionTarget], missing: [String]) {
        var (chosen, missing) = ([RunMode](), [String]())
        var targets: [String: any ExecutionTarget] = [:]
        func isPossible(_ mode: RunMode) -> Bool { mode.weights == .plain || weights == .packed }
        for kind in ExecutionTargets.all where modes.isEmpty {
            do throws(ExecutionError) {
                targets[kind.name] = try await libraries.target(kind.name)
                chosen += kind.modes.filter(isPossible)
            } catch {
                missing.append(error.description)
            }
        }
        for text in modes {
            chosen += try RunMode.all(beginning: text).filter { isPossible($0) && !chosen.contains($0) }
        }
        for name in Set(chosen.map(\.target)).sorted() where targets[name] == nil {
            targets[name] = try await libraries.target(name)
        }
        guard !chosen.isEmpty else {
            throw ExecutionError.unknownMode(
                modes.joined(separator: ", "),
                known: ExecutionTargets.all.flatMap { $0.modes.filter(isPossible) })
        }
        return (chosen, targets, missing)
    }

    private func write(_ result: TuningResult, _ network: Network, _ path: String, to target: String) throws {
        let map = RunModeMap(network.graph, result.modes)
        if try PackedModel.recognizes(model) {
            let packed = try PackedModel(model, base: try openBase(delta))
            let ending = try map.ending(of: path)
            return try packed.write(to: target, force: force, removingAtEnd: ending.removed, adding: ending.added)
        }
        if let other = try ONNXExternalFiles.sources(of: MappedFile(model)).first,
            folder(of: target) != folder(of: model)
        {
            throw ArchiveError.cannotWrite(
                path: target, reason: "expected a name beside \(model), whose data lie in \(other.name)")
        }
        try writeAtomically(to: target, force: force, inputs: [model, data]) { try map.write(model, to: $0) }
    }

    private func folder(of path: String) -> String? {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        guard let resolved = realpath(folder, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
