import ArgumentParser
import Codecs
import Evaluation
import ModelFiles
import WeightArchive
import WeightMapper

struct PackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack",
        abstract: "Packs a model: its weights become images, video or audio.",
        discussion: """
            Reads safetensors, PyTorch checkpoints (both also in shards, by their index), TorchScript, ONNX, GGUF, TensorFlow \
            Lite, Keras, HDF5, NumPy .npy and .npz, and raw float32. Biases, small tensors, integers and optimizer state are \
            kept exactly; everything else in the file stays as it is. Of a folder every file is carried along, and the model \
            files in it are packed. Several models are packed together and restored to one folder.

            EXAMPLES
              wcodec pack model.safetensors
              wcodec pack weights.bin --as video -o weights.wcz
              wcodec pack model.pt --bits 4 --bits 'embed=6' --exclude 'head'
              wcodec pack model.pt --as video --codec hevc:qp=12
              wcodec pack downloaded-model/
              wcodec pack step1.pt step2.pt step3.pt -o run.wcz --quantizer fixed
              wcodec pack model.pt --dry-run
            """)

    @Argument(
        help: ArgumentHelp(
            "The model file, the index of its shards, or a folder; several are packed together, as the checkpoints of a run.",
            valueName: "model"), completion: .file())
    var models: [String]

    @Option(
        name: .customLong("as"),
        help:
            "What the weights become: image, video or audio, or auto for the smallest of each layer. (default: what --codec makes, else image)"
    )
    var medium: MediumChoice?

    @Option(
        help: ArgumentHelp(
            "Codec with parameters, as ffv1 or hevc:qp=20; see 'wcodec codecs'. (default: png; utvideo, above 8 bits ffv1; flac)",
            valueName: "name[:k=v…]"))
    var codec: String?

    @OptionGroup var mapping: MappingOptions

    @OptionGroup var rate: RateOptions

    @Option(
        help: ArgumentHelp(
            "Block that fills a video frame: Bin,Bout of a fully connected layer or Bfin,Bfout,Bx,By of a convolution.",
            valueName: "sides"))
    var block: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The packed file. (default: the model's name with .wcz, beside it)", valueName: "file"),
        completion: .file())
    var output: String?

    @Flag(help: "Replace an existing output.")
    var force = false

    @Flag(help: "Say what would be packed and how, and write nothing.")
    var dryRun = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var run: RunOptions

    func validate() throws {
        _ = try block.map(parseBlock)
        if rate.isLossless, !mapping.bits.isEmpty {
            throw ValidationError("--lossless and --delta: expected without --bits, which says how much is lost")
        }
        try rate.validate(mapping.range)
        guard models.count == 1 || output != nil || dryRun else {
            throw ValidationError("expected -o FILE for several models")
        }
    }

    func run() async throws {
        var options = try mapping.packOptions()
        options.codec = codec
        options.block = try block.map(parseBlock)
        options.threads = run.threads
        options.force = force
        try await reportingErrors {
            try rate.apply(to: &options, range: mapping.range)
            options.medium =
                try medium?.medium ?? codec.map { try CodecRegistry.codec($0).description.medium } ?? .image
            options.choosesMedium = medium == .auto
            options.base = try rate.delta.map { base throws(ModelFileError) in
                try ModelFiles.open(base, layout: mapping.layout)
            }
            let file = try ModelFiles.open(models, layout: mapping.layout)
            let packer = try Packer(file, options)
            if !run.quiet { for note in file.notes { printError(note) } }
            if dryRun { return try printPlan(packer, await packer.forecast(), file) }
            let path = try output ?? defaultOutput(file)
            let progress = ProgressLine("packing", quiet: run.quiet)
            defer { progress.clear() }
            let isQuiet = run.quiet
            let result = try await withInterruption {
                try await packer.pack(to: path) {
                    progress.show($0)
                } note: {
                    if !isQuiet { printError($0) }
                }
            }
            progress.clear()
            if json { return try printJSON(PackDocument(result)) }
            guard !run.quiet else { return }
            printResult(result, path)
            printAdjustments(result.adjustments)
        }
    }

    private func defaultOutput(_ file: ModelFile) throws -> String {
        let model = models[0]
        guard file.format == .directory else { return replacingExtension(model, with: "wcz") }
        // A folder's name has no extension: what follows a dot is part of it, as in "model-v1.5".
        guard let folder = folderPath(model) else {
            throw ValidationError("expected -o FILE for a folder without a name of its own, found '\(model)'")
        }
        return folder + ".wcz"
    }

    private func parseBlock(_ text: String) throws -> BlockShape {
        let sides = text.split(whereSeparator: { $0 == "," || $0 == "x" }).map { Int($0) ?? 0 }
        guard sides.count == 2 || sides.count == 4, sides.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--block: expected Bin,Bout or Bfin,Bfout,Bx,By, each at least 1, found '\(text)'")
        }
        // Kernels stay whole where only (Bin, Bout) is given.
        return sides.count == 2
            ? BlockShape(bfin: sides[0], bfout: sides[1], bx: .max, by: .max)
            : BlockShape(bfin: sides[0], bfout: sides[1], bx: sides[2], by: sides[3])
    }

    private func printResult(_ result: PackResult, _ path: String) {
        let summary = result.summary
        let model = models.count == 1 ? models[0] : "\(models.count) models"
        print("\(printable(model)) (\(summary.sourceFormat)) -> \(printable(path))")
        let change = comparedSizes(result.originalBytes, result.packedBytes)
        print(
            "  \(size(result.originalBytes)) -> \(size(result.packedBytes)), \(change.factor)x \(change.word)")
        print("  " + packedLine(summary))
        if let line = keptLine(summary) { print("  " + line) }
    }

    private func printPlan(_ packer: Packer, _ forecast: Forecast, _ model: ModelFile) throws {
        if json {
            struct Entry: Encodable {
                let name, dtype: String
                let shape: [Int]
                let bytes: Int
                let kept, kind, codec: String?
                let bits, frameWidth, frameHeight, frames: Int?
            }
            struct Plan: Encodable {
                let forecastBytes: Int
                let forecastBitsPerWeight: Double
                let tensors: [Entry]
            }
            let entries = packer.plan.map {
                Entry(
                    name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: $0.bytes, kept: $0.kept?.rawValue,
                    kind: $0.kind?.rawValue, codec: $0.codec, bits: $0.bits, frameWidth: $0.frames?.width,
                    frameHeight: $0.frames?.height, frames: $0.frames?.count)
            }
            return try printJSON(
                Plan(
                    forecastBytes: forecast.bytes, forecastBitsPerWeight: forecast.bitsPerWeight, tensors: entries))
        }
        var table = TextTable([
            .init("tensor", alignsRight: false), .init("type", priority: 3), .init("shape"),
            .init("bytes", priority: 4),
            .init("as", alignsRight: false), .init("n"), .init("codec", priority: 1, alignsRight: false),
            .init("frames", priority: 2),
        ])
        for tensor in packer.plan {
            table.add([
                tensor.name, tensor.dtype, dimensions(tensor.shape), grouped(tensor.bytes),
                tensor.kept.map { "kept: \($0.rawValue)" } ?? tensor.kind?.rawValue ?? "",
                tensor.bits.map(String.init) ?? "", tensor.codec ?? "",
                tensor.frames.map { "\($0.count) of \($0.width)x\($0.height)" } ?? "",
            ])
        }
        for line in table.lines(width: terminalWidth()) { print(line) }
        print(
            "\(grouped(forecast.weights)) weights would be packed as \(packer.options.choosesMedium ? "whatever is smallest" : packer.options.medium.rawValue); nothing was written"
        )
        let change = comparedSizes(model.files.reduce(0) { $0 + $1.originalSize }, forecast.bytes)
        print(
            "forecast: about \(size(forecast.bytes)), \(change.factor)x \(change.word), "
                + "\(fixed(forecast.bitsPerWeight, 2)) bits per weight")
    }
}

/// What was packed, in one line.
func packedLine(_ summary: ArchiveSummary) -> String {
    let weights = summary.weights
    guard weights > 0 else { return "no tensor qualified for packing; all are kept exactly" }
    let bits = summary.layerPackedBytes * 8
    let isExact = summary.layers.allSatisfy { $0.statistics.maximumError == 0 }
    let quality = isExact ? "bit-exact" : "SNR \(fixed(summary.signalToNoise, 1)) dB"
    return "\(count(summary.layers.count, "layer")), \(grouped(weights)) weights as \(summary.medium): "
        + "\(fixed(Double(bits) / Double(weights), 2)) bits per weight, \(quality)"
}

/// What was kept exactly, in one line; `nil` when nothing was.
func keptLine(_ summary: ArchiveSummary) -> String? {
    let (number, bytes) = summary.keptTotal
    guard number > 0 else { return nil }
    var line = "\(count(number, "tensor")) kept exactly, \(size(bytes))"
    let optimizer = summary.kept.filter { $0.reason == "optimizer" }.reduce(0) { $0 + $1.bytes }
    if optimizer > 0 { line += ", of which optimizer state \(size(optimizer))" }
    return line
}
