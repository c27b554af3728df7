import ModelFiles

extension Network {
    /// The network in Graphviz's language, each nested graph in a frame of its own.
    public func dot() -> String {
        var text = "digraph {\n  node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\", fontsize=11];\n"
        for (number, picture) in GraphPicture.all(of: self).enumerated() {
            if !picture.title.isEmpty {
                text += "  subgraph cluster_\(number) {\n  label=\(escaped(picture.title));\n"
            }
            for (index, box) in picture.boxes.enumerated() {
                let label = box.lines.joined(separator: "\n")
                text += "  n\(number)_\(index) [label=\(escaped(label)), fillcolor=\"\(Palette.fill(box.kind))\"];\n"
            }
            for arrow in picture.arrows {
                text += "  n\(number)_\(arrow.from) -> n\(number)_\(arrow.to) [tooltip=\(escaped(arrow.label))];\n"
            }
            if !picture.title.isEmpty { text += "  }\n" }
        }
        return text + "}\n"
    }

    private func escaped(_ text: String) -> String {
        let inner = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            shown(String(line)).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        }
        return "\"\(inner.joined(separator: "\\n"))\""
    }
}

/// Colors of boxes by what they do.
enum Palette {
    /// The color that a box is filled with.
    static func fill(_ kind: GraphPicture.Box.Kind) -> String {
        switch kind {
        case .input, .output: "#eceff1"
        case .layer(let type): families.first { $0.types.contains { type.contains($0) } }?.color ?? "#ffffff"
        }
    }

    private static let families: [(types: [String], color: String)] = [
        (["If", "Loop", "Scan"], "#f8d7f0"),
        (["Conv"], "#cfe2ff"),
        (["MatMul", "Gemm", "Einsum", "Attention"], "#d1f0d9"),
        (["LSTM", "GRU", "RNN"], "#ffe3c2"),
        (["Pool", "Reduce"], "#e4dcfb"),
        (["Normalization", "Softmax"], "#fff4bf"),
        (["Relu", "Sigmoid", "Tanh", "Gelu", "Clip", "Swish", "Elu", "Softplus"], "#fbdcd6"),
    ]
}
