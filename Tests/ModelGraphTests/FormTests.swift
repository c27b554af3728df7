import Foundation
import ModelFiles
import ModelGraph
import TestSupport
import Testing

/// The JSON form, other places where networks come from, and pictures.
struct FormTests {
    @Test(arguments: ["branches", "functions", "operators", "torch", "unknown"])
    func jsonBringsTheNetworkBack(fixture: String) throws {
        var network = try Network.open(modelFixture("onnx/\(fixture).onnx")) { _, _ in nil }.inferringShapes()
        let json = try network.json()
        let folder = try TemporaryFolder()
        let again = try Network.open(try folder.write(json, "graph.json")) { _, _ in nil }
        network.source = again.source
        #expect(again == network)
        #expect(try again.inferringShapes() == network)
        #expect(try again.json() == json)
    }

    @Test func weightsAreNamedAsTheModelHasThem() throws {
        let path = modelFixture("onnx/torch.onnx")
        let tensors = Dictionary(uniqueKeysWithValues: try ModelFiles.open(path).tensors.map { ($0.name, $0) })
        let network = try Network.open(path) { _, _ in nil }
        #expect(network.graph.weights.count >= tensors.count)
        let found = network.graph.weights.filter { weight in
            guard let tensor = tensors[weight.name] else { return false }
            return weight.offset == tensor.extent.offset && weight.length == tensor.extent.length
        }
        #expect(found.count == tensors.count)
    }

    private static let layer = #"{"id":"a","type":"Relu","inputs":["x"],"outputs":["y"]}"#

    private static func document(_ layers: String, more: String = "") -> String {
        #"{"format":"wcodec-graph","version":1,"graph":{"inputs":["x"],"outputs":["y"],"layers":[\#(layers)]\#(more)}}"#
    }

    @Test func aGraphWithoutShapesIsEnough() throws {
        let network = try Network(json: Array(Self.document(Self.layer).utf8), source: "g").inferringShapes([
            "x": [2, 3]
        ])
        #expect(shape("y", network) == "2x3")
        #expect(network.graph.layers.map(\.upstream) == [[]])
    }

    @Test(
        arguments: [
            ("{}", "format"),
            (#"{"format":"other","version":1,"graph":{"inputs":[],"outputs":[],"layers":[]}}"#, "other"),
            (document(layer).replacing("\"version\":1", with: "\"version\":2"), "version 2"),
            (document(layer + "," + layer), "identifier"), (document(layer.replacing("\"x\"", with: "\"z\"")), "\"z\""),
            (document(layer.replacing("}", with: #","upstream":["b"]}"#)), "upstream"),
            (document(layer, more: #","values":{"x":{"shape":[-1]}}"#), "\"x\""),
            (document(layer, more: #","values":{"x":{"shape":[4611686018427387904,4]}}"#), "\"x\""),
            (document(layer, more: #","values":{"x":{"shape":[2],"integers":[1,2,3]}}"#), "3 for 2"),
            (document(layer.replacing("}", with: #","attributes":{"a":{"integer":1,"text":"b"}}}"#)), "one kind"),
        ])
    func otherJSONIsRefused(json: String, word: String) throws {
        let error = #expect(throws: GraphError.self) { try Network(json: Array(json.utf8), source: "g.json") }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("g.json: ") && text.contains(word) && !text.contains("\n"), "\(text)")
    }

    @Test func aCommandIsAsked() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Array(Self.document(Self.layer).utf8), "g.json")
        let network = try await NetworkRequest.command("cat '\(path)'").network()
        #expect(network.graph.layers.map(\.identifier) == ["a"])
        for (command, word) in [("echo no >&2; exit 3", "no"), ("echo hello", "JSON"), ("true", "JSON")] {
            let error = await #expect(throws: GraphError.self) { try await NetworkRequest.command(command).network() }
            #expect(error?.description.contains(word) == true)
        }
    }

    @Test func onlyHTTPIsAsked() async throws {
        let error = await #expect(throws: GraphError.self) {
            try await NetworkRequest.url("file:///etc/passwd").network()
        }
        #expect(error?.description.contains("http") == true)
    }

    @Test func layersAreMadeOfWeights() throws {
        let folder = try TemporaryFolder()
        let file = Safetensors([
            .weights("cell.weight_ih", [32, 6]), .weights("cell.weight_hh", [32, 8]),
            .weights("first.weight", [20, 8]),
            .weights("first.bias", [20]), .weights("second.weight", [4, 20]), .weights("alone.weight", [5, 7]),
        ])
        let path = try folder.write(file.bytes, "model.safetensors")
        let network = try Network.open(path) { record, _ in
            (record.name.hasPrefix("cell") ? "lstm" : "fc", "pytorch")
        }.inferringShapes(["input": [9, 1, 6]])
        let layers = Dictionary(uniqueKeysWithValues: network.graph.layers.map { ($0.identifier, $0) })
        #expect(layers["second.weight"]?.upstream == ["first.weight"])
        #expect(layers["alone.weight"]?.upstream == [] && layers["first.weight"]?.inputs.count == 3)
        #expect(network.graph.inputs.count == 2 && network.graph.outputs.count == 2)
        let estimate = try network.estimate()
        #expect(estimate.multiplyAdds == 9 * 32 * 14 + 160 + 80 + 35)
        #expect(estimate.notes.contains { $0.contains("weights") })
    }

    @Test func picturesShowEveryLayer() throws {
        let network = try Network.open(modelFixture("onnx/branches.onnx")) { _, _ in nil }.inferringShapes()
        let (svg, dot) = (network.svg(), network.dot())
        network.forEachLayer { layer, _ in
            #expect(svg.contains(">\(layer.identifier): ") && dot.contains(layer.identifier))
        }
        #expect(svg.contains("then_branch") && dot.contains("subgraph"))
        let parser = XMLText(svg)
        #expect(parser.isWellFormed)
    }

    @Test func namesDoNotBreakPictures() throws {
        let node = ONNXNode("Relu", ["x"], ["y"], name: "<script>\"&\n]]>")
        let network = try ONNXModel(ONNXGraph([("x", 1, ["2"])], ["y"], [node])).network()
        #expect(!network.svg().contains("<script") && XMLText(network.svg()).isWellFormed)
        #expect(!network.dot().contains("\"&\n"))
    }
}

/// Whether a text has its tags closed in order.
private struct XMLText {
    let isWellFormed: Bool

    init(_ text: String) {
        var open: [Substring] = []
        var isGood = true
        for tag in text.matches(of: /<(\/?)([a-z]+)[^<>]*?(\/?)>/) {
            if !tag.1.isEmpty {
                isGood = isGood && open.popLast() == tag.2
            } else if tag.3.isEmpty {
                open.append(tag.2)
            }
        }
        isWellFormed = isGood && open.isEmpty
    }
}
