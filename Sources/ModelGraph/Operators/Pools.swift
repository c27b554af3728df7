import ModelFiles

/// Operators that gather each window, region or whole picture to one element.
extension Operators {
    static let pools: [String: Operator] = [
        "MaxPool": Operator(pool), "AveragePool": Operator(pool), "LpPool": Operator(pool),
        "GlobalAveragePool": Operator(globalPool), "GlobalMaxPool": Operator(globalPool),
        "GlobalLpPool": Operator(globalPool), "MaxRoiPool": Operator(regions), "RoiAlign": Operator(regions),
    ]

    private static func pool(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let input = call.shape(0) else { return [call[0].cleared(), Value(type: .i64)] }
        guard let kernel = try call.integers("kernel_shape"), kernel.count == input.count - 2 else {
            throw call.failure("a kernel_shape for input \(input.text)", "\(try call.integers("kernel_shape") ?? [])")
        }
        let window = try Window(call, kernel: kernel)
        var result = Array(input.prefix(2))
        for index in kernel.indices {
            result.append(try window.result(input[index + 2], index, roundsUp: call.flag("ceil_mode"), call))
        }
        return [call[0].cleared(result), Value(type: .i64, shape: result)]
    }

    private static func globalPool(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [call[0].cleared(call.shape(0)?.enumerated().map { $0.offset < 2 ? $0.element : .size(1) })]
    }

    private static func regions(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let input = call.shape(0), input.count == 4 else { return [call[0].cleared(.some(nil))] }
        let size = try call.integers("pooled_shape")
        let (rows, columns) = (try call.integer("output_height"), try call.integer("output_width"))
        let (height, width) = (size?.first ?? rows ?? 1, size?.last ?? columns ?? 1)
        return [
            call[0].cleared([call.shape(1)?.first ?? .unknown, input[1], .size(max(height, 0)), .size(max(width, 0))])
        ]
    }
}
