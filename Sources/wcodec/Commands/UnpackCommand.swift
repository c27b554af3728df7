import ArgumentParser
import WeightArchive

struct UnpackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpack",
        abstract: "Restores a model in the format it came from.",
        discussion: """
            Every stream and every restored tensor is checked against its hash.

            EXAMPLES
              wcodec unpack weights.wcz
              wcodec unpack model.wcz -o restored.safetensors
            """)

    @Argument(help: ArgumentHelp("The packed file.", valueName: "file.wcz"), completion: .file(extensions: ["wcz"]))
    var packed: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The model file to write, or the folder for a model in shards. (default: its own name beside the packed file, or "
                + "with .restored if that is taken)", valueName: "model"), completion: .file())
    var output: String?

    @Flag(help: "Replace an existing output.")
    var force = false

    @OptionGroup var run: RunOptions

    func run() async throws {
        try await reportingErrors {
            let model = try PackedModel(packed)
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
