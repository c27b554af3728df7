import ArgumentParser
import Evaluation
import Execution
import Glibc
import ModelFiles
import ModelGraph
import WeightArchive

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs an ONNX model, or a packed one, on an input.",
        usage: "wcodec run <model> --input [name=]<file> ... [-o <file>] [<options>]",
        discussion: """
            An input is an array (.npy), several (.npz, each for the input of its name), a picture (PNG, of the size that the network \
            takes) or a sound (WAV, FLAC, Ogg), told apart by content. Samples of pictures become floats from 0 to 1, or what --mean and \
            --std make of them. docs/data.md says more.

            EXAMPLES
              wcodec run model.onnx --input x.npy
              wcodec run model.wcz --input x.npy -o y.npy
              wcodec run model.onnx --input ids=ids.npy --input mask=mask.npy -o outputs.npz
              wcodec run model.onnx --input photo.png --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
            """)

    @Argument(help: ArgumentHelp("An ONNX model, or a packed file of one.", valueName: "model"), completion: .file())
    var model: String

    @Option(
        name: .customLong("input"),
        help: ArgumentHelp(
            "A file for an input, which may be left unnamed when it is the only one left.", valueName: "[name=]file"),
        completion: .file())
    var inputs: [String] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Write the output to this file, .npy; all of them with their names to .npz.", valueName: "file"),
        completion: .file(extensions: ["npy", "npz"]))
    var output: String?

    @Option(
        name: .customLong("shape"),
        help: ArgumentHelp(
            "Sizes to give the array for an input, as 'input=1x3x224x224'; may be repeated.", valueName: "input=sizes"))
    var shapes: [String] = []

    @OptionGroup var engine: EngineOptions

    @Option(
        help: ArgumentHelp(
            "A configuration that says which target runs which layers, as docs/targets.md describes it.",
            valueName: "file"),
        completion: .file(extensions: ["json"]))
    var targets: String?

    @Option(
        help: ArgumentHelp(
            "The model that it was packed against, as --delta named it.", valueName: "base"), completion: .file())
    var delta: String?

    @Flag(help: "Replace an existing file.")
    var force = false

    @Flag(help: "Print the result as JSON.")
    var json = false

    @OptionGroup var work: RunOptions

    func validate() throws {
        _ = try inputSizes(shapes)
        guard targets == nil || engine.engine == nil else {
            throw ValidationError("expected --engine or --targets, found both")
        }
    }

    func run() async throws {
        try await reportingErrors {
            let files = inputs.map(InputArgument.init)
            let sources = [model] + files.map(\.path)
            if let output { try checkWritable(output, force: force, inputs: sources) }
            let configuration = try targets.map { (path) throws(GraphError) in try TargetConfiguration(path: path) }
            var model = try ExecutableModel(model, delta: delta)
            defer { model.remove() }
            let plan = try plan(of: model, configuration)
            let found = try await engine.libraries.targets(of: plan.modes, configuration)
            try await model.prepare(for: plan, work)
            let network = try plan.load(model.path, by: model.means(found, threads: work.threads))
            let values = try InputAssignment(files, of: self.model, to: network.inputs).values(
                shapes: try inputSizes(shapes), scaling: try engine.pictures.scaling())
            let start = ContinuousClock.now
            let results = try network.run(values)
            let time = ContinuousClock.now - start
            try MappedFile.checkAllWhole()
            let outputs = network.outputs.compactMap { port in results[port.name].map { (port.name, $0) } }
            if let output { try write(outputs, to: output, sources) }
            let document = RunDocument(
                engine: Self.engines(plan, found), threads: work.threads, load: network.loadTime, run: time, outputs)
            if json { return try printJSON(document) }
            if !work.quiet { for line in document.lines(width: terminalWidth()) { print(line) } }
        }
    }

    /// How the layers are run: as options say, else as the model itself does, else by the default engine.
    private func plan(of model: ExecutableModel, _ configuration: TargetConfiguration?) throws -> RunPlan {
        if let configuration { return try RunPlan(configuration, of: model.path, weights: model.weights) }
        if engine.engine == nil, let held = try RunPlan(heldBy: model.path) { return held }
        return .all(try engine.mode(weights: model.weights))
    }

    /// What ran the network, and where several modes did, which.
    private static func engines(_ plan: RunPlan, _ targets: [String: any ExecutionTarget]) -> String {
        let names = targets.sorted { $0.key < $1.key }.map(\.value.description).joined(separator: ", ")
        guard case .each(let network, let modes) = plan, plan.modes.count > 1 else { return names }
        let segments = Partition(network.graph, modes: modes).segments.count
        let texts = plan.modes.map(\.description).sorted().joined(separator: ", ")
        return "\(names): \(texts) in \(count(segments, "segment"))"
    }

    private func write(_ outputs: [(String, TensorValue)], to path: String, _ sources: [String]) throws {
        let isArchive = path.hasSuffix(".npz")
        guard isArchive || outputs.count == 1 else {
            throw DataError.option(
                "-o \(path)", expected: "a name with .npz for \(count(outputs.count, "output"))", found: "one array's")
        }
        try writeArrays(
            outputs.map { NamedArray(name: $0.0, type: $0.1.type, shape: $0.1.shape, bytes: $0.1.bytes) }, to: path,
            force: force, inputs: sources)
    }
}

/// What `--input` says: a file, and the input that it is for.
struct InputArgument {
    let name: String?
    let path: String

    /// A text as `x.npy` or `name=x.npy`; a file whose own name holds a `=` is found too.
    init(_ text: String) {
        if let equals = text.firstIndex(of: "="), access(text, F_OK) != 0 {
            name = String(text[..<equals])
            path = String(text[text.index(after: equals)...])
        } else {
            name = nil
            path = text
        }
    }
}

/// Which input of a network each file, or array of a file, is for.
struct InputAssignment {
    private var sources: [(port: NetworkPort, file: InputFile, array: String?)] = []

    init(_ arguments: [InputArgument], of model: String, to ports: [NetworkPort]) throws {
        let names = ports.map(\.name).joined(separator: ", ")
        func assign(_ name: String, _ file: InputFile, _ array: String?) throws {
            guard let port = ports.first(where: { $0.name == name }) else {
                throw ExecutionError.value(model: model, name: name, expected: "one of \(names)", found: "another name")
            }
            guard !sources.contains(where: { $0.port.name == name }) else {
                throw ExecutionError.value(model: model, name: name, expected: "one value", found: "two")
            }
            sources.append((port, file, array))
        }
        for argument in arguments {
            let file = try InputFile(argument.path)
            if let name = argument.name {
                try assign(name, file, file.names?.contains(name) == true ? name : nil)
                continue
            }
            let known = file.names?.filter { name in ports.contains { $0.name == name } } ?? []
            if !known.isEmpty {
                for name in known { try assign(name, file, name) }
                continue
            }
            let left = ports.filter { port in !sources.contains { $0.port.name == port.name } }
            guard left.count == 1, let port = left.first else {
                throw DataError.option(
                    "--input \(argument.path)", expected: "name=\(argument.path) with a name of \(names)",
                    found: "no name")
            }
            try assign(port.name, file, nil)
        }
    }

    /// The values, each of its input's type.
    func values(shapes: [String: [Int]], scaling: PictureScaling) throws -> [String: TensorValue] {
        var values: [String: TensorValue] = [:]
        for (port, file, array) in sources {
            values[port.name] = try file.value(for: port, array: array, shape: shapes[port.name], scaling: scaling)
        }
        return values
    }
}
