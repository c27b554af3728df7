/// The table of operators by type; each family is a file that holds its own part of it.
///
/// Shapes follow "Operators.md" of onnx/onnx, for domain com.microsoft "ContribOperators.md" of ONNX Runtime. An operator that is
/// not in it gives values of unknown shape.
enum Operators {
    /// What is known of a layer's operator; `nil` when nothing is.
    static subscript(_ layer: Layer) -> Operator? {
        if layer.graphs[Layer.functionBody] != nil { return functionCall }
        return switch layer.domain {
        case "": standard[layer.type]
        case "com.microsoft": microsoft[layer.type] ?? standard[layer.type]
        default: nil
        }
    }

    private static let standard = joined([
        elementwise, arithmetic, shapes, movements, matrices, attentions, losses, convolutions, pools, recurrences,
        reductions,
        normalizations, quantizations, constants, signals, resizing, controlFlow,
    ])

    private static let microsoft = joined([
        contributedMatrices, contributedAttentions, contributedNormalizations, contributedElementwise,
    ])

    private static func joined(_ families: [[String: Operator]]) -> [String: Operator] {
        families.reduce(into: [:]) { all, family in
            all.merge(family) { _, _ in preconditionFailure("an operator is in two families") }
        }
    }
}
