import ArgumentParser
import Evaluation
import ModelGraph
import WeightArchive

extension NumericType: ExpressibleByArgument {}

extension ComputeThreshold: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

struct EstimateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "estimate",
        abstract: "Says what memory and compute a network needs, and which devices have them.",
        usage: "wcodec estimate <model> [<packed.wcz>] [<options>]",
        discussion: """
            Layer by layer: bytes of weights, activations and workspace, and multiply-adds. The peak is what is alive at the same \
            time when memory is reused. The target layers, those above --threshold, decide how fast a device can be: each takes \
            as long as its multiply-adds or the bytes it moves. With a packed file also what the network needs when its weights \
            stay packed and are restored layer by layer.

            EXAMPLES
              wcodec estimate model.onnx
              wcodec estimate model.onnx --shape input=1x3x224x224 --type int8
              wcodec estimate model.onnx model.wcz
              wcodec estimate model.onnx --devices mine.json --threshold 1%
            """)

    @Argument(
        help: ArgumentHelp("A model or a graph as JSON, and its packed file.", valueName: "model"), completion: .file())
    var files: [String] = []

    @OptionGroup var options: NetworkOptions

    @Option(
        help: ArgumentHelp(
            "What floats are held and computed in. (default: as the model has them)", valueName: "float32|float16|int8")
    )
    var type: NumericType?

    @Option(
        help: ArgumentHelp(
            "Multiply-adds above which a layer is a target layer, as a number or as a share of all. (default: 5%)",
            valueName: "n | share%"))
    var threshold = ComputeThreshold(share: 0.05)

    @Option(
        help: ArgumentHelp(
            "Devices to consider, as docs/graph.md specifies. (default: a few real ones)", valueName: "devices.json"),
        completion: .file(extensions: ["json"]))
    var devices: String?

    @Flag(help: "Print the estimate as JSON.")
    var json = false

    /// The model, which is not among the files when an application is asked.
    private var model: String? { options.request == nil ? files.first : nil }
    private var packed: String? { options.request == nil ? files.dropFirst().first : files.first }

    func validate() throws {
        try options.validate(model: model)
        let most = options.request == nil ? 2 : 1
        guard files.count <= most else {
            throw ValidationError("expected a model and a packed file, found \(files.count) files")
        }
    }

    func run() async throws {
        try await reportingErrors {
            let list = try devices.map { path throws(GraphError) in try DeviceList(path: path) } ?? .builtIn
            let network = try await options.network(model, isBound: true)
            let estimate = try network.estimate(as: type)
            let after = try packed.map { try Packing($0, estimate) }
            let document = EstimateDocument(
                network, estimate, Demand(estimate, above: threshold), after, list)
            if json { return try printJSON(document) }
            for line in EstimateText(document, estimate).lines(width: terminalWidth()) { print(line) }
        }
    }

    /// A packed file and what the network needs with it.
    struct Packing {
        let path: String
        let fileBytes: Int
        let weights: PackedWeights

        init(_ path: String, _ estimate: ResourceEstimate) throws {
            let summary = try PackedModel(path).summary
            var bytes: [String: Int] = [:]
            for layer in summary.layers {
                for name in [layer.name] + layer.aliases { bytes[name] = layer.packedBytes }
            }
            guard summary.layers.isEmpty || bytes.keys.contains(where: { estimate.weights[$0] != nil }) else {
                throw GraphError.graph(
                    source: path, part: "packed file", expected: "layers of the model",
                    found: "others, as \(summary.layers[0].name)")
            }
            self.path = path
            fileBytes = summary.packedBytes
            weights = PackedWeights(estimate, packed: bytes)
        }
    }
}
