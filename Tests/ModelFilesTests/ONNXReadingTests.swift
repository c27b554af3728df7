import ModelFiles
import TestSupport
import Testing

/// What operators make of the matrix "w" [4, 4].
struct ONNXReadingTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let nodes: [UInt8]
        let kind: String?
        let convention: String?

        init(_ description: String, _ reading: (String, String)?, _ nodes: [UInt8]...) {
            testDescription = description
            self.nodes = nodes.flatMap(\.self)
            kind = reading?.0
            convention = reading?.1
        }
    }

    private static func node(_ operation: String, _ inputs: [String], _ output: String, _ rest: [UInt8] = []) -> [UInt8]
    {
        ONNXBytes.node(operation, inputs, [output], rest)
    }

    private static let microsoft = ONNXBytes.text(7, "com.microsoft")
    private static let front = ONNXBytes.attribute("axes", [0])

    static let cases = [
        Case("a product", ("fc", "onnx"), node("MatMul", ["x", "w"], "y")),
        Case("the domain's other name", ("fc", "onnx"), node("MatMul", ["x", "w"], "y", ONNXBytes.text(7, "ai.onnx"))),
        Case(
            "an operator of the same name elsewhere", nil, node("MatMul", ["x", "w"], "y", ONNXBytes.text(7, "other"))),
        Case(
            "a fused product, turned", ("fc", "pytorch"),
            node("FusedMatMul", ["x", "w"], "y", ONNXBytes.attribute("transB", 1) + microsoft)),
        Case("attention's projections", ("fc", "onnx"), node("Attention", ["x", "w"], "y", microsoft)),
        Case("ONNX's own attention, whose input is keys", nil, node("Attention", ["x", "w"], "y")),
        Case(
            "the left side, turned", ("fc", "onnx"),
            node("Gemm", ["w", "x"], "y", ONNXBytes.attribute("transA", 1))),
        Case(
            "quantized and back", ("fc", "onnx"), node("QuantizeLinear", ["w", "s"], "q"),
            node("DequantizeLinear", ["q", "s"], "d"), node("MatMul", ["x", "d"], "y")),
        Case(
            "a dimension put in and taken out", ("fc", "onnx"), node("Unsqueeze", ["w"], "u", front),
            node("Squeeze", ["u"], "s", front), node("MatMul", ["x", "s"], "y")),
        Case(
            "the recurrent layer of Keras", ("lstm", "keras"), node("Transpose", ["w"], "t"),
            node("Unsqueeze", ["t"], "u", front), node("LSTM", ["x", "u", "r"], "y")),
        Case(
            "one gate of several", ("fc", "pytorch"), node("Concat", ["v", "w"], "c"),
            node("Unsqueeze", ["c"], "u", front), node("LSTM", ["x", "u", "r"], "y")),
        Case(
            "gates in another order", ("lstm", "pytorch"), node("Slice", ["w", "a", "b"], "s"),
            node("Concat", ["s", "s"], "c"), node("Unsqueeze", ["c"], "u", front),
            node("LSTM", ["x", "u", "r"], "y")),
        Case("no whole number of gates", nil, node("GRU", ["x", "w", "r"], "y")),
        Case(
            "rows that are no three gates", ("fc", "pytorch"), node("Unsqueeze", ["w"], "u", front),
            node("GRU", ["x", "r", "u"], "y")),
        Case(
            "a kernel of one element", ("fc", "pytorch"),
            node("Unsqueeze", ["w"], "u", ONNXBytes.attribute("axes", [-1, 2])), node("Conv", ["x", "u"], "y")),
        Case(
            "a transposed kernel of one element", ("fc", "onnx"),
            node("Unsqueeze", ["w"], "u", ONNXBytes.attribute("axes", [2])), node("ConvTranspose", ["x", "u"], "y")),
        Case("a table", ("embedding", "pytorch"), node("Gather", ["w", "i"], "y", ONNXBytes.attribute("axis", -2))),
        Case("a table by columns", nil, node("Gather", ["w", "i"], "y", ONNXBytes.attribute("axis", 1))),
        Case(
            "a table that also multiplies", ("fc", "onnx"), node("Gather", ["w", "i"], "y"),
            node("MatMul", ["x", "w"], "z")),
        Case("initial states", ("vector", "onnx"), node("LSTM", ["x", "a", "r", "", "", "w"], "y")),
        Case(
            "no permutation", nil, node("Transpose", ["w"], "t", ONNXBytes.attribute("perm", [0, 0])),
            node("MatMul", ["x", "t"], "y")),
        Case(
            "dimensions beyond all bounds", nil,
            node("Unsqueeze", ["w"], "u", ONNXBytes.attribute("axes", [.min, .max])), node("MatMul", ["x", "u"], "y")),
        Case("something else", nil, node("Relu", ["w"], "y")),
    ]

    @Test(arguments: cases)
    func aConsumerSaysWhatAWeightIs(reading: Case) throws {
        let folder = try TemporaryFolder()
        let model = try ModelFiles.open(try folder.write(ONNXBytes.model(beside: reading.nodes)))
        #expect(model.tensors.map(\.kindHint) == [reading.kind])
        #expect(model.tensors.map(\.conventionHint) == [reading.convention])
    }
}
