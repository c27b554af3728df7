import ModelFiles

/// Operators of several inputs that are broadcast to one shape.
///
/// Source: "Broadcasting.md" of onnx/onnx.
extension Operators {
    static let arithmetic: [String: Operator] = {
        var table: [String: Operator] = [
            "Add": binary({ $0.addingReportingOverflow($1) }, { $0 + $1 }, neutral: 0),
            "Sub": binary({ $0.subtractingReportingOverflow($1) }, { $0 - $1 }, neutral: 0),
            "Mul": binary({ $0.multipliedReportingOverflow(by: $1) }, { $0 * $1 }, neutral: 1),
            "Div": binary({ $0.dividedReportingOverflow(by: $1) }, { $0 / $1 }, neutral: 1),
            "Mod": Operator(modulo),
            "Min": binary({ (min($0, $1), false) }, { min($0, $1) }),
            "Max": binary({ (max($0, $1), false) }, { max($0, $1) }),
            "Equal": comparison { $0 == $1 },
            "Greater": comparison { $0 > $1 },
            "Less": comparison { $0 < $1 },
            "GreaterOrEqual": comparison { $0 >= $1 },
            "LessOrEqual": comparison { $0 <= $1 },
            "And": comparison { $0 != 0 && $1 != 0 },
            "Or": comparison { $0 != 0 || $1 != 0 },
            "Xor": comparison { ($0 != 0) != ($1 != 0) },
            "Where": Operator(choice),
        ]
        for type in [
            "Pow", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Sum", "Mean", "PRelu",
        ] {
            table[type] = Operator(broadcast)
        }
        return table
    }()

    /// The shape that shapes are broadcast to; `nil` when one of them is not known.
    static func broadcast(_ shapes: [[Dimension]?], _ call: OperatorCall) throws(GraphError) -> [Dimension]? {
        var result: [Dimension] = []
        for shape in shapes {
            guard let shape else { return nil }
            let rank = max(result.count, shape.count)
            var next: [Dimension] = []
            for index in 0..<rank {
                let a = index < rank - result.count ? .size(1) : result[index - (rank - result.count)]
                let b = index < rank - shape.count ? .size(1) : shape[index - (rank - shape.count)]
                switch (a, b) {
                case (.size(1), _): next.append(b)
                case (_, .size(1)): next.append(a)
                case (.size(let x), .size(let y)) where x != y:
                    let found = shapes.map { $0?.text ?? "?" }.joined(separator: " and ")
                    throw call.failure("shapes that can be broadcast", found)
                case (.size, _): next.append(a)
                case (_, .size): next.append(b)
                default: next.append(a == b ? a : .unknown)
                }
            }
            result = next
        }
        return result
    }

    /// A value of the inputs' common shape and the type of the first.
    private static func broadcast(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let shapes = call.inputs.indices.map { call.shape($0) }
        return [Value(type: call.inputs.compactMap { $0?.type }.first, shape: try broadcast(shapes, call))]
    }

    private static func modulo(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = try broadcast(&call)[0]
        // As in C with the attribute, else as in Python.
        let isTruncated = call.flag("fmod")
        value.integers = combined(call[0].integers, call[1].integers, value) { a, b in
            guard let a = a.size, let b = b.size, b != 0, !(a == .min && b == -1) else { return .unknown }
            let rest = a % b
            return .size(rest != 0 && (rest < 0) != (b < 0) && !isTruncated ? rest + b : rest)
        }
        return [value]
    }

    /// An operator whose elements are followed when they are few.
    ///
    /// - Parameter neutral: the second element that leaves the first as it is.
    private static func binary(
        _ integers: @escaping @Sendable (Int, Int) -> (Int, Bool), _ reals: (@Sendable (Double, Double) -> Double)?,
        neutral: Int? = nil
    ) -> Operator {
        Operator(
            { (call) throws(GraphError) in
                var value = try broadcast(&call)[0]
                guard call.inputs.count == 2 else { return [value] }
                value.integers = combined(call[0].integers, call[1].integers, value) { a, b in
                    if let a = a.size, let b = b.size {
                        let (result, overflow) = integers(a, b)
                        return overflow ? .unknown : .size(result)
                    }
                    return b.size == neutral && neutral != nil ? a : .unknown
                }
                if let reals { value.reals = combined(call[0].reals, call[1].reals, value, reals) }
                return [value]
            })
    }

    private static func comparison(_ holds: @escaping @Sendable (Int, Int) -> Bool) -> Operator {
        Operator { (call) throws(GraphError) in
            var value = try broadcast(&call)[0]
            value.type = .bool
            value.integers = combined(call[0].integers, call[1].integers, value) { a, b in
                guard let a = a.size, let b = b.size else { return .unknown }
                return .size(holds(a, b) ? 1 : 0)
            }
            return [value]
        }
    }

    private static func choice(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = Value(type: call[1].type ?? call[2].type)
        value.shape = try broadcast((0..<3).map { call.shape($0) }, call)
        guard let conditions = call[0].integers, let yes = call[1].integers, let no = call[2].integers,
            let chosen = combined(
                combined(yes, conditions, value, { $1.size == 0 ? .unknown : $0 }), no, value, { a, _ in a })
        else { return [value] }
        let count = chosen.count
        func element(_ list: [Dimension], _ index: Int) -> Dimension { list.count == count ? list[index] : list[0] }
        value.integers = (0..<count).map { index in
            switch element(conditions, index).size {
            case 0: element(no, index)
            case .some: element(yes, index)
            case nil: .unknown
            }
        }
        return [value]
    }

    /// Two lists of elements, one of which may be a single one, put together; `nil` when that is not what the shapes say.
    private static func combined<Element, Result>(
        _ a: [Element]?, _ b: [Element]?, _ value: Value, _ body: (Element, Element) -> Result
    ) -> [Result]? {
        guard let a, let b, let count = value.count, (value.shape?.count ?? 2) < 2,
            a.count == count || a.count == 1, b.count == count || b.count == 1
        else { return nil }
        return (0..<count).map { body(a[a.count == 1 ? 0 : $0], b[b.count == 1 ? 0 : $0]) }
    }
}
