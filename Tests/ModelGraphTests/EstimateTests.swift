import ModelFiles
import ModelGraph
import TestSupport
import Testing

/// Weights, activations, workspace and multiply-adds, against numbers worked out by hand.
struct EstimateTests {
    /// Two convolutions, a pool and a fully connected layer on 1x3x8x8.
    static let convolutional = ONNXModel(
        ONNXGraph(
            [("x", 1, ["1", "3", "8", "8"])], ["y"],
            [
                ONNXNode("Conv", ["x", "w1", "b1"], ["c1"], name: "conv1", ["pads": .ints([1, 1, 1, 1])]),
                ONNXNode("Relu", ["c1"], ["r1"], name: "relu1"),
                ONNXNode(
                    "Conv", ["r1", "w2"], ["c2"], name: "depthwise", ["group": .int(16), "strides": .ints([2, 2])]),
                ONNXNode("GlobalAveragePool", ["c2"], ["p"], name: "pool"),
                ONNXNode("Flatten", ["p"], ["f"], name: "flatten"),
                ONNXNode("Gemm", ["f", "w3", "b3"], ["y"], name: "fc", ["transB": .int(1)]),
            ],
            [
                ONNXTensor("w1", [16, 3, 3, 3]), ONNXTensor("b1", [16]), ONNXTensor("w2", [16, 1, 3, 3]),
                ONNXTensor("w3", [10, 16]), ONNXTensor("b3", [10]),
            ]))

    /// Bytes of that many floats in all.
    private func bytes(_ counts: Int...) -> Int { counts.reduce(0) { $0 + 4 * $1 } }

    private func layer(_ name: String, _ estimate: ResourceEstimate) throws -> LayerEstimate {
        try #require(estimate.layers.first { $0.identifier == name })
    }

    @Test func everyLayerIsCountedByHand() throws {
        let estimate = try Self.convolutional.network().inferringShapes().estimate()
        let conv = try layer("conv1", estimate)
        #expect(conv.weightBytes == bytes(16 * 27, 16))
        #expect(conv.activationBytes == bytes(16 * 64))
        #expect(conv.multiplyAdds == 16 * 64 * 27)
        // More output positions than filters: the columns are laid out block by block, 16,384 elements at a time.
        #expect(conv.workspaceBytes == bytes(16_384))
        let depthwise = try layer("depthwise", estimate)
        #expect(depthwise.multiplyAdds == 16 * 9 * 9)
        #expect(depthwise.activationBytes == bytes(16 * 9))
        let fc = try layer("fc", estimate)
        #expect(fc.multiplyAdds == 160)
        #expect(fc.weightBytes == bytes(170))
        #expect(fc.activationBytes == bytes(10))
        #expect(fc.movedBytes == bytes(16, 170, 10))
        #expect(estimate.multiplyAdds == 27_648 + 1_296 + 160)
        #expect(estimate.weightBytes == bytes(432, 16, 144, 160, 10))
        #expect(estimate.inputBytes == bytes(192))
        #expect(try layer("relu1", estimate).multiplyAdds == 0)
    }

    @Test func thePeakIsWhatIsAliveAtTheSameTime() throws {
        let estimate = try Self.convolutional.network().inferringShapes().estimate()
        // relu1 writes over its input, so that the second convolution has one large value, its own and a block of columns.
        #expect(estimate.peakActivationBytes == bytes(16 * 64, 16 * 9, 16_384))
        #expect(estimate.peakLayer == "depthwise")
        #expect(estimate.activationBytes == bytes(16 * 64, 16 * 64, 16 * 9, 16, 10))
        #expect(estimate.memoryWithReuse < estimate.memoryWithoutReuse)
    }

