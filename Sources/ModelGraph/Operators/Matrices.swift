import ModelFiles

/// Products of matrices.
extension Operators {
    static let matrices: [String: Operator] = [
        "MatMul": product(of: 0, 1) { $0[0].type },
        "MatMulInteger": product(of: 0, 1) { _ in .i32 },
        "QLinearMatMul": product(of: 0, 3) { $0[7].type },
        "Gemm": Operator(gemm, multiplyAdds: gemmMultiplyAdds),
        "Einsum": Operator(einsum, multiplyAdds: einsumMultiplyAdds),
        "Det": Operator(determinant),
    ]

    static let contributedMatrices: [String: Operator] = [
        "FusedMatMul": Operator(fusedMatMul, multiplyAdds: fusedMultiplyAdds),
        "FusedGemm": Operator(gemm, multiplyAdds: gemmMultiplyAdds),
        "DynamicQuantizeMatMul": product(of: 0, 1) { _ in .f32 },
        "MatMulIntegerToFloat": product(of: 0, 1) { $0[2].type ?? .f32 },
        "MatMulNBits": Operator(blockMatMul, multiplyAdds: rowMultiplyAdds),
    ]

    /// A product of two inputs, which have these numbers.
    private static func product(
        of first: Int, _ second: Int, type: @escaping @Sendable (OperatorCall) -> DType?
    ) -> Operator {
        Operator(
            { (call) throws(GraphError) in
                [Value(type: type(call), shape: try multiplied(first, second, call))]
            }, multiplyAdds: rowMultiplyAdds)
    }

    /// Each element of the result is a row of the first input times a column.
    private static func rowMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        ModelGraph.product([values[0].count, call.shape(0)?.last?.size])
    }

    private static func fusedMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        let shape = call.shape(0)
        let inner = call.flag("transA") ? shape?.dropLast().last : shape?.last
        return ModelGraph.product([values[0].count, inner?.size])
    }

    private static func determinant(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [call[0].cleared(call.shape(0).map { Array($0.dropLast(2)) })]
    }

    /// The shape of a product as numpy.matmul has it.
    private static func multiplied(
        _ first: Int, _ second: Int, _ call: OperatorCall
    ) throws(GraphError) -> [Dimension]? {
        guard let a = call.shape(first), let b = call.shape(second) else { return nil }
        return try multiplied(a, b, call)
    }

    private static func multiplied(
        _ a: [Dimension], _ b: [Dimension], _ call: OperatorCall
    ) throws(GraphError) -> [Dimension]? {
        guard let inner = a.last, !b.isEmpty else { throw call.failure("matrices", "\(a.text) and \(b.text)") }
        let other = b.count == 1 ? b[0] : b[b.count - 2]
        guard inner.merged(other) != nil else {
            throw call.failure("matrices that share their inner size", "\(a.text) and \(b.text)")
        }
        var result = try broadcast([Array(a.dropLast(2)), Array(b.dropLast(2))], call) ?? []
        if a.count > 1 { result.append(a[a.count - 2]) }
        if b.count > 1 { result.append(b[b.count - 1]) }
        return result
    }

    private static func fusedMatMul(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard var a = call.shape(0), var b = call.shape(1) else { return [call[0].cleared(.some(nil))] }
        if call.flag("transA"), a.count > 1 { a.swapAt(a.count - 1, a.count - 2) }
        if call.flag("transB"), b.count > 1 { b.swapAt(b.count - 1, b.count - 2) }
        guard !call.flag("transBatchA"), !call.flag("transBatchB") else { return [call[0].cleared(.some(nil))] }
        return [Value(type: call[0].type, shape: try multiplied(a, b, call))]
    }

    private static func gemm(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let a = call.shape(0), let b = call.shape(1) else { return [call[0].cleared([.unknown, .unknown])] }
        guard a.count == 2, b.count == 2 else { throw call.failure("2 matrices", "\(a.text) and \(b.text)") }
        let (ta, tb) = (call.flag("transA"), call.flag("transB"))
        guard a[ta ? 0 : 1].merged(b[tb ? 1 : 0]) != nil else {
            throw call.failure("matrices that share their inner size", "\(a.text) and \(b.text)")
        }
        let result = [a[ta ? 1 : 0], b[tb ? 0 : 1]]
        if let c = call.shape(2), call.has(2) {
            guard c.count <= 2,
                try broadcast([result, c], call) == result || result.contains(where: { $0.size == nil })
            else { throw call.wrongShape(2, "a shape that can be broadcast to \(result.text)") }
        }
        return [call[0].cleared(result)]
    }

    private static func gemmMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        guard let a = call.shape(0), a.count == 2 else { return nil }
        return ModelGraph.product([values[0].count, a[call.flag("transA") ? 0 : 1].size])
    }

    /// An Einstein sum without "...", as the letters of its operands and of its result.
    private static func equation(_ call: OperatorCall) -> (operands: [[Character]], result: [Character])? {
        guard let text = call.text("equation")?.filter({ $0 != " " }), !text.contains(".") else { return nil }
        let sides = text.split(separator: ">", omittingEmptySubsequences: false)
        let left = sides[0].hasSuffix("-") ? sides[0].dropLast() : sides[0]
        let operands = left.split(separator: ",", omittingEmptySubsequences: false).map { Array($0) }
        if sides.count > 1 { return (operands, Array(sides[1])) }
        let letters = operands.flatMap(\.self)
        return (operands, Set(letters.filter { letter in letters.count { $0 == letter } == 1 }).sorted())
    }

    private static func letters(
        _ call: OperatorCall, _ operands: [[Character]]
    ) throws(GraphError) -> [Character: Dimension]? {
        var sizes: [Character: Dimension] = [:]
        for (index, operand) in operands.enumerated() {
            guard let shape = call.shape(index) else { return nil }
            guard shape.count == operand.count else { throw call.wrongShape(index, "\(operand.count) dimensions") }
            for (letter, size) in zip(operand, shape) {
                guard let merged = (sizes[letter] ?? size).merged(size) ?? (size == .size(1) ? sizes[letter] : nil)
                else {
                    throw call.wrongShape(index, "one size for \(letter)")
                }
                sizes[letter] = merged
            }
        }
        return sizes
    }

    private static func einsum(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let (operands, result) = equation(call), let sizes = try letters(call, operands) else {
            return [call[0].cleared(.some(nil))]
        }
        return [call[0].cleared(result.map { sizes[$0] ?? .unknown })]
    }

    private static func einsumMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        guard let (operands, _) = equation(call), let sizes = try? letters(call, operands) else { return nil }
        return operands.count < 2 ? 0 : ModelGraph.product(sizes.values)
    }

    private static func blockMatMul(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0), let columns = try call.integer("N"), !shape.isEmpty else {
            return [call[0].cleared(.some(nil))]
        }
        return [call[0].cleared(shape.dropLast() + [.size(columns)])]
    }
}
