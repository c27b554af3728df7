import ArgumentParser
import Evaluation
import ModelFiles
import WeightArchive

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Says what packing saved and cost, layer by layer.",
        discussion: """
            bpw: bits per weight of streams and quantizer parameters. H: order-0 entropy of the bins; +H: what the stream spends \
            above it. SNR in dB. +R(D): bpw above Shannon's bound for a Gaussian source at the same error.

            EXAMPLES
              wcodec report model.wcz
              wcodec report model.wcz --original model.safetensors
              wcodec report model.wcz --csv > layers.csv
            """)

    @Argument(help: ArgumentHelp("The packed file.", valueName: "file.wcz"), completion: .file(extensions: ["wcz"]))
    var packed: String

    @Option(
        help: ArgumentHelp("The original model, to compare with zip and zstd of it too.", valueName: "model"),
        completion: .file())
    var original: String?

    @Option(help: ArgumentHelp("Describes the tensors of a raw original.", valueName: "layers.json"))
    var layout: String?

    @Flag(help: "Print the report as JSON.")
    var json = false

    @Flag(help: "Print the layers as CSV.")
    var csv = false

    @OptionGroup var run: RunOptions

    func validate() throws {
        guard !(json && csv) else { throw ValidationError("expected --json or --csv, found both") }
    }

    func run() async throws {
        try await reportingErrors {
            let model = try PackedModel(packed)
            var report = ReportDocument(model.summary)
            if csv { return print(report.csv, terminator: "") }
            let file = try original.map { path throws(ModelFileError) in try ModelFiles.open(path, layout: layout) }
            let bins = try await GeneralCompressors.bins(of: model, threads: run.threads)
            report.comparison = .init(bins: bins, original: file.map(GeneralCompressors.files))
            if json { return try printJSON(report) }
            printLayers(report)
            printTotal(report, model.summary)
        }
    }

    private func printLayers(_ report: ReportDocument) {
        var table = TextTable([
            .init("layer", alignsRight: false), .init("kind", priority: 2, alignsRight: false),
            .init("shape", priority: 4),
            .init("n"), .init("codec", priority: 7, alignsRight: false), .init("original", priority: 5),
            .init("packed", priority: 3), .init("ratio"), .init("bpw"), .init("H", priority: 1), .init("+H"),
            .init("SNR"),
            .init("max error", priority: 6), .init("+R(D)"),
        ])
        for layer in report.layers {
            table.add([
                layer.name, layer.kind, dimensions(layer.shape), "\(layer.bits)", layer.codec,
                grouped(layer.originalBytes),
                grouped(layer.packedBytes), fixed(layer.ratio, 2), fixed(layer.bitsPerWeight, 3),
                fixed(layer.entropy, 3),
                fixed(layer.aboveEntropy, 3), layer.snr.map { fixed($0, 1) } ?? "exact", significant(layer.maxError),
                layer.aboveRateDistortion.map { fixed($0, 2) } ?? "-",
            ])
        }
        for line in table.lines(width: terminalWidth()) { print(line) }
    }

    private func printTotal(_ report: ReportDocument, _ summary: ArchiveSummary) {
        print("")
        print(packedLine(summary))
        print("quantizer: \(report.quantizer)")
        if let line = keptLine(summary) { print(line) }
        print("")
        var table = TextTable([.init("", alignsRight: false), .init("bytes"), .init("ratio")])
        let original = report.total.originalBytes
        func add(_ name: String, _ bytes: Int, of whole: Int) {
            table.add([name, grouped(bytes), fixed(Double(whole) / Double(max(bytes, 1)), 2)])
        }
        add("original model", original, of: original)
        add("packed file", report.total.packedBytes, of: original)
        if let comparison = report.comparison {
            if let zip = comparison.zipOriginal { add("original, zip", zip, of: original) }
            if let zstd = comparison.zstdOriginal { add("original, zstd", zstd, of: original) }
            let layers = report.total.layerOriginalBytes
            if layers > 0 {
                add("packed layers", report.total.layerPackedBytes, of: layers)
                add("the same bins, plain", comparison.plainBins, of: layers)
                add("the same bins, zip", comparison.zipBins, of: layers)
                add("the same bins, zstd", comparison.zstdBins, of: layers)
            }
        }
        for line in table.lines(width: terminalWidth()) { print(line) }
    }
}
