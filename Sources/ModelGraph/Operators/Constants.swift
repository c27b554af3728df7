import ModelFiles

/// Operators that make a value out of a shape or of numbers.
extension Operators {
    static let constants: [String: Operator] = [
        "ConstantOfShape": Operator(constantOfShape), "Range": Operator(range), "EyeLike": Operator(likeOrType),
        "RandomNormal": Operator(random), "RandomUniform": Operator(random),
        "RandomNormalLike": Operator(likeOrType), "RandomUniformLike": Operator(likeOrType),
        "Bernoulli": Operator(likeOrType), "Multinomial": Operator(multinomial),
    ]

    private static func constantOfShape(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = Value(type: .f32)
        var element: Dimension?
        if case .tensor(let tensor)? = call.layer.attributes["value"] {
            value.type = tensor.type
            element = tensor.integers?.first
        }
        guard let sizes = call[0].integers else {
            let rank = call.shape(0)?.first?.size
            value.shape = rank.flatMap { $0 <= 64 ? Array(repeating: .unknown, count: $0) : nil }
            return [value]
        }
        guard !sizes.contains(where: { ($0.size ?? 0) < 0 }) else { throw call.failure("sizes from 0 on", sizes.text) }
        value.shape = sizes
        if let element, let count = value.count, count <= Value.mostFollowed {
            value.integers = Array(repeating: element, count: count)
        }
        return [value]
    }

    private static func range(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = Value(type: call[0].type, shape: [.unknown])
        func numbers(_ index: Int) -> Double? {
            call.constants(index)?.first.map(Double.init) ?? call[index].reals?.first
        }
        guard let start = numbers(0), let limit = numbers(1), let delta = numbers(2) else { return [value] }
        guard delta != 0 else { throw call.failure("a step other than 0", "0") }
        let count = max(((limit - start) / delta).rounded(.up), 0)
        guard count < 0x1p48 else { throw call.failure("at most 2^48 elements", "\(count)") }
        value.shape = [.size(Int(count))]
        if let start = call.constants(0)?.first, let delta = call.constants(2)?.first,
            Int(count) <= Value.mostFollowed, start.magnitude < 1 << 48, delta.magnitude < 1 << 48
        {
            value.integers = (0..<Int(count)).map { .size(start + $0 * delta) }
        }
        return [value]
    }

    private static func random(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let shape = try call.integers("shape") ?? []
        guard shape.allSatisfy({ $0 >= 0 }) else { throw call.failure("sizes from 0 on", "\(shape)") }
        return [Value(type: onnxType(try call.integer("dtype") ?? 1), shape: shape.map { .size($0) })]
    }

    private static func likeOrType(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let number = try call.integer("dtype")
        return [Value(type: number.flatMap(onnxType) ?? call[0].type, shape: call.shape(0))]
    }

    private static func multinomial(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let count = try call.integer("sample_size") ?? 1
        return [
            Value(
                type: onnxType(try call.integer("dtype") ?? 6),
                shape: [call.shape(0)?.first ?? .unknown, .size(max(count, 0))])
        ]
    }
}
