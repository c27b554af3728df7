import Execution
import ModelFiles
import TestSupport
import Testing

/// Products of integers of 8 bits.
@Suite(.enabled(if: Engines.hasOpenBLAS)) struct NativeIntegerTests {
    /// Whole numbers from -127 to 127, of which each row of `length` has one of the ends: what they stand for is then known exactly.
    private static func codes(_ count: Int, length: Int, seed: Int) -> [Float] {
        (0..<count).map { (index: Int) -> Float in
            let code = (index &* 7919 &+ seed &* 104_729) % 255
            return index % length == 0 ? 127 : Float((code + 255) % 255 - 127)
        }
    }

    private static func sum(_ terms: [(Float, Float)]) -> Double {
        Double(terms.reduce(0) { $0 + Int($1.0) * Int($1.1) })
    }

    @Test(
        arguments: [(1, 5, 3), (1, 64, 17), (3, 7, 33), (9, 130, 16), (17, 31, 100), (40, 3, 1), (2, 1, 65)],
        [false, true])
    func sumsAreExact(sizes: (rows: Int, depth: Int, columns: Int), isTransposed: Bool) async throws {
        let target = try await NativeTarget(library: nil)
        let (m, k, n) = sizes
        let x = Self.codes(m * k, length: k, seed: 1)
        // Rows are columns of the matrix.
        let w = Self.codes(n * k, length: k, seed: 2).map { $0 / 128 }
        var expected: [Double] = []
        for row in 0..<m {
            for column in 0..<n {
                let terms = (0..<k).map { (index: Int) -> (Float, Float) in
                    (x[row * k + index], w[column * k + index] * 128)
                }
                expected.append(Self.sum(terms) / 128 + Double(column))
            }
        }
        let weights =
            isTransposed ? w : (0..<k).flatMap { (index: Int) -> [Float] in (0..<n).map { w[$0 * k + index] } }
        let bias = NativeRun.tensor("b", [n], (0..<n).map { Float($0) })
        let nodes =
            isTransposed
            ? [ONNXNode("Gemm", ["x", "w", "b"], ["y"], ["transB": .int(1)])]
            : [ONNXNode("MatMul", ["x", "w"], ["p"]), ONNXNode("Add", ["p", "b"], ["y"])]
        let found = try NativeRun.run(
            nodes, [NativeRun.tensor("w", isTransposed ? [n, k] : [k, n], weights), bias],
            try NativeRun.value([m, k], x), "NCHW/I8", target)
        #expect(found.numbers == expected)
    }

    @Test(arguments: ["NCHW", "NHWC"], [(1, 3, 5), (2, 4, 6), (1, 20, 40)])
    func sumsOfConvolutionsAreExact(layout: String, sizes: (groups: Int, inputs: Int, outputs: Int)) async throws {
        let target = try await NativeTarget(library: nil)
        let (groups, inputs, outputs) = sizes
        let each = inputs / groups
        for (kernel, stride, dilation, pad) in [(1, 1, 1, 0), (3, 1, 1, 1), (3, 2, 1, 0), (2, 1, 2, 1), (5, 3, 1, 2)] {
            for isLine in [false, true] {
                let (height, width, rows) = (isLine ? 1 : 7, 9, isLine ? 1 : kernel)
                let x = Self.codes(inputs * height * width, length: inputs * height * width, seed: 3)
                let depth = each * rows * kernel
                let w = Self.codes(outputs * depth, length: depth, seed: 4)
                let before = isLine ? 0 : pad
                let high = (height + 2 * before - (rows - 1) * dilation - 1) / (isLine ? 1 : stride) + 1
                let wide = (width + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1
                var expected: [Double] = []
                for output in 0..<outputs {
                    for row in 0..<high {
                        for column in 0..<wide {
                            var terms: [(Float, Float)] = []
                            for channel in 0..<each {
                                for i in 0..<rows {
                                    for j in 0..<kernel {
                                        let y = row * (isLine ? 1 : stride) - before + i * dilation
                                        let z = column * stride - pad + j * dilation
                                        guard (0..<height).contains(y), (0..<width).contains(z) else { continue }
                                        let from = (output / (outputs / groups) * each + channel) * height + y
                                        terms.append(
                                            (x[from * width + z], w[output * depth + (channel * rows + i) * kernel + j])
                                        )
                                    }
                                }
                            }
                            expected.append(Self.sum(terms))
                        }
                    }
                }
                let count = isLine ? 1 : 2
                let node = ONNXNode(
                    "Conv", ["x", "w"], ["y"],
                    [
                        "group": .int(groups), "strides": .ints(Array(repeating: stride, count: count)),
                        "dilations": .ints(Array(repeating: dilation, count: count)),
                        "pads": .ints(Array(repeating: pad, count: 2 * count)),
                    ])
                let found = try NativeRun.run(
                    [node],
                    [NativeRun.tensor("w", [outputs, each] + Array(repeating: kernel, count: count), w)],
                    try NativeRun.value([1, inputs] + (isLine ? [width] : [height, width]), x), "\(layout)/I8", target,
                    times: 2)
                #expect(found.numbers == expected, "\(kernel) \(stride) \(dilation) \(pad) \(isLine)")
            }
        }
    }

    @Test(arguments: ["NCHW", "NHWC"])
    func errorsAreThoseOfRounding(layout: String) async throws {
        let target = try await NativeTarget(library: nil)
        let (m, k, n) = (7, 90, 30)
        let (x, w) = (NativeRun.numbers(m * k, seed: 1), NativeRun.numbers(n * k, seed: 2))
        let value = try NativeRun.value([m, k], x)
        let nodes = [ONNXNode("Gemm", ["x", "w"], ["y"], ["transB": .int(1)])]
        let weights = [NativeRun.tensor("w", [n, k], w)]
        let exact = try NativeRun.run(nodes, weights, value, "\(layout)/F32", target).numbers
        let found = try NativeRun.run(nodes, weights, value, "\(layout)/I8", target).numbers
        #expect(found != exact)
        func most(_ row: ArraySlice<Float>) -> Double { Double(row.map(abs).max() ?? 0) }
        for row in 0..<m {
            for column in 0..<n {
                let (a, b) = (most(x[row * k..<(row + 1) * k]), most(w[column * k..<(column + 1) * k]))
                // Each factor is wrong by half a step at most.
                let bound = Double(k) * a * b * (1 / 127 + 1 / (4 * 127 * 127)) * 1.001
                #expect(abs(found[row * n + column] - exact[row * n + column]) <= bound)
            }
        }
    }

    @Test(arguments: [("LSTM", 0), ("GRU", 0), ("GRU", 1), ("RNN", 0)], ["forward", "bidirectional"])
    func recurrentLayersStayClose(layer: (type: String, resetsAfter: Int), direction: String) async throws {
        let (type, resetsAfter) = layer
        let target = try await NativeTarget(library: nil)
        let gates = ["LSTM": 4, "GRU": 3, "RNN": 1][type] ?? 1
        let directions = direction == "forward" ? 1 : 2
        let (steps, batch, inputs, hidden) = (6, 2, 12, 20)
        var node = ONNXNode(
            type, ["x", "w", "r", "b"], ["y"], ["hidden_size": .int(hidden), "direction": .string(direction)])
        if type == "GRU" { node.attributes.append(("linear_before_reset", .int(resetsAfter))) }
        func small(_ name: String, _ shape: [Int], seed: Int) -> ONNXTensor {
            NativeRun.tensor(name, shape, NativeRun.numbers(shape.reduce(1, *), seed: seed).map { $0 / 8 })
        }
        let weights = [
            small("w", [directions, gates * hidden, inputs], seed: 1),
            small("r", [directions, gates * hidden, hidden], seed: 2),
            small("b", [directions, 2 * gates * hidden], seed: 3),
        ]
        let x = try NativeRun.value([steps, batch, inputs], NativeRun.numbers(steps * batch * inputs, seed: 4))
        let exact = try NativeRun.run([node], weights, x, "NCHW/F32", target).numbers
        let found = try NativeRun.run([node], weights, x, "NCHW/I8", target, times: 2).numbers
        #expect(found != exact)
        #expect(zip(found, exact).allSatisfy { abs($0 - $1) < 0.03 })
        #expect(try NativeRun.run([node], weights, x, "NHWC/I8", target, isPacked: true).numbers == found)
    }

    @Test func whatIntegersDoNotDoForStaysInFloats() async throws {
        let target = try await NativeTarget(library: nil)
        var w = NativeRun.numbers(20, seed: 1)
        let x = try NativeRun.value([2, 4], NativeRun.numbers(8, seed: 2))
        let gemm = [ONNXNode("Gemm", ["x", "w"], ["y"])]
        w[3] = .infinity
        let infinite = [NativeRun.tensor("w", [4, 5], w)]
        let floats = try NativeRun.run(gemm, infinite, x, "NCHW/F32", target).numbers
        #expect(try NativeRun.run(gemm, infinite, x, "NCHW/I8", target, times: 2).numbers == floats)
        // A product of two values, and a depthwise convolution.
        let square = [ONNXNode("Transpose", ["x"], ["t"]), ONNXNode("MatMul", ["x", "t"], ["y"])]
        #expect(
            try NativeRun.run(square, [], x, "NCHW/I8", target).numbers
                == NativeRun.run(square, [], x, "NCHW/F32", target).numbers)
        let line = try NativeRun.value([1, 4, 6], NativeRun.numbers(24, seed: 2))
        let depthwise = [ONNXNode("Conv", ["x", "w"], ["y"], ["group": .int(4)])]
        let kernels = [NativeRun.tensor("w", [4, 1, 3], seed: 5)]
        #expect(
            try NativeRun.run(depthwise, kernels, line, "NHWC/I8", target).numbers
                == NativeRun.run(depthwise, kernels, line, "NHWC/F32", target).numbers)
    }

    @Test func rowsThatAreNotFiniteGiveNaN() async throws {
        let target = try await NativeTarget(library: nil)
        let x = try NativeRun.value([3, 2], [1, 2, .nan, 1, 0, 0])
        let found = try NativeRun.run(
            [ONNXNode("MatMul", ["x", "w"], ["y"])], [NativeRun.tensor("w", [2, 1], [1, 1])], x, "NCHW/I8", target)
        #expect(abs(found.numbers[0] - 3) < 0.02 && found.numbers[1].isNaN && found.numbers[2] == 0)
    }
}
