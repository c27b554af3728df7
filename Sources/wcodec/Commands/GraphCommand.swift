import ArgumentParser
import Evaluation
import ModelFiles
import ModelGraph
import WeightArchive

struct GraphCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph",
        abstract: "Shows the layers of a network and what flows between them.",
        usage: "wcodec graph <model> [<options>]",
        discussion: """
            An ONNX model holds its graph. Of other models the layers are made from the names and shapes of their tensors. \
            docs/graph.md specifies the JSON form, which this command reads too.

            EXAMPLES
              wcodec graph model.onnx
              wcodec graph model.onnx --shape input=1x3x224x224
              wcodec graph model.onnx --svg model.svg
              wcodec graph model.onnx --json > graph.json
              wcodec graph --from-url http://localhost:8000/graph
            """)

    @Argument(help: ArgumentHelp("A model, or a graph as JSON.", valueName: "model"), completion: .file())
    var model: String?

    @OptionGroup var options: NetworkOptions

    @Flag(help: "Print the graph as JSON.")
    var json = false

    @Option(
        help: ArgumentHelp("Draw the graph to this file for Graphviz; - is standard output.", valueName: "file.dot"),
        completion: .file(extensions: ["dot", "gv"]))
    var dot: String?

    @Option(
        help: ArgumentHelp("Draw the graph to this picture; - is standard output.", valueName: "file.svg"),
        completion: .file(extensions: ["svg"]))
    var svg: String?

    @Flag(help: "Replace existing files.")
    var force = false

    func validate() throws {
        try options.validate(model: model)
        let ways = [json ? "" : nil, dot, svg].compactMap(\.self).count
        guard ways < 2 else { throw ValidationError("expected one of --json, --dot and --svg, found several") }
    }

    func run() async throws {
        try await reportingErrors {
            for path in [dot, svg].compactMap(\.self) where path != "-" {
                try checkWritable(path, force: force, inputs: [model].compactMap(\.self))
            }
            let network = try await options.network(model, isBound: false)
            if json { return try writeToStandardOutput(try network.json()) }
            if let dot { return try write(network.dot(), to: dot) }
            if let svg { return try write(network.svg(), to: svg) }
            print(network)
        }
    }

    private func write(_ text: String, to path: String) throws {
        if path == "-" { return try writeToStandardOutput(Array(text.utf8)) }
        try writeAtomically(Array(text.utf8), to: path, force: force, inputs: [model].compactMap(\.self))
    }

    private func print(_ line: String) { Swift.print(line) }

    private func print(_ network: Network) {
        print(summaryLine(network))
        for line in ends("input ", network.graph.inputs, network.graph) { print(line) }
        for line in ends("output", network.graph.outputs, network.graph) { print(line) }
        print("")
        var table = TextTable([
            .init("layer", alignsRight: false), .init("type", alignsRight: false), .init("output", alignsRight: false),
            .init("elements", priority: 2, alignsRight: false), .init("weights", priority: 1),
            .init("upstream", priority: 3, alignsRight: false),
        ])
        addRows(of: network.graph, to: &table, indent: "")
        for line in table.lines(width: terminalWidth()) { print(line) }
        for note in network.notes { print(printable(note)) }
    }

    private func summaryLine(_ network: Network) -> String {
        var layers = 0
        var constants = network.graph.weights.count
        network.forEachLayer { layer, _ in
            layers += 1
            for graph in layer.graphs.values { constants += graph.weights.count }
        }
        let sets = network.operatorSets.sorted { $0.key < $1.key }.map {
            "\($0.key.isEmpty ? "operator set" : $0.key) \($0.value)"
        }
        let title = [network.name, sets.joined(separator: ", ")].filter { !$0.isEmpty }.joined(separator: ", ")
        return printable(
            "\(network.source)\(title.isEmpty ? "" : " (\(title))"): \(count(layers, "layer")), "
                + count(constants, "constant"))
    }

    /// A line for each of the first inputs or outputs.
    private func ends(_ title: String, _ names: [String], _ graph: Graph) -> [String] {
        let shown = names.count > 8 ? names.prefix(6) : names[...]
        let lines = shown.map { "\(title)  \(described($0, graph))" }
        return names.count > shown.count ? lines + ["\(title)  … and \(names.count - shown.count) more"] : lines
    }

    private func described(_ name: String, _ graph: Graph) -> String {
        let value = graph.values[name]
        return printable("\(name)  \(value?.shape?.text ?? "?")  \(value?.type?.rawValue ?? "")")
    }

    private func addRows(of graph: Graph, to table: inout TextTable, indent: String) {
        var weights: [String: Int] = [:]
        for weight in graph.weights { weights[weight.value] = graph.values[weight.value]?.count ?? 0 }
        for layer in graph.layers {
            let outputs = layer.outputs.filter { !$0.isEmpty }
            let first = outputs.first.flatMap { graph.values[$0] }
            let more = outputs.count > 1 ? " (+\(outputs.count - 1))" : ""
            let own = Set(layer.inputs).reduce(0) { $0 + (weights[$1] ?? 0) }
            table.add([
                indent + layer.identifier, layer.fullType, (first?.shape?.text ?? "?") + more,
                first?.type?.rawValue ?? "?", own > 0 ? grouped(own) : "", layer.upstream.joined(separator: ", "),
            ])
            for (name, inner) in layer.graphs.sorted(by: { $0.key < $1.key }) {
                table.add(["\(indent)  \(name):", "", "", "", "", ""])
                addRows(of: inner, to: &table, indent: indent + "    ")
            }
        }
    }
}
