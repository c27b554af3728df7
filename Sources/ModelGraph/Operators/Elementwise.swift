import ModelFiles

/// Operators that give a value of their input's shape and type, element by element.
///
/// Those write over their input that do so in ONNX Runtime 1.31 on CPUs, as measured.
extension Operators {
    static let elementwise: [String: Operator] = {
        var table: [String: Operator] = [:]
        for type in [
            "Celu", "Clip", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Shrink", "Sigmoid", "Softplus",
            "Softsign", "Tanh", "ThresholdedRelu",
        ] {
            table[type] = Operator(likeInput, buffer: .inPlace)
        }
        for type in [
            "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cos", "Cosh", "Erf", "Exp", "Gelu",
            "HardSwish", "Log", "Mish", "Round", "Sign", "Sin", "Sinh", "Swish", "Tan",
        ] {
            table[type] = Operator(likeInput)
        }
        table["Neg"] = unary({ $0 == .min ? nil : -$0 }, { -$0 })
        table["Abs"] = unary({ $0 == .min ? nil : abs($0) }, { abs($0) })
        table["Floor"] = unary({ $0 }, { $0.rounded(.down) })
        table["Ceil"] = unary({ $0 }, { $0.rounded(.up) })
        table["Sqrt"] = unary({ _ in nil }, { $0.squareRoot() })
        table["Reciprocal"] = unary({ _ in nil }, { 1 / $0 })
        table["Not"] = unary({ $0 == 0 ? 1 : 0 }, { $0 })
        table["Identity"] = Operator(identity, buffer: .view)
        table["Dropout"] = Operator(dropout, buffer: .view)
        for type in ["IsNaN", "IsInf"] { table[type] = Operator(test) }
        table["Cast"] = Operator(cast, buffer: .inPlace)
        table["BitCast"] = Operator(bitCast)
        table["CastLike"] = Operator(castLike)
        return table
    }()

    static let contributedElementwise: [String: Operator] = [
        "BiasGelu": Operator(likeInput), "FastGelu": Operator(likeInput),
        "QuickGelu": Operator(likeInput), "Gelu": Operator(likeInput),
    ]

    /// Gives what is known of the first input, but for its elements.
    static func likeInput(_ call: inout OperatorCall) throws(GraphError) -> [Value] { [call[0].cleared()] }

    private static func identity(_ call: inout OperatorCall) throws(GraphError) -> [Value] { [call[0]] }

    private static func dropout(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [call[0].cleared(), Value(type: .bool, shape: call.shape(0))]
    }

    private static func test(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: .bool, shape: call.shape(0))]
    }

    /// An operator whose elements are followed when they are few.
    private static func unary(
        _ integers: @escaping @Sendable (Int) -> Int?, _ reals: @escaping @Sendable (Double) -> Double
    ) -> Operator {
        Operator(
            { (call) throws(GraphError) in
                var value = call[0]
                value.integers = value.integers?.map { $0.size.flatMap(integers).map { .size($0) } ?? .unknown }
                value.reals = value.reals?.map(reals)
                return [value]
            })
    }

    private static func cast(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let number = try call.integer("to") else { throw call.failure("attribute to", "none") }
        return [cast(call[0], to: number == 8 ? .string : onnxType(number))]
    }

    private static func bitCast(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: onnxType(try call.integer("to") ?? 0), shape: call.shape(0))]
    }

    private static func castLike(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [cast(call[0], to: call[1].type)]
    }

    private static func cast(_ value: Value, to type: DType?) -> Value {
        var result = Value(type: type, shape: value.shape)
        guard let type else { return result }
        if type == .bool {
            result.integers = value.integers?.map { $0.size.map { .size($0 == 0 ? 0 : 1) } ?? .unknown }
        } else if type.isInteger {
            result.integers =
                value.integers
                ?? value.reals?.map { Int(exactly: $0.rounded(.towardZero)).map { .size($0) } ?? .unknown }
        } else if type.isFloat {
            let numbers = value.integers?.compactMap { $0.size.map(Double.init) }
            result.reals = value.reals ?? (numbers?.count == value.integers?.count ? numbers : nil)
        }
        return result
    }

    /// An element type by ONNX's number.
    static func onnxType(_ number: Int) -> DType? { ONNXTensor.dtype(number) }
}
