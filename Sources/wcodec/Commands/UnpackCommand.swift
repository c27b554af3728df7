import ArgumentParser
import Evaluation
import ModelFiles
import WeightArchive

extension ExportFormat: ExpressibleByArgument {}

struct UnpackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpack",
        abstract: "Restores a model in the format it came from, or its tensors in another.",
        usage: "wcodec unpack <file.wcz> [<options>]",
        discussion: """
            Every stream and every restored tensor is checked against its hash.

            --to writes all tensors to one file, under the names that 'wcodec inspect' shows, in row-major order. npz has no \
            bfloat16: such tensors become float32, which holds their values exactly. Types that neither format has, such as \
            the quantized blocks of GGUF, are left out.

            EXAMPLES
              wcodec unpack weights.wcz
              wcodec unpack model.wcz -o restored.safetensors
              wcodec unpack model.wcz --to npz
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

    @Flag(help: "Replace an existing output.")
    var force = false

    @Option(
        help: ArgumentHelp("The model that it was packed against, as --delta named it.", valueName: "base"),
        completion: .file())
    var delta: String?

    @OptionGroup var run: RunOptions

    func run() async throws {
        try await reportingErrors {
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

    private func convert(_ model: PackedModel, to format: ExportFormat) async throws {
        let name = replacingExtension(packed, with: format.rawValue)
        let path = output ?? (force ? name : freePath(name))
        let progress = ProgressLine("unpacking", quiet: run.quiet)
        defer { progress.clear() }
        let (threads, force) = (run.threads, force)
        let result = try await withInterruption {
            try await Unpacker(model).unpack(to: path, as: format, threads: threads, force: force) { progress.show($0) }
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
