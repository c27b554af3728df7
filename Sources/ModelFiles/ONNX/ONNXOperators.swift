/// The operators that read weights, and what the dimensions of these mean to them.
///
/// Source: "Operators.md" and "Operators-ml" of ONNX; for those of domain com.microsoft "ContribOperators.md" of ONNX Runtime.
extension ONNXReadings {
    /// What a tensor of this shape is to a node that reads a view of it as input number `input`; nil when it is no weight.
    func weightReading(_ node: ONNXGraphs.Node, _ input: Int, _ view: View, _ shape: [Int]) -> Reading? {
        guard node.isStandard || node.message.domain == "com.microsoft" else { return nil }
        let rank = view.axes.count
        func flag(_ name: String) -> Bool { node.integers[name]?.first ?? 0 != 0 }
        switch (node.message.opType, input) {
        case ("MatMul", 0), ("FusedMatMul", 0), ("Gemm", 0), ("FusedGemm", 0):
            guard rank > 1 else { return nil }
            let turned = flag("transA")
            return matrix(view.axes[rank - (turned ? 1 : 2)], view.axes[rank - (turned ? 2 : 1)], shape)
        case ("MatMul", 1), ("FusedMatMul", 1), ("Gemm", 1), ("FusedGemm", 1):
            guard rank > 1 else { return nil }
            let turned = flag("transB")
            return matrix(view.axes[rank - (turned ? 2 : 1)], view.axes[rank - (turned ? 1 : 2)], shape)
        case ("Attention", 1) where !node.isStandard:
            return rank == 2 ? matrix(view.axes[1], view.axes[0], shape) : nil
        case ("Conv", 1), ("FusedConv", 1):
            return convolution(view, shape, groups: node.integers["group"]?.first ?? 1, isTransposed: false)
        case ("ConvTranspose", 1):
            return convolution(view, shape, groups: node.integers["group"]?.first ?? 1, isTransposed: true)
        case ("LSTM", 1), ("LSTM", 2): return recurrent("lstm", gates: 4, view, shape)
        case ("GRU", 1), ("GRU", 2): return recurrent("gru", gates: 3, view, shape)
        case ("RNN", 1), ("RNN", 2): return recurrent("fc", gates: 1, view, shape)
        case ("LSTM", 3), ("LSTM", 5...7), ("GRU", 3), ("GRU", 5), ("RNN", 3), ("RNN", 5):
            return Reading(kind: "vector", convention: "onnx")
        case ("Gather", 0):
            let axis = node.integers["axis"]?.first ?? 0
            guard axis == 0 || axis == -2, shape.count == 2, view.axes == [0, 1] else { return nil }
            return Reading(kind: "embedding", convention: "pytorch")
        default: return nil
        }
    }

    /// A matrix whose rows and columns are these stored dimensions; they must be the last two.
    private func matrix(_ output: Int?, _ input: Int?, _ shape: [Int]) -> Reading? {
        guard let output, let input, min(output, input) == shape.count - 2, max(output, input) == shape.count - 1
        else { return nil }
        return Reading(kind: "fc", convention: output < input ? "pytorch" : "onnx")
    }

    /// A kernel: [M, C / groups, k…], or [C, M / groups, k…] when transposed.
    private func convolution(_ view: View, _ shape: [Int], groups: Int64, isTransposed: Bool) -> Reading? {
        let rank = shape.count
        let stored = view.axes.compactMap(\.self)
        guard stored.count == rank, view.axes.count > 2, view.axes[0] != nil, view.axes[1] != nil else { return nil }
        let isPlain = stored == Array(0..<rank)
        if rank == 2, isPlain || stored == [1, 0] {
            // A matrix that is made a kernel of one element.
            return Reading(kind: "fc", convention: isPlain != isTransposed ? "pytorch" : "onnx")
        }
        guard (3...5).contains(rank) else { return nil }
        if isPlain {
            if groups > 1, shape[1] == 1 { return Reading(kind: "depthwise", convention: "pytorch") }
            return Reading(kind: "conv", convention: isTransposed ? "transposed" : "pytorch")
        }
        // What Keras stores, [k…, C, M], as converters from TensorFlow turn it round.
        guard !isTransposed, stored == [rank - 1, rank - 2] + Array(0..<(rank - 2)) else { return nil }
        return Reading(kind: "conv", convention: "keras")
    }

    /// Gate matrices: [directions, gates * H, I], or one direction's without the first dimension.
    private func recurrent(_ kind: String, gates: Int, _ view: View, _ shape: [Int]) -> Reading? {
        let stored = view.axes.compactMap(\.self)
        guard view.axes.count == 3, stored.count == shape.count, (2...3).contains(stored.count) else { return nil }
        let isPlain = stored == Array(shape.indices)
        guard isPlain || stored == [1, 0], let rows = view.axes[1] else { return nil }
        // One gate of a matrix that the model puts together, or a layer of one gate, is a matrix like any other.
        if gates == 1 || shape.count == 2 && view.isJoined && !view.isSliced || !shape[rows].isMultiple(of: gates) {
            return Reading(kind: "fc", convention: isPlain ? "pytorch" : "onnx")
        }
        return Reading(kind: kind, convention: isPlain ? (shape.count == 3 ? "onnx" : "pytorch") : "keras")
    }
}
