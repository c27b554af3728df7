import ModelGraph
import Testing

/// What a configuration makes of graphs.
struct SubgraphTests {
    private static let x: [(String, Int, [String])] = [("x", 1, ["1", "2", "4", "4"])]

    private func subgraphs(
        _ nodes: [ONNXNode], outputs: [String] = ["y"], _ weights: [ONNXTensor] = [],
        _ configuration: TargetConfiguration = .builtIn("native")
    ) throws -> [SubgraphOperator] {
        let network = try ONNXModel(ONNXGraph(Self.x, outputs, nodes, weights)).network()
        return try network.graph.subgraphs(configuration, source: "model.onnx")
    }

    private static let convolution = ONNXNode("Conv", ["x", "w"], ["a"], name: "conv")
    private static let w = ONNXTensor("w", [2, 2, 1, 1])

    @Test func convolutionNormalizationAndActivationAreOne() throws {
        let vectors = ["s", "b", "m", "v"].map { ONNXTensor($0, reals: [1, 1]) }
        let found = try subgraphs(
            [
                Self.convolution, ONNXNode("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"], name: "norm"),
                ONNXNode("Relu", ["n"], ["y"], name: "relu"),
            ], [Self.w] + vectors)
        #expect(found.map(\.kind) == ["convolution"])
        #expect(found.first?.layers == [0, 1, 2])
        #expect(found.first?.identifier == "relu")
        #expect(found.first?.target == "native")
        #expect(found.first?.type == nil)
        #expect(found.first?.layout == nil)
    }

    @Test func whatOthersNeedIsNotFused() throws {
        let relu = ONNXNode("Relu", ["a"], ["y"], name: "relu")
        let other = ONNXNode("Neg", ["a"], ["z"], name: "other")
        let found = try subgraphs([Self.convolution, relu, other], outputs: ["y", "z"], [Self.w])
        #expect(found.map(\.kind) == ["convolution", "Relu", "Neg"])
        let handedOut = try subgraphs([Self.convolution, relu], outputs: ["y", "a"], [Self.w])
        #expect(handedOut.map(\.layers) == [[0], [1]])
    }

    @Test func aLayerBelongsToOneChain() throws {
        let found = try subgraphs([
            ONNXNode("MatMul", ["x", "x"], ["a"], name: "first"),
            ONNXNode("MatMul", ["x", "x"], ["b"], name: "second"),
            ONNXNode("Add", ["a", "b"], ["y"], name: "sum"),
        ])
        #expect(found.map(\.layers) == [[1], [0, 2]])
    }

    @Test func attentionIsOne() throws {
        let found = try subgraphs(
            [
                ONNXNode("MatMul", ["x", "x"], ["a"], name: "scores"),
                ONNXNode("Div", ["a", "d"], ["b"], name: "scale"),
                ONNXNode("Softmax", ["b"], ["c"], name: "softmax"),
                ONNXNode("MatMul", ["c", "x"], ["y"], name: "values"),
            ], [ONNXTensor("d", reals: [2])])
        #expect(found.map(\.kind) == ["attention"])
        #expect(found.first?.layers == [0, 1, 2, 3])
    }

    @Test func fallsBackToTheNextTarget() throws {
        typealias Target = TargetConfiguration.Target
        let configuration = TargetConfiguration(targets: [
            Target(name: "narrow", operators: ["Conv"]), Target(name: "wide", operators: ["*"]),
        ])
        let relu = ONNXNode("Relu", ["a"], ["y"], name: "relu")
        #expect(
            try subgraphs([Self.convolution, relu], [Self.w], configuration).map(\.target) == ["narrow", "wide"])
        let one = TargetConfiguration(targets: [Target(name: "narrow", operators: ["Conv"])])
        let error = #expect(throws: GraphError.self) { try subgraphs([Self.convolution, relu], [Self.w], one) }
        #expect(
            error?.description == "model.onnx: node \"relu\": expected an operator that narrow takes, found Relu")
    }

    @Test func configurationsAreReadAsTheyAreWritten() throws {
        let configuration = TargetConfiguration.builtIn("native", operators: ["Conv", "Relu"])
        #expect(try TargetConfiguration(json: configuration.json(), source: "targets.json") == configuration)
        let text =
            #"{"format":"wcodec-targets","version":1,"targets":[{"name":"a","operators":["*"],"type":"F32","#
            + #""layout":"NCHW","fusions":[{"name":"f","steps":[{"types":["Relu"],"optional":true}]}]}]}"#
        let error = #expect(throws: GraphError.self) {
            try TargetConfiguration(json: Array(text.utf8), source: "targets.json")
        }
        #expect(
            error?.description
                == "targets.json: fusion \"f\": expected steps of operators, the first not optional, found others")
        #expect(throws: GraphError.self) { try TargetConfiguration(json: Array("{}".utf8), source: "targets.json") }
    }
}
