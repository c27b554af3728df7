import ModelFiles
import ModelGraph
import TestSupport
import Testing

/// Shapes are worked out from the inputs', operator by operator.
struct ShapeTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let make: @Sendable () -> (ONNXNode, [(String, Int, [String])], [ONNXTensor], Int)
        let expected: [String]
        var testDescription: String { name }

        /// A node of inputs `x`, `y` and so on, float32 unless a tensor is given.
        init(
            _ node: @escaping @autoclosure @Sendable () -> ONNXNode, _ shapes: [String],
            _ tensors: @escaping @autoclosure @Sendable () -> [ONNXTensor] = [], set: Int = 17,
            gives expected: String...
        ) {
            name = "\(node().type) \(shapes.joined(separator: ", "))"
            make = {
                let names = ["x", "y", "z"]
                let inputs = shapes.enumerated().map { index, shape in
                    (names[index], 1, shape == "scalar" ? [] : shape.split(separator: "x").map(String.init))
                }
                return (node(), inputs, tensors(), set)
            }
            self.expected = expected
        }
    }

    static let cases = windows + products + arithmetic + movements + others

    static let windows: [Case] = [
        Case(
            ONNXNode("Conv", ["x", "w"], ["a"], ["pads": .ints([1, 1, 1, 1]), "strides": .ints([2, 2])]),
            ["1x3x224x224"], [ONNXTensor("w", [32, 3, 3, 3])], gives: "1x32x112x112"),
        Case(
            ONNXNode("Conv", ["x", "w"], ["a"], ["dilations": .ints([2, 2]), "group": .int(4)]),
            ["1x4x9x9"], [ONNXTensor("w", [8, 1, 3, 3])], gives: "1x8x5x5"),
        Case(
            ONNXNode("Conv", ["x", "w"], ["a"], ["auto_pad": .string("SAME_UPPER"), "strides": .ints([3])]),
            ["batchx2x10"], [ONNXTensor("w", [5, 2, 4])], gives: "batchx5x4"),
        Case(
            ONNXNode(
                "ConvTranspose", ["x", "w"], ["a"], ["strides": .ints([2, 2]), "output_padding": .ints([1, 1])]),
            ["1x4x5x5"], [ONNXTensor("w", [4, 6, 3, 3])], gives: "1x6x12x12"),
        Case(
            ONNXNode(
                "MaxPool", ["x"], ["a", "b"],
                [
                    "kernel_shape": .ints([3, 3]), "strides": .ints([2, 2]),
                    "ceil_mode": .int(1),
                ]), ["1x4x6x6"], gives: "1x4x3x3", "1x4x3x3"),
        Case(ONNXNode("GlobalAveragePool", ["x"], ["a"]), ["nx4x6x6"], gives: "nx4x1x1"),
    ]

    static let products: [Case] = [
        Case(ONNXNode("MatMul", ["x", "y"], ["a"]), ["8x1x3x4", "5x4x6"], gives: "8x5x3x6"),
        Case(ONNXNode("MatMul", ["x", "y"], ["a"]), ["4", "5x4x6"], gives: "5x6"),
        Case(
            ONNXNode("Gemm", ["x", "y"], ["a"], ["transA": .int(1), "transB": .int(1)]), ["4x3", "5x4"], gives: "3x5"),
        Case(
            ONNXNode("Einsum", ["x", "y"], ["a"], ["equation": .string("bik, bjk -> bij")]),
            ["2x3x4", "2x5x4"], gives: "2x3x5"),
        Case(
            ONNXNode(
                "LSTM", ["x", "w", "r"], ["a", "b", "c"],
                [
                    "hidden_size": .int(8),
                    "direction": .string("bidirectional"),
                ]), ["7x2x5"],
            [ONNXTensor("w", [2, 32, 5]), ONNXTensor("r", [2, 32, 8])], gives: "7x2x2x8", "2x2x8", "2x2x8"),
        Case(
            ONNXNode("GRU", ["x", "w", "r"], ["a"], ["hidden_size": .int(8)]), ["stepsx1x5"],
            [ONNXTensor("w", [1, 24, 5]), ONNXTensor("r", [1, 24, 8])], gives: "stepsx1x1x8"),
    ]

    static let arithmetic: [Case] = [
        Case(ONNXNode("Add", ["x", "y"], ["a"]), ["3x1", "1x4"], gives: "3x4"),
        Case(ONNXNode("Add", ["x", "y"], ["a"]), ["batchx4", "batchx4"], gives: "batchx4"),
        Case(ONNXNode("Where", ["x", "y", "z"], ["a"]), ["3x1", "4", "1x1x1"], gives: "1x3x4"),
        Case(
            ONNXNode("Reshape", ["x", "s"], ["a"]), ["batchx2x6"], [ONNXTensor("s", integers: [0, -1])],
            gives: "batchx12"),
        Case(
            ONNXNode("Reshape", ["x", "s"], ["a"]), ["2x6"], [ONNXTensor("s", integers: [3, -1, 2])], gives: "3x2x2"),
        Case(ONNXNode("Flatten", ["x"], ["a"], ["axis": .int(2)]), ["2x3x4x5"], gives: "6x20"),
        Case(ONNXNode("Transpose", ["x"], ["a"], ["perm": .ints([2, 0, 1])]), ["2x3xn"], gives: "nx2x3"),
    ]

    static let movements: [Case] = [
        Case(ONNXNode("Concat", ["x", "y"], ["a"], ["axis": .int(-1)]), ["2x3", "2x4"], gives: "2x7"),
        Case(
            ONNXNode("Split", ["x", "s"], ["a", "b"], ["axis": .int(1)]), ["2x7"], [ONNXTensor("s", integers: [3, 4])],
            gives: "2x3", "2x4"),
        Case(
            ONNXNode("Split", ["x"], ["a", "b"], ["axis": .int(0), "num_outputs": .int(2)]), ["5x2"], set: 18,
            gives: "3x2", "2x2"),
        Case(
            ONNXNode("Slice", ["x", "s", "e", "i", "p"], ["a"]), ["10x8"],
            [
                ONNXTensor("s", integers: [-1, 1]), ONNXTensor("e", integers: [Int.min, Int.max]),
                ONNXTensor("i", integers: [0, 1]),
                ONNXTensor("p", integers: [-3, 2]),
            ], gives: "4x4"),
        Case(
            ONNXNode("Slice", ["x"], ["a"], ["starts": .ints([2]), "ends": .ints([100])]), ["10x8"], set: 9,
            gives: "8x8"),
        Case(ONNXNode("Squeeze", ["x", "i"], ["a"]), ["1x3x1"], [ONNXTensor("i", integers: [-1])], gives: "1x3"),
        Case(ONNXNode("Squeeze", ["x"], ["a"], ["axes": .ints([0])]), ["1x3x1"], set: 11, gives: "3x1"),
        Case(
            ONNXNode("Unsqueeze", ["x", "i"], ["a"]), ["3x4"], [ONNXTensor("i", integers: [0, -1])], gives: "1x3x4x1"),
        Case(
            ONNXNode("Gather", ["x", "i"], ["a"], ["axis": .int(1)]), ["3x4x5"], [ONNXTensor("i", integers: [0, 1])],
            gives: "3x2x5"),
        Case(ONNXNode("Expand", ["x", "s"], ["a"]), ["3x1"], [ONNXTensor("s", integers: [2, 1, 6])], gives: "2x3x6"),
        Case(ONNXNode("Tile", ["x", "s"], ["a"]), ["3x2"], [ONNXTensor("s", integers: [2, 5])], gives: "6x10"),
        Case(ONNXNode("Pad", ["x", "s"], ["a"]), ["3x2"], [ONNXTensor("s", integers: [0, 1, 0, 4])], gives: "3x7"),
        Case(ONNXNode("Pad", ["x"], ["a"], ["pads": .ints([1, 0, 1, -1])]), ["3x2"], set: 10, gives: "5x1"),
    ]

    static let others: [Case] = [
        Case(
            ONNXNode("ReduceMean", ["x"], ["a"], ["axes": .ints([-1]), "keepdims": .int(0)]), ["3x2xn"], gives: "3x2"),
        Case(ONNXNode("ReduceSum", ["x", "i"], ["a"]), ["3x2xn"], [ONNXTensor("i", integers: [1])], gives: "3x1xn"),
        Case(ONNXNode("ArgMax", ["x"], ["a"], ["axis": .int(1)]), ["3x2xn"], gives: "3x1xn"),
        Case(
            ONNXNode("TopK", ["x", "i"], ["a", "b"]), ["3x9"], [ONNXTensor("i", integers: [4])], gives: "3x4", "3x4"),
        Case(ONNXNode("Softmax", ["x"], ["a"]), ["nx3"], gives: "nx3"),
        Case(
            ONNXNode("LayerNormalization", ["x", "w"], ["a", "b"]), ["2x5x8"], [ONNXTensor("w", [8])],
            gives: "2x5x8", "2x5x1"),
        Case(
            ONNXNode("Resize", ["x", "", "s"], ["a"]), ["1x3x5x5"], [ONNXTensor("s", reals: [1, 1, 2, 2.5])],
            gives: "1x3x10x12"),
        Case(ONNXNode("DequantizeLinear", ["x", "s"], ["a"]), ["2x3"], [ONNXTensor("s", reals: [1])], gives: "2x3"),
        Case(
            ONNXNode("Attention", ["x", "y", "z"], ["a"]), ["2x4x7x8", "2x4x9x8", "2x4x9x6"], set: 23, gives: "2x4x7x6"),
        Case(ONNXNode("NonZero", ["x"], ["a"]), ["3x4"], gives: "2x?"),
        Case(
            ONNXNode("FusedMatMul", ["x", "y"], ["a"], domain: "com.microsoft", ["transB": .int(1)]), ["3x4", "5x4"],
            gives: "3x5"),
    ]

    @Test(arguments: cases)
    func outputsFollowFromInputs(example: Case) throws {
        let (node, inputs, tensors, set) = example.make()
        let model = ONNXModel(
            ONNXGraph(inputs, node.outputs, [node], tensors), sets: ["": set, "com.microsoft": 1])
        let network = try model.network().inferringShapes()
        #expect(node.outputs.map { shape($0, network) } == example.expected)
    }

    @Test func shapesThatAreComputedAreFollowed() throws {
        // What exporters write for view(x.size(0), -1): the shape is taken apart and put together again.
        let nodes = [
            ONNXNode("Shape", ["x"], ["shape"]), ONNXNode("Gather", ["shape", "zero"], ["first"]),
            ONNXNode("Unsqueeze", ["first", "axis"], ["list"]),
            ONNXNode("Concat", ["list", "rest"], ["target"], ["axis": .int(0)]),
            ONNXNode("Reshape", ["x", "target"], ["y"]),
        ]
        let constants = [
            ONNXTensor("zero", 7, [], littleEndian(Int64(0))), ONNXTensor("axis", integers: [0]),
            ONNXTensor("rest", integers: [-1]),
        ]
        let model = ONNXModel(ONNXGraph([("x", 1, ["batch", "3", "4"])], ["y"], nodes, constants))
        #expect(try shape("y", model.network().inferringShapes()) == "batchx12")
        #expect(try shape("y", model.network().inferringShapes(["x": [5, 3, 4]])) == "5x12")
    }

    @Test func arithmeticOnShapesIsFollowed() throws {
        let nodes = [
            ONNXNode("Shape", ["x"], ["shape"]), ONNXNode("Mul", ["shape", "two"], ["doubled"]),
            ONNXNode("Cast", ["doubled"], ["real"], ["to": .int(1)]),
            ONNXNode("Cast", ["real"], ["back"], ["to": .int(7)]),
            ONNXNode("Slice", ["back", "from", "to", "axis", "step"], ["turned"]),
            ONNXNode("Expand", ["one", "turned"], ["y"]),
        ]
        let constants = [
            ONNXTensor("two", integers: [2]), ONNXTensor("from", integers: [-1]), ONNXTensor("to", integers: [Int.min]),
            ONNXTensor("axis", integers: [0]),
            ONNXTensor("step", integers: [-1]), ONNXTensor("one", integers: [1]),
        ]
        let model = ONNXModel(ONNXGraph([("x", 1, ["3", "4"])], ["y"], nodes, constants))
        #expect(try shape("y", model.network().inferringShapes()) == "8x6")
    }

    @Test func anOpenSizeIsBoundEverywhere() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["batch", "3"]), ("state", 1, ["batch", "5"])], ["y"],
                [ONNXNode("Concat", ["x", "state"], ["y"], ["axis": .int(1)])]))
        #expect(try shape("y", model.network().inferringShapes()) == "batchx8")
        #expect(try shape("y", model.network().inferringShapes(["x": [4, 3]])) == "4x8")
    }

    @Test func operatorsThatAreNotKnownGiveUnknownShapes() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "3"])], ["y"],
                [ONNXNode("Magic", ["x"], ["m"], domain: "made.up"), ONNXNode("Relu", ["m"], ["y"])]),
            sets: ["": 17, "made.up": 1])
        let network = try model.network().inferringShapes()
        #expect(shape("m", network) == "?" && shape("y", network) == "?")
        let notes = try network.estimate().notes
        #expect(notes.contains { $0.contains("made.up.Magic") })
    }

    @Test func functionsAreUnfolded() throws {
        let twice = ONNXModel.Function(
            name: "Twice", domain: "local", inputs: ["a"], outputs: ["b"],
            nodes: [ONNXNode("Concat", ["a", "a"], ["b"], ["axis": .int(0)])])
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "3"])], ["y"],
                [
                    ONNXNode("Twice", ["x"], ["m"], domain: "local"),
                    ONNXNode("Twice", ["m"], ["y"], domain: "local"),
                ]), sets: ["": 17, "local": 1], functions: [twice])
        #expect(try shape("y", model.network().inferringShapes()) == "8x3")
    }

    @Test func shapesOfTheFixturesAreKnown() throws {
        for name in ["branches", "functions", "operators", "runs", "torch"] {
            let network = try Network.open(modelFixture("onnx/\(name).onnx")) { _, _ in nil }.inferringShapes()
            network.forEachLayer { layer, graph in
                for output in layer.outputs where !output.isEmpty && layer.type != "Shape" {
                    #expect(graph.values[output]?.sizes != nil, "\(name): \(layer.identifier)")
                }
            }
        }
    }
}
