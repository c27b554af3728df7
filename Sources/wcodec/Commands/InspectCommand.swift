import ArgumentParser
import Evaluation
import ModelFiles
import WeightArchive

struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Shows what is in a model or a packed file, and layers as pictures.",
        discussion: """
            EXAMPLES
              wcodec inspect model.pt
              wcodec inspect model.wcz
              wcodec inspect model.wcz --image lstm.weight_hh_l0 -o gates.png
              wcodec inspect model.wcz --gallery -o pictures
            """)

    @Argument(help: ArgumentHelp("A model or a packed file.", valueName: "file"), completion: .file())
    var file: String

    @Option(help: ArgumentHelp("Write this layer's picture, one for each matrix it holds.", valueName: "layer"))
    var image: String?

    @Flag(help: "Write every layer's pictures to a folder; of a model, those of the layers that would be packed.")
    var gallery = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The picture, or with --gallery the folder, to write.", valueName: "file.png | folder"),
        completion: .file(extensions: ["png"]))
    var output: String?

    @Flag(help: "Replace existing pictures.")
    var force = false

    @Flag(help: "Print the contents as JSON.")
    var json = false

    @OptionGroup var mapping: MappingOptions

    @OptionGroup var run: RunOptions

    func validate() throws {
        guard mapping.range.uniform != nil else {
            throw ValidationError(
                "--range: expected layer or channel, found '\(mapping.range.defaultValueDescription)'")
        }
        guard image == nil || !gallery else { throw ValidationError("expected --image or --gallery, found both") }
        guard (image != nil || gallery) == (output != nil) else {
            throw ValidationError(
                gallery ? "expected -o FOLDER with --gallery" : "expected --image LAYER and -o FILE.png together")
        }
    }

    func run() async throws {
        let options = try mapping.packOptions()
        try await reportingErrors {
            if let image, let output {
                let pictures =
                    try isPacked()
                    ? PackedModel(file).pictures(of: image)
                    : WeightArchive.pictures(of: image, in: ModelFiles.open(file, layout: mapping.layout), options)
                return try write(pictures, to: output)
            }
            if let output { return try await writeGallery(to: output, options) }
            if try isPacked() {
                let model = try PackedModel(file)
                json ? try printJSON(ContentsDocument(model.summary)) : print(model.summary)
            } else {
                let model = try ModelFiles.open(file, layout: mapping.layout)
                json ? try printJSON(ContentsDocument(model)) : print(model)
            }
        }
    }

    /// Whether the file is a packed one, by its content.
    private func isPacked() throws -> Bool {
        try PackedModel.recognizes(file)
    }

    private func write(_ pictures: [[UInt8]], to output: String) throws {
        for (index, picture) in pictures.enumerated() {
            // One picture for each matrix: gates.0.png, gates.1.png…
            let path = pictures.count == 1 ? output : replacingExtension(output, with: "\(index).png")
            try writeAtomically(picture, to: path, force: force, inputs: [file])
            print(printable(path))
        }
    }

    private func writeGallery(to folder: String, _ options: PackOptions) async throws {
        let progress = ProgressLine("drawing", quiet: run.quiet)
        defer { progress.clear() }
        let (file, layout, threads, force) = (file, mapping.layout, run.threads, force)
        let isPacked = try isPacked()
        let gallery = try await withInterruption {
            isPacked
                ? try await Gallery.write(of: PackedModel(file), to: folder, threads: threads, force: force) {
                    progress.show($0)
                }
                : try await Gallery.write(
                    of: ModelFiles.open(file, layout: layout), options, to: folder, threads: threads, force: force
                ) { progress.show($0) }
        }
        progress.clear()
        let pictures = gallery.layers.reduce(0) { $0 + $1.files.count }
        if !run.quiet {
            print("\(printable(folder)): \(count(pictures, "picture")) of \(count(gallery.layers.count, "layer"))")
        }
    }

    private func print(_ line: String) { Swift.print(line) }

    private func print(_ model: ModelFile) {
        let bytes = model.files.reduce(0) { $0 + $1.originalSize }
        print("\(printable(file)): \(model.format.title), \(size(bytes)), \(count(model.tensors.count, "tensor"))")
        var table = TextTable([
            .init("tensor", alignsRight: false), .init("type"), .init("shape"), .init("elements", priority: 1),
            .init("bytes", priority: 2),
        ])
        for tensor in model.tensors {
            table.add([
                tensor.name, tensor.dtype.rawValue, dimensions(tensor.shape), grouped(tensor.count),
                grouped(tensor.extent.length),
            ])
        }
        for line in table.lines(width: terminalWidth()) { print(line) }
        for note in model.notes { print(note) }
    }

    private func print(_ summary: ArchiveSummary) {
        print(
            "\(printable(file)): packed \(summary.sourceFormat) (\(summary.sourceFiles.map(printable).joined(separator: ", "))), "
                + "\(size(summary.packedBytes)) of \(size(summary.originalBytes))")
        var table = TextTable([
            .init("tensor", alignsRight: false), .init("type", priority: 2), .init("shape"),
            .init("as", alignsRight: false), .init("n", priority: 3), .init("in", priority: 1, alignsRight: false),
        ])
        for layer in summary.layers {
            let entries =
                layer.entries.count > 1 ? "\(layer.entries[0]) … (\(layer.entries.count))" : layer.entries.first ?? ""
            table.add([layer.name, layer.dtype, dimensions(layer.shape), layer.kind, "\(layer.bits)", entries])
            for alias in layer.aliases {
                table.add([alias, layer.dtype, dimensions(layer.shape), "tied", "", entries])
            }
        }
        for tensor in summary.kept {
            table.add([tensor.name, tensor.dtype, dimensions(tensor.shape), "kept: \(tensor.reason)", "", ""])
        }
        for line in table.lines(width: terminalWidth()) { print(line) }
        if summary.unlisted.count > 0 {
            print("\(count(summary.unlisted.count, "more small tensor")) kept exactly, \(size(summary.unlisted.bytes))")
        }
    }
}

/// Contents of a model or packed file as JSON.
private struct ContentsDocument: Encodable {
    struct Tensor: Encodable {
        let name, dtype: String
        let shape: [Int]
        let bytes: Int
        let kind, kept: String?
        let entries: [String]?
    }

    let format: String
    let files: [String]
    let tensors: [Tensor]

    init(_ model: ModelFile) {
        format = model.format.title
        files = model.files.map(\.name)
        tensors = model.tensors.map {
            Tensor(
                name: $0.name, dtype: $0.dtype.rawValue, shape: $0.shape, bytes: $0.extent.length, kind: nil, kept: nil,
                entries: nil)
        }
    }

    init(_ summary: ArchiveSummary) {
        format = "packed \(summary.sourceFormat)"
        files = summary.sourceFiles
        tensors =
            summary.layers.map {
                Tensor(
                    name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: $0.packedBytes, kind: $0.kind, kept: nil,
                    entries: $0.entries)
            }
            + summary.kept.map {
                Tensor(
                    name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: $0.bytes, kind: nil, kept: $0.reason,
                    entries: nil)
            }
    }
}
