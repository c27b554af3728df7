import ModelFiles
import ModelGraph
import TestSupport
import Testing

/// Bad graphs get one line that names the file, the node, what was expected and what was found.
struct MistakeTests {
    struct Mistake: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let model: ONNXModel
        let words: [String]

        init(_ name: String, _ nodes: [ONNXNode], _ tensors: [ONNXTensor] = [], _ words: String...) {
            testDescription = name
            model = ONNXModel(
                ONNXGraph([("x", 1, ["2", "3"]), ("i", 1, ["1", "3", "8", "8"])], ["y"], nodes, tensors))
            self.words = words
        }
    }

    static let structure = [
        Mistake(
            "cycle",
            [
                ONNXNode("Add", ["x", "b"], ["a"], name: "first"), ONNXNode("Relu", ["a"], ["b"], name: "second"),
                ONNXNode("Relu", ["b"], ["y"]),
            ], [], "cycle", "\"first\"", "\"second\""),
        Mistake("self", [ONNXNode("Add", ["x", "y"], ["y"], name: "self")], [], "cycle", "\"self\""),
        Mistake("unknown input", [ONNXNode("Relu", ["nowhere"], ["y"], name: "lost")], [], "\"lost\"", "\"nowhere\""),
        Mistake(
            "duplicate output",
            [ONNXNode("Relu", ["x"], ["y"], name: "one"), ONNXNode("Sin", ["x"], ["y"], name: "two")],
            [], "\"two\"", "\"y\""),
        Mistake("output of an input", [ONNXNode("Relu", ["x"], ["x"], name: "back")], [], "\"back\"", "\"x\""),
        Mistake("no output", [ONNXNode("Relu", ["x"], ["z"])], [], "\"y\""),
        Mistake(
            "unknown set", [ONNXNode("Magic", ["x"], ["y"], name: "spell", domain: "made.up")], [], "\"spell\"",
            "made.up"),
        Mistake(
            "twice a weight", [ONNXNode("Relu", ["w"], ["y"])], [ONNXTensor("w", [2]), ONNXTensor("w", [3])], "\"w\"",
            "a second one"),
    ]

    static let shapes = [
        Mistake(
            "product", [ONNXNode("MatMul", ["x", "w"], ["y"], name: "fc")], [ONNXTensor("w", [4, 5])], "\"fc\"",
            "2x3 and 4x5"),
        Mistake(
            "sum", [ONNXNode("Add", ["x", "w"], ["y"], name: "sum")], [ONNXTensor("w", [4])], "\"sum\"", "broadcast"),
        Mistake(
            "channels", [ONNXNode("Conv", ["i", "w"], ["y"], name: "conv")], [ONNXTensor("w", [4, 2, 3, 3])],
            "\"conv\"",
            "3 channels"),
        Mistake(
            "kernel", [ONNXNode("Conv", ["i", "w"], ["y"], name: "conv")], [ONNXTensor("w", [4, 3, 9, 9])], "\"conv\"",
            "over 9"),
        Mistake(
            "strides", [ONNXNode("Conv", ["i", "w"], ["y"], name: "conv", ["strides": .ints([0, 1])])],
            [ONNXTensor("w", [4, 3, 3, 3])], "\"conv\"", "above 0"),
        Mistake(
            "huge stride", [ONNXNode("Conv", ["i", "w"], ["y"], name: "conv", ["pads": .ints([1 << 40, 0, 0, 0])])],
            [ONNXTensor("w", [4, 3, 3, 3])], "\"conv\"", "pads", "2^31"),
        Mistake(
            "groups", [ONNXNode("Conv", ["i", "w"], ["y"], name: "conv", ["group": .int(-1)])],
            [ONNXTensor("w", [4, 3, 3, 3])], "\"conv\"", "group"),
        Mistake(
            "elements", [ONNXNode("Reshape", ["x", "s"], ["y"], name: "view")], [ONNXTensor("s", integers: [4, -1])],
            "\"view\"", "2x3"),
        Mistake(
            "two open", [ONNXNode("Reshape", ["x", "s"], ["y"], name: "view")], [ONNXTensor("s", integers: [-1, -1])],
            "\"view\"", "-1 once"),
        Mistake(
            "axis",
            [
                ONNXNode("Softmax", ["x"], ["a"]),
                ONNXNode("Concat", ["a", "x"], ["y"], name: "join", ["axis": .int(2)]),
            ],
            [], "\"join\"", "axis"),
        Mistake(
            "squeeze", [ONNXNode("Squeeze", ["x", "a"], ["y"], name: "flat")], [ONNXTensor("a", integers: [0])],
            "\"flat\"",
            "size 1"),
        Mistake(
            "gates", [ONNXNode("LSTM", ["w", "w", "r"], ["y"], name: "cell", ["hidden_size": .int(4)])],
            [ONNXTensor("w", [1, 15, 5]), ONNXTensor("r", [1, 16, 4])], "\"cell\"", "4 gates"),
    ]

    static let hostile = [
        Mistake(
            "huge constant", [ONNXNode("ConstantOfShape", ["s"], ["y"], name: "fill")],
            [ONNXTensor("s", integers: [1 << 40, 1 << 40])], "\"fill\""),
        Mistake(
            "negative size", [ONNXNode("ConstantOfShape", ["s"], ["y"], name: "fill")],
            [ONNXTensor("s", integers: [-5])],
            "\"fill\"", "from 0"),
        Mistake(
            "huge expansion", [ONNXNode("Expand", ["x", "s"], ["y"], name: "grow")],
            [ONNXTensor("s", integers: [Int.max, 2, 3])], "\"grow\""),
        Mistake(
            "huge repeats", [ONNXNode("Tile", ["x", "s"], ["y"], name: "grow")],
            [ONNXTensor("s", integers: [Int.max, Int.max])], "\"grow\""),
        Mistake(
            "huge pads", [ONNXNode("Pad", ["x", "s"], ["y"], name: "grow")],
            [ONNXTensor("s", integers: [Int.max, 0, Int.max, 0])], "\"grow\""),
        Mistake(
            "negative pads", [ONNXNode("Pad", ["x", "s"], ["y"], name: "crop")],
            [ONNXTensor("s", integers: [-5, 0, 0, 0])], "\"crop\""),
        Mistake(
            "huge range", [ONNXNode("Range", ["a", "b", "c"], ["y"], name: "count")],
            [ONNXTensor("a", integers: [0]), ONNXTensor("b", integers: [Int.max]), ONNXTensor("c", integers: [1])],
            "\"count\""),
        Mistake(
            "huge scales", [ONNXNode("Resize", ["i", "", "s"], ["y"], name: "zoom")],
            [ONNXTensor("s", reals: [1, 1, 1e30, 1])], "\"zoom\""),
        Mistake(
            "step 0", [ONNXNode("Slice", ["x", "s", "e", "a", "p"], ["y"], name: "cut")],
            [
                ONNXTensor("s", integers: [0]), ONNXTensor("e", integers: [1]), ONNXTensor("a", integers: [0]),
                ONNXTensor("p", integers: [0]),
            ], "\"cut\"", "0"),
        Mistake(
            "a name that is no line", [ONNXNode("Relu", ["no\nwhere\u{1B}[31m"], ["y"], name: "lost")], [], "\"lost\"",
            "\\u{a}"),
    ]

    @Test(arguments: structure + shapes + hostile)
    func badGraphsAreRefusedInOneLine(mistake: Mistake) throws {
        let error = try #require(try mistake.model.error())
        #expect(error.hasPrefix("model.onnx: ") && !error.contains("\n") && !error.contains("\u{1B}"))
        #expect(error.contains(": expected ") && error.contains(", found "))
        for word in mistake.words { #expect(error.contains(word), "\(error)") }
    }

    @Test func amountsThatOverflowAreRefused() throws {
        // Each value is a tensor that could be, but not their sum.
        let nodes = (0..<40).map { ONNXNode("ConstantOfShape", ["s"], ["v\($0)"], name: "fill\($0)") }
        let sum = ONNXNode("Sum", (0..<40).map { "v\($0)" } + ["x"], ["y"])
        let shape = ONNXNode("Shape", ["x"], ["s"])
        let model = ONNXModel(ONNXGraph([("x", 1, ["a", "b"])], ["y"], [shape] + nodes + [sum]))
        #expect(try model.error(["x": [1 << 28, 1 << 28]], estimating: true)?.contains("2^60") == true)
        let product = ONNXModel(
            ONNXGraph(
                [("x", 1, ["a", "b"]), ("z", 1, ["b", "a"])], ["y"],
                [ONNXNode("MatMul", ["x", "z"], ["y"], name: "fc")]))
        #expect(try product.error(["x": [1 << 29, 1 << 29], "z": [1 << 29, 1 << 29]], estimating: true) == nil)
    }

    @Test(
        arguments: [
            (["nosuch": [1]], "x, i"), (["x": [2]], "2x3"), (["x": [2, 4]], "2x4"),
            (["x": [1 << 40, 1 << 40]], "2^59"),
        ])
    func shapesThatDoNotFitAreRefused(shapes: [String: [Int]], word: String) throws {
        let model = Mistake("right", [ONNXNode("Relu", ["x"], ["y"])]).model
        let error = try #require(try model.error(shapes))
        #expect(error.hasPrefix("--shape ") && error.contains(word), "\(error)")
    }

    @Test func functionsThatCallThemselvesAreRefused() throws {
        let function = ONNXModel.Function(
            name: "Again", domain: "local", inputs: ["a"], outputs: ["b"],
            nodes: [
                ONNXNode("Again", ["a"], ["m"], domain: "local"), ONNXNode("Again", ["m"], ["b"], domain: "local"),
            ])
        let model = ONNXModel(
            ONNXGraph([("x", 1, ["2"])], ["y"], [ONNXNode("Again", ["x"], ["y"], domain: "local")]),
            sets: ["": 17, "local": 1], functions: [function])
        #expect(try model.error()?.contains("functions") == true)
    }

    @Test func damagedModelsNeverCrash() throws {
        let bytes = EstimateTests.convolutional.bytes
        let folder = try TemporaryFolder()
        var generator = SeededGenerator(7)
        for trial in 0..<1500 {
            var damaged = bytes
            if trial.isMultiple(of: 5) {
                damaged.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
            } else {
                // The weights are most of the file, and mean nothing here.
                for _ in 0..<3 {
                    damaged[Int.random(in: 0..<900, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                }
            }
            let path = try folder.write(damaged, "model.onnx")
            do throws(GraphError) {
                _ = try Network.open(path) { _, _ in nil }.inferringShapes().estimate()
            } catch {
                #expect(!error.description.contains("\n"))
            }
        }
    }
}
