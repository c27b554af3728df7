import ModelGraph
import Testing

/// Branches and loops stay graphs within layers.
struct ControlFlowTests {
    private static func branch(_ node: ONNXNode) -> ONNXModel.Attribute { .graph(ONNXGraph([], node.outputs, [node])) }

    private static func choice(_ condition: [ONNXTensor], input: Bool) -> ONNXModel {
        let inputs: [(String, Int, [String])] = [("x", 1, ["2", "8"])] + (input ? [("c", 9, [])] : [])
        return ONNXModel(
            ONNXGraph(
                inputs, ["y"],
                [
                    ONNXNode(
                        "If", ["c"], ["y"], name: "choice",
                        [
                            "then_branch": branch(ONNXNode("MatMul", ["x", "w"], ["a"], name: "wide")),
                            "else_branch": branch(ONNXNode("MatMul", ["x", "v"], ["b"], name: "narrow")),
                        ])
                ], [ONNXTensor("w", [8, 6]), ONNXTensor("v", [8, 4])] + condition))
    }

    @Test func branchesThatDifferLeaveTheSizeOpen() throws {
        let network = try Self.choice([], input: true).network().inferringShapes()
        #expect(shape("y", network) == "2x?")
        let layer = try #require(network.graph.layers.first)
        #expect(layer.graphs.keys.sorted() == ["else_branch", "then_branch"])
        #expect(layer.graphs["then_branch"]?.layers.map(\.identifier) == ["wide"])
    }

    @Test(arguments: [(UInt8(1), "2x6", 96), (0, "2x4", 64)])
    func aKnownConditionTakesItsBranch(condition: UInt8, expected: String, multiplyAdds: Int) throws {
        let model = Self.choice([ONNXTensor("c", 9, [], [condition])], input: false)
        let network = try model.network().inferringShapes()
        #expect(shape("y", network) == expected)
        #expect(try network.estimate().multiplyAdds == multiplyAdds)
    }

    @Test func theHeavierBranchIsCounted() throws {
        let estimate = try Self.choice([], input: true).network().inferringShapes().estimate()
        #expect(estimate.multiplyAdds == 2 * 8 * 6)
        // The weights of both are held.
        #expect(estimate.weightBytes == 4 * 8 * (6 + 4))
        #expect(estimate.notes.contains { $0.contains("choice") && $0.contains("then_branch") })
    }

    @Test func aBranchThatDoesNotFitIsNotTaken() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "8"]), ("c", 9, [])], ["y"],
                [
                    ONNXNode(
                        "If", ["c"], ["y"],
                        [
                            "then_branch": Self.branch(ONNXNode("MatMul", ["x", "w"], ["a"])),
                            "else_branch": Self.branch(ONNXNode("MatMul", ["x", "v"], ["b"])),
                        ])
                ], [ONNXTensor("w", [9, 6]), ONNXTensor("v", [8, 4])]))
        #expect(try shape("y", model.network().inferringShapes()) == "2x4")
    }

    private static func loop(_ body: ONNXGraph, turns: Int?) -> ONNXModel {
        ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "8"])] + (turns == nil ? [("n", 7, [])] : []), ["s", "all"],
                [ONNXNode("Loop", ["n", "yes", "x"], ["s", "all"], name: "again", ["body": .graph(body)])],
                [ONNXTensor("w", [8, 8]), ONNXTensor("yes", 9, [], [1])]
                    + (turns.map { [ONNXTensor("n", 7, [], [UInt8($0), 0, 0, 0, 0, 0, 0, 0])] } ?? [])))
    }

    private static let product = ONNXGraph(
        [("i", 7, []), ("on", 9, []), ("state", 1, ["2", "8"])], ["go", "next", "seen"],
        [
            ONNXNode("Identity", ["on"], ["go"]), ONNXNode("MatMul", ["state", "w"], ["next"]),
            ONNXNode("Relu", ["next"], ["seen"]),
        ])

    @Test func aLoopGathersItsTurns() throws {
        let network = try Self.loop(Self.product, turns: 5).network().inferringShapes()
        #expect(shape("s", network) == "2x8" && shape("all", network) == "5x2x8")
        let estimate = try network.estimate()
        #expect(estimate.multiplyAdds == 5 * 2 * 8 * 8)
        #expect(estimate.layers.first { $0.type == "MatMul" }?.turns == 5)
    }

    @Test func aLoopOfUnknownLengthIsCountedOnce() throws {
        let network = try Self.loop(Self.product, turns: nil).network().inferringShapes()
        #expect(shape("s", network) == "2x8" && shape("all", network) == "?x2x8")
        let estimate = try network.estimate()
        #expect(estimate.multiplyAdds == 2 * 8 * 8)
        #expect(estimate.notes.contains { $0.contains("again") && $0.contains("one turn") })
    }

    @Test func aStateThatGrowsBecomesOpen() throws {
        let body = ONNXGraph(
            [("i", 7, []), ("on", 9, []), ("state", 1, [])], ["go", "next", "seen"],
            [
                ONNXNode("Identity", ["on"], ["go"]), ONNXNode("Concat", ["state", "x"], ["next"], ["axis": .int(0)]),
                ONNXNode("Relu", ["x"], ["seen"]),
            ])
        var open = body
        open.inputs[2].2 = ["?", "8"]
        let network = try Self.loop(open, turns: 3).network().inferringShapes()
        #expect(shape("s", network) == "?x8" && shape("all", network) == "3x2x8")
    }

    @Test func aScanRunsOverItsInputs() throws {
        let body = ONNXGraph(
            [("h", 1, ["1", "8"]), ("part", 1, ["1", "8"])], ["next", "out"],
            [
                ONNXNode("MatMul", ["part", "w"], ["p"]), ONNXNode("Add", ["h", "p"], ["next"]),
                ONNXNode("Identity", ["next"], ["out"]),
            ])
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["7", "1", "8"]), ("h0", 1, ["1", "8"])], ["last", "all"],
                [ONNXNode("Scan", ["h0", "x"], ["last", "all"], ["body": .graph(body), "num_scan_inputs": .int(1)])],
                [ONNXTensor("w", [8, 8])]))
        let network = try model.network().inferringShapes()
        #expect(shape("last", network) == "1x8" && shape("all", network) == "7x1x8")
        #expect(try network.estimate().multiplyAdds == 7 * 8 * 8)
    }
}
