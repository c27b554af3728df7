import ModelFiles

/// Operators between floats and integers with a scale and a zero point.
extension Operators {
    static let quantizations: [String: Operator] = [
        "QuantizeLinear": Operator(quantize), "DequantizeLinear": Operator(dequantize),
        "DynamicQuantizeLinear": Operator(dynamic),
    ]

    private static func quantize(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let number = try call.integer("output_dtype") ?? 0
        let type = call.has(2) ? call[2].type : number > 0 ? onnxType(number) : .u8
        return [Value(type: type, shape: call.shape(0))]
    }

    private static func dequantize(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: call[1].type, shape: call.shape(0))]
    }

    private static func dynamic(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: .u8, shape: call.shape(0)), Value(type: .f32, shape: []), Value(type: .u8, shape: [])]
    }
}
