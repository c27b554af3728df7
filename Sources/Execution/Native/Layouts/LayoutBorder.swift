import ModelFiles
import ModelGraph

/// Where values that lie channels-last meet kernels that read row-major ones.
extension Kernels {
    /// Operators whose kernels look at the order themselves.
    private static let orderAware: Set<String> = [
        "AveragePool", "BatchNormalization", "Conv", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool", "Pad",
        "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Resize", "Shape", "Size", "Transpose",
    ]

    /// Operators that make each float of those in its place, which broadcast: the order does not matter to them.
    private static let elementwise: Set<String> = [
        "Abs", "Acos", "Acosh", "Add", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div",
        "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Mean",
        "Min", "Mish", "Mod", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid",
        "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu",
    ]

    /// Operators that work along one axis, with the axis that they take when none is given.
    private static let axial = ["Concat": 1, "Softmax": -1, "LogSoftmax": -1]

    /// Calls a kernel with its inputs in an order that it reads: the only way to one.
    static func run(_ kernel: Kernel, _ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let orders = call.inputs.compactMap { $0?.order }
        guard orders.contains(.channelsLast), !orderAware.contains(call.layer.type) else { return try kernel(&call) }
        if try aligns(&call) {
            return try kernel(&call).map { $0.logical(.channelsLast) }
        }
        for index in call.inputs.indices { call.inputs[index] = call.inputs[index]?.rowMajor() }
        return try kernel(&call)
    }

    /// Makes all inputs tensors of the sizes in memory, where that changes nothing for the operator.
    private static func aligns(_ call: inout KernelCall) throws(KernelFailure) -> Bool {
        let tensors = call.inputs.compactMap(\.self)
        guard let rank = tensors.map(\.rank).max(), let first = tensors.first(where: { $0.order == .channelsLast }),
            first.rank == rank
        else { return false }
        if let usual = axial[call.layer.type] {
            let isOld = call.layer.type != "Concat" && call.version < 13
            guard !isOld, tensors.allSatisfy({ $0.rank == rank && $0.type == .f32 }) else { return false }
            let axis = try axis(try call.integer("axis", orElse: usual), rank: rank)
            call.layer.attributes["axis"] = .integer(first.physicalAxis(axis))
        } else {
            guard elementwise.contains(call.layer.type), tensors.allSatisfy({ $0.type == .f32 }) else { return false }
        }
        for index in call.inputs.indices {
            guard let tensor = call.inputs[index], !tensor.shape.isEmpty else { continue }
            let leading = [Int](repeating: 1, count: rank - tensor.rank)
            let full = leading.isEmpty ? tensor : tensor.reshaped(leading + tensor.shape)
            call.inputs[index] = full.channelsLast().physical()
        }
        return true
    }
}
