import ModelFiles

/// Operators that bring a dimension down to one element.
extension Operators {
    static let reductions: [String: Operator] = {
        var table: [String: Operator] = [:]
        for type in [
            "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
            "ReduceProd", "ReduceSum", "ReduceSumSquare",
        ] {
            table[type] = Operator(reduced)
        }
        for type in ["ArgMax", "ArgMin"] { table[type] = Operator(argument) }
        return table
    }()

    private static func reduced(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let keeps = try call.integer("keepdims") ?? 1 != 0
        guard let shape = call.shape(0) else { return [call[0].cleared()] }
        guard let listed = try call.listed("axes", input: 1) else {
            return [call[0].cleared(keeps ? shape.map { _ in .unknown } : .some(nil))]
        }
        if listed?.isEmpty ?? true, call.flag("noop_with_empty_axes") { return [call[0].cleared()] }
        let axes = try call.axes(listed.flatMap { $0.isEmpty ? nil : $0 } ?? Array(shape.indices), rank: shape.count)
        var value = call[0].cleared(drop(axes, of: shape, keeps: keeps))
        if let integers = call[0].integers, shape.count == 1, let numbers = Optional(integers.compactMap(\.size)),
            numbers.count == integers.count, ["ReduceProd", "ReduceMax", "ReduceMin"].contains(call.layer.type),
            let first = numbers.first
        {
            let result: Int? =
                switch call.layer.type {
                case "ReduceProd": product(numbers)
                case "ReduceMax": numbers.reduce(first, max)
                default: numbers.reduce(first, min)
                }
            value.integers = result.map { [.size($0)] }
        }
        return [value]
    }

    private static func drop(_ axes: [Int], of shape: [Dimension], keeps: Bool) -> [Dimension] {
        shape.indices.compactMap { axes.contains($0) ? (keeps ? .size(1) : nil) : shape[$0] }
    }

    private static func argument(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [Value(type: .i64)] }
        let axis = try call.axis(try call.integer("axis") ?? 0, rank: shape.count)
        let keeps = try call.integer("keepdims") ?? 1 != 0
        return [Value(type: .i64, shape: drop([axis], of: shape, keeps: keeps))]
    }
}
