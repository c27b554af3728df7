import ArgumentParser
import Evaluation
import ModelFiles
import WeightArchive

extension ExportFormat: ExpressibleByArgument {}

struct UnpackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpack",
        abstract: "Restores a model in the format it came from, or its tensors in another.",
        usage: """
            wcodec unpack <file.wcz> [<options>]
            wcodec unpack --check <file.wcz> [--runs <n>] [--json]
            """,
        discussion: """
            Every stream and every restored tensor is checked against its hash.

            --to writes all tensors to one file, under the names that 'wcodec inspect' shows, in row-major order. npz has no \
            bfloat16: such tensors become float32, which holds their values exactly. Tensors that the format cannot hold, such \
            as the quantized blocks of GGUF, are an error; --skip-unconvertible leaves them out, and says how many.

            --check restores everything and checks every hash, but leaves nothing: exit status 65, and a line that names what is \
            damaged, when something is. Files that compress their tensors are compressed anew among the temporary files (TMPDIR) \
            and read back. It also says how long decoding takes, without the program's start and the writing.

            EXAMPLES
              wcodec unpack weights.wcz
              wcodec unpack model.wcz -o restored.safetensors
              wcodec unpack model.wcz --to npz
              wcodec unpack model.wcz --check
            """)

    @Argument(help: ArgumentHelp("The packed file.", valueName: "file.wcz"), completion: .file(extensions: ["wcz"]))
    var packed: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The model file to write, or the folder for a model of several files. (default: its own name beside the packed "
                + "file, or with .restored if that is taken)", valueName: "model"), completion: .file())
    var output: String?

    @Option(
        name: .customLong("to"),
        help:
            "Write the tensors in another format: safetensors or npz. (default output: the packed file's name with it)")
    var format: ExportFormat?

    @Flag(help: "With --to: leave out tensors that the format cannot hold.")
    var skipUnconvertible = false

    @Flag(help: "Replace an existing output.")
    var force = false

    @Option(
        help: ArgumentHelp("The model that it was packed against, as --delta named it.", valueName: "base"),
        completion: .file())
    var delta: String?

    @Flag(help: "Restore everything and check every hash, but leave nothing.")
    var check = false

    @Option(
        help: ArgumentHelp(
            "With --check: how often, opening the file included, to time it. (default: 1)", valueName: "n"))
    var runs: Int?

    @Flag(help: "With --check: print the result and the times as JSON.")
    var json = false

    @OptionGroup var run: RunOptions

    func validate() throws {
        guard check || runs == nil && !json else { throw ValidationError("--runs and --json: expected with --check") }
        guard !check || output == nil && format == nil && !force else {
            throw ValidationError("--check: expected without --output, --to and --force: nothing is written")
        }
        guard format != nil || !skipUnconvertible else {
            throw ValidationError("--skip-unconvertible: expected with --to")
        }
        guard (1...10_000).contains(runs ?? 1) else {
            throw ValidationError("--runs: expected 1 to 10000, found \(runs ?? 1)")
        }
    }

    func run() async throws {
        try await reportingErrors {
            if check { return try await checkAll() }
            let model = try PackedModel(packed, base: try openBase(delta))
            if let format { return try await convert(model, to: format) }
            let path = output ?? defaultOutput(model)
            let progress = ProgressLine("unpacking", quiet: run.quiet)
            defer { progress.clear() }
            let (threads, force) = (run.threads, force)
            let changed = try await withInterruption {
                try await Unpacker(model).unpack(to: path, threads: threads, force: force) { progress.show($0) }
            }
            progress.clear()
            warn(ofRoundingIn: changed)
            if !run.quiet {
                let summary = model.summary
                print(
                    "\(printable(packed)) -> \(printable(path)) (\(summary.sourceFormat), \(size(summary.originalBytes)))"
                )
            }
        }
    }

    private func checkAll() async throws {
        let progress = ProgressLine("checking", quiet: run.quiet)
        defer { progress.clear() }
        let (packed, delta, threads, runCount) = (packed, delta, run.threads, runs ?? 1)
        let (result, times) = try await withInterruption {
            var times: [CheckRun] = []
            while true {
                let (result, time) = try await CheckRun.timing {
                    try await Unpacker(PackedModel(packed, base: try openBase(delta)))
                        .check(threads: threads) { progress.show($0) }
                }
                times.append(time)
                if times.count == runCount { return (result, times) }
            }
        }
        progress.clear()
        warn(ofRoundingIn: result.changed)
        let document = CheckDocument(packed, result, times)
        if json { return try printJSON(document) }
        guard !run.quiet else { return }
        print(
            "\(printable(packed)): intact: \(count(result.layerCount, "layer")), \(grouped(result.weightCount)) weights, "
                + (result.changed.isEmpty
                    ? "every hash matches"
                    : "every stream's hash matches; \(count(result.changed.count, "layer")) "
                        + "\(result.changed.count == 1 ? "was" : "were") restored a little otherwise than at packing, "
                        + "by another version of the decoder"))
        if runs != nil {
            print(
                "\(fixed(document.seconds * 1e3, 2)) ms, \(fixed(document.processorSeconds * 1e3, 2)) of processors, "
                    + "\(fixed(document.weightsPerSecond / 1e6, 1)) million weights/s (median of \(count(times.count, "run")))"
            )
        }
    }

    private func convert(_ model: PackedModel, to format: ExportFormat) async throws {
        let name = replacingExtension(packed, with: format.rawValue)
        let path = output ?? (force ? name : freePath(name))
        let progress = ProgressLine("unpacking", quiet: run.quiet)
        defer { progress.clear() }
        let (threads, force, skips) = (run.threads, force, skipUnconvertible)
        let result = try await withInterruption {
            try await Unpacker(model).unpack(
                to: path, as: format, threads: threads, force: force, skipsUnconvertible: skips
            ) { progress.show($0) }
        }
        progress.clear()
        warn(ofRoundingIn: result.changed)
        guard !run.quiet else { return }
        for note in result.notes { printError(note) }
        print(
            "\(printable(packed)) -> \(printable(path)) (\(format.rawValue), \(count(result.tensorCount, "tensor")), \(size(result.bytes)))"
        )
    }

    private func defaultOutput(_ model: PackedModel) -> String {
        let folder = packed.lastIndex(of: "/").map { String(packed[...$0]) } ?? ""
        // A folder is named like the packed file.
        let name =
            !model.isFolder
            ? folder + model.fileNames[0]
            : packed.hasSuffix(".wcz") ? String(packed.dropLast(4)) : packed + ".restored"
        return force ? name : freePath(name, isFolder: model.isFolder)
    }
}

/// Names the tensors that a decoder of lossy audio restored otherwise than it did where they were packed.
func warn(ofRoundingIn tensors: [String]) {
    for name in tensors {
        printError(
            "tensor \(name): expected the weights measured at packing, found close ones: another build of the decoder")
    }
}

/// The model that `--delta` names.
func openBase(_ path: String?) throws(ModelFileError) -> ModelFile? {
    guard let path else { return nil }
    return try ModelFiles.open(path)
}
