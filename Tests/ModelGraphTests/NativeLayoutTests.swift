import Execution
import ModelFiles
import ModelGraph
import TestSupport
import Testing

/// Pictures whose channels lie together give what row-major ones do.
@Suite(.enabled(if: Engines.hasOpenBLAS)) struct NativeLayoutTests {
    /// Both layouts, and whether they agree within rounding.
    private static func compare(
        _ nodes: [ONNXNode], _ weights: [ONNXTensor], _ shape: [Int], _ target: NativeTarget, version: Int = 17,
        _ comment: @autoclosure () -> String = ""
    ) throws {
        let x = try NativeRun.value(shape, NativeRun.numbers(shape.reduce(1, *), seed: 3))
        let expected = try NativeRun.run(nodes, weights, x, "NCHW", target, version: version)
        let found = try NativeRun.run(nodes, weights, x, "NHWC", target, version: version, times: 2)
        #expect(found.shape == expected.shape, "\(comment())")
        let largest = expected.numbers.reduce(1) { max($0, abs($1)) }
        #expect(
            found.numbers.count == expected.numbers.count
                && zip(found.numbers, expected.numbers).allSatisfy { abs($0 - $1) <= 1e-5 * largest },
            "\(comment())")
        #expect(Set(expected.numbers).count > 1, "\(comment())")
    }

    /// Parameters of windows over some spatial dimensions.
    private static func windows(rank: Int) -> [(kernel: [Int], strides: [Int], dilations: [Int], pads: [Int])] {
        let kernels =
            rank == 1
            ? [[1], [2], [3], [5]] : rank == 2 ? [[1, 1], [3, 3], [2, 3], [1, 4]] : [[1, 1, 1], [2, 3, 2]]
        var result: [([Int], [Int], [Int], [Int])] = []
        for kernel in kernels {
            for stride in [1, 2, 3] {
                for dilation in [1, 2] {
                    for pads in [[0, 0], [1, 1], [1, 0], [0, 2]] where pads[0] < kernel[0] && pads[1] < kernel[0] {
                        result.append(
                            (
                                kernel, (0..<rank).map { max(stride - $0 % 2, 1) },
                                Array(repeating: dilation, count: rank),
                                Array(repeating: pads[0], count: rank) + Array(repeating: pads[1], count: rank)
                            ))
                    }
                }
            }
        }
        return result
    }

    private static let spatial = [[11], [9, 10], [5, 6, 7]]

    @Test(arguments: [1, 2, 3], [(1, 3, 5), (2, 4, 6), (4, 4, 4), (4, 4, 8), (40, 40, 40)])
    func convolutions(rank: Int, sizes: (groups: Int, inputs: Int, outputs: Int)) async throws {
        let target = try await NativeTarget(library: nil)
        let (groups, inputs, outputs) = sizes
        for (kernel, strides, dilations, pads) in Self.windows(rank: rank) {
            let weights = [
                NativeRun.tensor("w", [outputs, inputs / groups] + kernel, seed: 1),
                NativeRun.tensor("b", [outputs], seed: 2),
            ]
            let attributes: KeyValuePairs<String, ONNXModel.Attribute> = [
                "group": .int(groups), "strides": .ints(strides), "dilations": .ints(dilations), "pads": .ints(pads),
            ]
            try Self.compare(
                [ONNXNode("Conv", ["x", "w", "b"], ["y"], attributes)], weights,
                [2, inputs] + Self.spatial[rank - 1], target, "\(kernel) \(strides) \(dilations) \(pads)")
        }
    }

    @Test(arguments: [1, 2, 3], ["MaxPool", "AveragePool", "LpPool"])
    func pools(rank: Int, type: String) async throws {
        let target = try await NativeTarget(library: nil)
        for (kernel, strides, dilations, pads) in Self.windows(rank: rank) {
            for flag in [0, 1] {
                var node = ONNXNode(
                    type, ["x"], ["y"],
                    [
                        "kernel_shape": .ints(kernel), "strides": .ints(strides), "pads": .ints(pads),
                        "ceil_mode": .int(flag),
                    ])
                if type == "AveragePool" { node.attributes.append(("count_include_pad", .int(flag))) }
                node.attributes.append(("dilations", .ints(dilations)))
                try Self.compare(
                    [node], [], [2, 5] + Self.spatial[rank - 1], target, version: 19,
                    "\(kernel) \(strides) \(dilations) \(pads) \(flag)")
            }
        }
    }

    private static let convolution = ONNXNode("Conv", ["x", "w"], ["a"], ["pads": .ints([1, 1, 1, 1])])
    private static let weights = [
        NativeRun.tensor("w", [6, 4, 3, 3], seed: 1), NativeRun.tensor("c", [6, 1, 1], seed: 2),
        NativeRun.tensor("p", [6], seed: 3),
        NativeRun.tensor("v", [6], NativeRun.numbers(6, seed: 4).map { abs($0) + 1 }),
        NativeRun.tensor("f", [1, 6, 6, 5], seed: 5), NativeRun.tensor("l", [5], seed: 6),
        NativeRun.tensor("m", [5, 3], seed: 7), NativeRun.tensor("q", [4, 6, 1, 1], seed: 8),
        ONNXTensor("spatial", integers: [2, 3]), ONNXTensor("width", integers: [3]),
        ONNXTensor("rows", integers: [2, -1]),
        ONNXTensor("pads", integers: [0, 1, 0, 2, 0, 0, 3, 1]), ONNXTensor("scales", reals: [1, 1, 2, 0.6]),
        ONNXTensor("one", integers: [1]), ONNXTensor("five", integers: [5]),
    ]

    /// What may follow a convolution, whose output is 2x6x6x5.
    private static let followers: [[ONNXNode]] = [
        [ONNXNode("Add", ["a", "c"], ["y"])], [ONNXNode("Mul", ["c", "a"], ["y"])],
        [ONNXNode("Sub", ["a", "l"], ["y"])], [ONNXNode("Add", ["a", "f"], ["y"])],
        [ONNXNode("PRelu", ["a", "c"], ["y"])], [ONNXNode("Max", ["a", "f", "c"], ["y"])],
        [ONNXNode("Sigmoid", ["a"], ["s"]), ONNXNode("Mul", ["a", "s"], ["y"])],
        [ONNXNode("Neg", ["a"], ["n"]), ONNXNode("Concat", ["a", "n", "a"], ["y"], ["axis": .int(1)])],
        [ONNXNode("Relu", ["a"], ["n"]), ONNXNode("Concat", ["n", "a"], ["y"], ["axis": .int(-1)])],
        [ONNXNode("Softmax", ["a"], ["y"], ["axis": .int(1)])], [ONNXNode("Softmax", ["a"], ["y"], ["axis": .int(2)])],
        [ONNXNode("LogSoftmax", ["a"], ["y"])],
        [ONNXNode("BatchNormalization", ["a", "p", "p", "p", "v"], ["y"])],
        [ONNXNode("Relu", ["a"], ["r"]), ONNXNode("BatchNormalization", ["r", "p", "p", "p", "v"], ["y"])],
        [ONNXNode("InstanceNormalization", ["a", "p", "p"], ["y"])],
        [ONNXNode("GlobalAveragePool", ["a"], ["g"]), ONNXNode("Mul", ["a", "g"], ["y"])],
        [ONNXNode("GlobalMaxPool", ["a"], ["y"])], [ONNXNode("ReduceMean", ["a"], ["y"], ["axes": .ints([2, 3])])],
        [ONNXNode("ReduceMean", ["a"], ["y"], ["axes": .ints([2]), "keepdims": .int(0)])],
        [ONNXNode("ReduceMax", ["a"], ["y"], ["axes": .ints([1]), "keepdims": .int(0)])],
        [ONNXNode("ReduceSum", ["a", "spatial"], ["y"], ["keepdims": .int(0)])],
        [ONNXNode("ArgMax", ["a"], ["y"], ["axis": .int(1)])],
        [ONNXNode("Transpose", ["a"], ["y"], ["perm": .ints([0, 2, 3, 1])])],
        [ONNXNode("Transpose", ["a"], ["y"], ["perm": .ints([3, 1, 0, 2])])],
        [ONNXNode("Flatten", ["a"], ["y"])], [ONNXNode("Reshape", ["a", "rows"], ["y"])],
        [ONNXNode("MatMul", ["a", "m"], ["y"])], [ONNXNode("Conv", ["a", "q"], ["y"], ["strides": .ints([2, 1])])],
        [ONNXNode("Slice", ["a", "one", "five", "width"], ["y"])],
        [ONNXNode("Split", ["a"], ["y", "z"], ["axis": .int(1)])],
        [ONNXNode("DepthToSpace", ["d"], ["y"], ["blocksize": .int(2)])],
        [ONNXNode("Greater", ["a", "c"], ["g"]), ONNXNode("Where", ["g", "a", "c"], ["y"])],
        [ONNXNode("Conv", ["a", "q"], ["b"]), ONNXNode("MaxPool", ["b"], ["y"], ["kernel_shape": .ints([2, 2])])],
        [ONNXNode("Cast", ["a"], ["y"], ["to": .int(6)])],
        [ONNXNode("Gather", ["a", "one"], ["y"], ["axis": .int(1)])],
        [ONNXNode("Squeeze", ["g", "spatial"], ["y"])], [ONNXNode("Pow", ["a", "two"], ["y"])],
        [ONNXNode("Pad", ["a", "pads"], ["y"])], [ONNXNode("Pad", ["a", "pads"], ["y"], ["mode": .string("reflect")])],
        [ONNXNode("Resize", ["a", "", "scales"], ["y"], ["mode": .string("linear")])],
        [ONNXNode("Resize", ["a", "", "scales"], ["y"], ["mode": .string("cubic"), "antialias": .int(1)])],
    ]

    @Test(arguments: Self.followers)
    func whatFollowsConvolutions(nodes: [ONNXNode]) async throws {
        let target = try await NativeTarget(library: nil)
        var before = [Self.convolution]
        if nodes[0].inputs[0] == "d" { before.append(ONNXNode("Conv", ["a", "q"], ["d"])) }
        if nodes[0].inputs[0] == "g" { before.append(ONNXNode("GlobalMaxPool", ["a"], ["g"])) }
        try Self.compare(
            before + nodes, Self.weights + [NativeRun.tensor("two", [1], [2])], [2, 4, 6, 5], target,
            version: nodes[0].type == "Squeeze" || nodes[0].type == "ReduceSum" ? 13 : 12,
            nodes.map(\.type).joined(separator: " "))
    }

    @Test(arguments: ["NCHW/F32", "NHWC/F32", "NCHW/I8", "NHWC/I8"])
    func weightsFromElsewhereGiveTheSame(mode: String) async throws {
        let target = try await NativeTarget(library: nil)
        let nodes = [
            Self.convolution, ONNXNode("BatchNormalization", ["a", "p", "p", "p", "v"], ["n"]),
            ONNXNode("Conv", ["n", "q"], ["b"]), ONNXNode("MatMul", ["b", "m"], ["y"]),
        ]
        let x = try NativeRun.value([1, 4, 6, 5], NativeRun.numbers(120, seed: 4))
        let plain = try NativeRun.run(nodes, Self.weights, x, mode, target, times: 2)
        let packed = try NativeRun.run(nodes, Self.weights, x, mode, target, isPacked: true, times: 2)
        #expect(plain == packed)
    }

    @Test func aConfigurationSaysTypeAndLayout() async throws {
        var target = try await NativeTarget(library: nil)
        let x = try NativeRun.value([2, 4, 6, 5], NativeRun.numbers(240, seed: 4))
        func run(_ mode: String) throws -> [Double] {
            try NativeRun.run([Self.convolution, ONNXNode("Relu", ["a"], ["y"])], Self.weights, x, mode, target).numbers
        }
        let (floats, integers) = (try run("NCHW/F32"), try run("NHWC/I8"))
        #expect(floats != integers)
        target.configuration.targets[0].type = "I8"
        #expect(try run("NCHW/F32") == integers)
        target.configuration.targets[0].type = "F32"
        target.configuration.targets[0].layout = "NCHW"
        #expect(try run("NHWC/I8") == floats)
        // Only some layers: the others go to the next target.
        target.configuration.targets[0].type = "I8"
        target.configuration.targets[0].operators = ["Relu"]
        target.configuration.targets.append(.init(name: "native", operators: ["*"], type: "F32", layout: "NCHW"))
        #expect(try run("NCHW/F32") == floats)
    }

    @Test(arguments: [("F16", "NCHW"), ("F32", "NCHWc"), ("I8", "blocked")])
    func namesATypeOrALayoutThatItDoesNotHave(type: String, layout: String) async throws {
        var target = try await NativeTarget(library: nil)
        target.configuration.targets[0].type = type
        target.configuration.targets[0].layout = layout
        let x = try NativeRun.value([2, 4, 6, 5], NativeRun.numbers(240, seed: 4))
        let error = #expect(throws: ExecutionError.self) {
            try NativeRun.run([Self.convolution, ONNXNode("Relu", ["a"], ["y"])], Self.weights, x, "NCHW", target)
        }
        #expect(
            error?.description.hasPrefix("unknown run mode 'native/\(layout)/\(type)': expected one of native/NCHW/F32")
                == true)
    }
}