    @Test func aValueLivesUntilItsLastReader() throws {
        // a is needed until the end, so that b and c cannot take its place; the sum writes over c.
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["10"])], ["y"],
                [
                    ONNXNode("Sin", ["x"], ["a"]), ONNXNode("Sin", ["a"], ["b"]), ONNXNode("Sin", ["b"], ["c"]),
                    ONNXNode("Add", ["c", "a"], ["y"]),
                ]))
        let estimate = try model.network().inferringShapes().estimate()
        #expect(estimate.peakActivationBytes == bytes(10, 10, 10))
        #expect(estimate.activationBytes == bytes(10, 10, 10, 10))
    }

    @Test func viewsTakeNoMemoryAndKeepTheirs() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "5"])], ["y"],
                [
                    ONNXNode("Sin", ["x"], ["a"]), ONNXNode("Flatten", ["a"], ["v"], ["axis": .int(0)]),
                    ONNXNode("Sin", ["v"], ["b"]), ONNXNode("Concat", ["b", "v"], ["y"], ["axis": .int(1)]),
                ]))
        let estimate = try model.network().inferringShapes().estimate()
        #expect(estimate.peakActivationBytes == bytes(10, 10, 20))
        #expect(estimate.activationBytes == bytes(10, 10, 20))
    }

    @Test(arguments: [(4, "LSTM"), (3, "GRU"), (1, "RNN")])
    func recurrentLayersMultiplyEveryStep(gates: Int, type: String) throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["7", "2", "5"])], ["y"],
                [ONNXNode(type, ["x", "w", "r"], ["y"], ["hidden_size": .int(8)])],
                [ONNXTensor("w", [1, gates * 8, 5]), ONNXTensor("r", [1, gates * 8, 8])]))
        let estimate = try model.network().inferringShapes().estimate()
        let sums = 14 * gates * 8
        #expect(estimate.multiplyAdds == sums * 13)
        #expect(estimate.layers[0].workspaceBytes == bytes(sums))
    }

    @Test(arguments: [(NumericType.float32, 4), (.float16, 2), (.int8, 1)])
    func floatsTakeTheBytesOfTheirType(type: NumericType, bytes: Int) throws {
        let network = try Self.convolutional.network().inferringShapes()
        let estimate = try network.estimate(as: type)
        #expect(estimate.weightBytes == bytes * 762)
        #expect(estimate.inputBytes == bytes * 192)
        #expect(estimate.peakActivationBytes == bytes * 17_552)
        #expect(try network.estimate().multiplyAdds == estimate.multiplyAdds)
        #expect(estimate.computeType == type)
    }

    @Test func whatDependsOnWeightsAloneIsDoneBefore() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "8"])], ["y"],
                [
                    ONNXNode("Transpose", ["w"], ["t"]), ONNXNode("MatMul", ["u", "t"], ["p"], name: "before"),
                    ONNXNode("MatMul", ["x", "p"], ["y"]),
                ], [ONNXTensor("w", [6, 8]), ONNXTensor("u", [8, 8])]))
        let estimate = try model.network().inferringShapes().estimate()
        #expect(estimate.multiplyAdds == 96)
        #expect(estimate.peakActivationBytes == bytes(12))
        #expect(try layer("before", estimate).turns == 0)
    }

    @Test func openSizesAreNotCounted() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["batch", "8"])], ["y"], [ONNXNode("MatMul", ["x", "w"], ["y"], name: "fc")],
                [ONNXTensor("w", [8, 6])]))
        let estimate = try model.network().inferringShapes().estimate()
        #expect(estimate.layers[0].multiplyAdds == nil && estimate.layers[0].activationBytes == nil)
        #expect(estimate.notes.contains { $0.contains("\"fc\"") })
    }

    @Test func aWeightOfSeveralLayersIsHeldOnce() throws {
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2", "8"])], ["y"],
                [ONNXNode("MatMul", ["x", "w"], ["m"]), ONNXNode("MatMul", ["m", "w"], ["y"])],
                [ONNXTensor("w", [8, 8])]))
        let estimate = try model.network().inferringShapes().estimate()
        #expect(estimate.weightBytes == 256 && estimate.layers.map(\.weightBytes) == [256, 256])
    }
}
