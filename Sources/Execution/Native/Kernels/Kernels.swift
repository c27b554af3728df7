/// What computes an operator: takes a layer with its inputs, gives its outputs.
typealias Kernel = @Sendable (inout KernelCall) throws(KernelFailure) -> [Tensor]

/// The operators of ONNX that the native target computes, by type; each family is a file that holds its own part of them.
///
/// Source: "Operators.md" of onnx/onnx.
enum Kernels {
    static let all: [String: Kernel] = {
        let families = [
            unary, activations, binary, comparisons, matrices, convolutions, pools, normalizations, reductions, shapes,
            movements, gathers, generators, recurrences, quantizations, resizings, sums,
        ]
        return families.reduce(into: [:]) { all, family in
            all.merge(family) { _, _ in preconditionFailure("an operator is in two families") }
        }
    }()
}
