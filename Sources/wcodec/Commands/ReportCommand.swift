import ArgumentParser
import Evaluation
import ModelFiles
import WeightArchive

extension PictureChoice: ExpressibleByArgument {}

struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Says what packing saved and cost, layer by layer.",
        usage: "wcodec report <file.wcz> ... [<options>]",
        discussion: """
            bpw: bits per weight of streams and quantizer parameters. H: order-0 entropy of the bins; +H: what the stream spends \
            above it. SNR in dB. +R(D): bpw above Shannon's bound for a Gaussian source at the same error.

            With --html the report is a page for a browser, with every layer's histogram and pictures; it is one file and needs \
            no network. Several packed files of one model are compared there, side by side.

            EXAMPLES
              wcodec report model.wcz
              wcodec report model.wcz --original model.safetensors
              wcodec report model.wcz --csv > layers.csv
              wcodec report model.wcz --html
              wcodec report n8.wcz n6.wcz n4.wcz --html -o compared.html
            """)

    @Argument(
        help: ArgumentHelp("The packed file, or with --html several of one model.", valueName: "file.wcz"),
        completion: .file(extensions: ["wcz"]))
    var packed: [String]

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

    @Flag(help: "Write the report as a page for a browser.")
    var html = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The file to write; - is standard output. (default: standard output, for a page the packed file's name with .html)",
            valueName: "file"), completion: .file())
    var output: String?

    @Option(
        help: ArgumentHelp(
            "Pictures on the page: full, preview (small), none, or auto: full as long as they stay under 32 MB.",
            valueName: "which"))
    var pictures: PictureChoice = .auto

    @Option(
        help: ArgumentHelp(
            "What verify --eval --json printed, for the page to show the loss; once for each packed file, in their order.",
            valueName: "verify.json"), completion: .file(extensions: ["json"]))
    var verification: [String] = []

    @Flag(help: "Replace an existing output.")
    var force = false

    @OptionGroup var run: RunOptions

    func validate() throws {
        guard [json, csv, html].count(where: { $0 }) < 2 else {
            throw ValidationError("expected one of --json, --csv and --html, found several")
        }
        guard html || packed.count == 1 else {
            throw ValidationError("expected --html to compare \(packed.count) packed files, found none")
        }
        guard html || (pictures == .auto && verification.isEmpty) else {
            throw ValidationError("expected --html with --pictures and --verification, found none")
        }
        guard verification.isEmpty || verification.count == packed.count else {
            throw ValidationError(
                "--verification: expected once for each of \(packed.count) packed files, found \(verification.count)")
        }
    }

    func run() async throws {
        try await reportingErrors {
            let file = try original.map { path throws(ModelFileError) in try ModelFiles.open(path, layout: layout) }
            if html { return try await writePage(file) }
            let model = try PackedModel(packed[0])
            var report = ReportDocument(model.summary)
            if csv { return try write(report.csv) }
            let bins = try await GeneralCompressors.bins(of: model, threads: run.threads)
            report.comparison = .init(bins: bins, original: file.map(GeneralCompressors.files))
            try file?.checkUnchanged()
            if json { return try write(try jsonText(report) + "\n") }
            let width = output == nil ? terminalWidth() : nil
            let lines = layerLines(report, width) + totalLines(report, model.summary, width)
            try write(lines.joined(separator: "\n") + "\n")
        }
    }

    private func writePage(_ original: ModelFile?) async throws {
        let path = output ?? replacingExtension(packed[0], with: "html")
        if path != "-" { try checkWritable(path, force: force, inputs: inputs) }
        let verifications = try verification.map { path throws(EvaluationError) in try Verification(path: path) }
        let sources = try packed.enumerated().map { index, path in
            HTMLReport.Source(
                try PackedModel(path), verification: verifications.isEmpty ? nil : verifications[index])
        }
        let progress = ProgressLine("reading", quiet: run.quiet)
        defer { progress.clear() }
        let (pictures, threads) = (pictures, run.threads)
        let page = try await withInterruption {
            try await HTMLReport(sources, original: original, pictures: pictures, threads: threads) {
                progress.show($0)
            }.html()
        }
        progress.clear()
        try original?.checkUnchanged()
        if path == "-" { return try writeToStandardOutput(page) }
        try writeAtomically(page, to: path, force: force, inputs: inputs)
        if !run.quiet { print("\(printable(path)), \(size(page.count))") }
    }

    private var inputs: [String] { packed + verification + [original, layout].compactMap { $0 } }

    /// Writes to the file that was asked for, or else prints.
    private func write(_ text: String) throws {
        guard let output, output != "-" else { return print(text, terminator: "") }
        try writeAtomically(Array(text.utf8), to: output, force: force, inputs: inputs)
    }

    private func layerLines(_ report: ReportDocument, _ width: Int?) -> [String] {
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
        return table.lines(width: width)
    }

    private func totalLines(_ report: ReportDocument, _ summary: ArchiveSummary, _ width: Int?) -> [String] {
        var lines = ["", packedLine(summary), "quantizer: \(report.quantizer)"]
        if let line = keptLine(summary) { lines.append(line) }
        lines.append("")
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
        return lines + table.lines(width: width)
    }
}
