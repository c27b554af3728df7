/// Tells the kind of a layer from the name and shape of its tensor, where the model file itself does not say.
public struct LayerClassifier: Sendable {
    /// Shapes of all tensors of the model by name: a recurrent layer is told by its sibling matrices.
    private let shapes: [String: [Int]]

    /// A classifier for a model with these tensors.
    public init(shapes: [String: [Int]]) {
        self.shapes = shapes
    }

    /// The kind of the tensor, and the convention its dimensions follow.
    ///
    /// Recurrent layers are those that PyTorch names `weight_ih…` and `weight_hh…`, or that are called `…w_ih` and `…w_hh`
    /// (the recurrent matrix `[gates * H, H]` tells LSTM from GRU), and those that Keras names `recurrent_kernel`. Tensors of
    /// three to five dimensions are convolutions, depthwise when each channel has one small kernel; three dimensions of which
    /// the last two both exceed 32 are a stack of matrices instead (mixtures of experts), since no kernel is that long. A name
    /// with `emb` in its last two parts is an embedding. All else is fully connected. Names that end in `kernel` follow Keras.
    public func classify(_ name: String, _ shape: [Int]) -> (kind: LayerKind, convention: LayoutConvention) {
        let parts = name.split(whereSeparator: { $0 == "." || $0 == "/" }).map { $0.lowercased() }
        let last = parts.last.map { String($0.prefix(while: { $0 != ":" })) } ?? ""
        let convention: LayoutConvention = last.hasSuffix("kernel") ? .keras : .pytorch
        if let kind = recurrentKind(name, last: last, shape) { return (kind, convention) }
        switch shape.count {
        case 3 where convention == .pytorch && shape[1] > 32 && shape[2] > 32:
            return (.fc, convention)
        case 3...5:
            let kernel = convention == .keras ? shape.dropLast(2) : shape.dropFirst(2)
            let isDepthwise =
                convention == .keras
                ? last.contains("depthwise") : shape[1] == 1 && shape[0] > 1 && kernel.reduce(1, *) <= 64
            return (isDepthwise ? .depthwise : .conv, convention)
        case 2 where parts.suffix(2).contains(where: { $0.contains("emb") }):
            return (.embedding, .pytorch)
        default:
            return (.fc, convention)
        }
    }

    private func recurrentKind(_ name: String, last: String, _ shape: [Int]) -> LayerKind? {
        guard shape.count == 2 else { return nil }
        for weight in ["weight", "w"] where last.containsWord("\(weight)_ih") || last.containsWord("\(weight)_hh") {
            let recurrent = name.replacingLast("\(weight)_ih", with: "\(weight)_hh")
            guard let hidden = shapes[recurrent], hidden.count == 2, hidden[0] == shape[0] else { return nil }
            let projected = shapes[recurrent.replacingLast("\(weight)_hh", with: "\(weight)_hr")]
            let size = projected?.last ?? hidden[1]
            return [LayerKind.lstm, .gru].first { size > 0 && shape[0] == $0.gates * size }
        }
        if last == "recurrent_kernel" { return [LayerKind.lstm, .gru].first { shape[1] == $0.gates * shape[0] } }
        if last == "kernel", name.hasSuffix(last) || name.contains("kernel:") {
            guard let hidden = shapes[name.replacingLast("kernel", with: "recurrent_kernel")], hidden.count == 2 else {
                return nil
            }
            return [LayerKind.lstm, .gru].first { shape[1] == hidden[1] && hidden[1] == $0.gates * hidden[0] }
        }
        return nil
    }
}

extension String {
    /// Whether the string has a part that begins at its start or after an underscore.
    fileprivate func containsWord(_ word: String) -> Bool { hasPrefix(word) || contains("_\(word)") }

    /// The string with the last occurrence of `old` replaced, or itself where there is none.
    fileprivate func replacingLast(_ old: String, with new: String) -> String {
        guard let range = ranges(of: old).last else { return self }
        return self[..<range.lowerBound] + new + self[range.upperBound...]
    }
}
