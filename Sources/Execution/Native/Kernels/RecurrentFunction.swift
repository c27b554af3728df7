import CNativeKernels
import Glibc
import ModelGraph

/// A function of a recurrent layer's gates.
struct RecurrentFunction {
    private enum Kind {
        case sigmoid, tanh, relu, affine, leakyRelu, thresholdedRelu, scaledTanh, hardSigmoid, elu, softsign, softplus
    }

    private let kind: Kind
    private let alpha: Float
    private let beta: Float

    /// The functions of all directions, those that the layer does not name being the usual.
    static func all(
        _ call: KernelCall, each count: Int, directions: Int, orElse usual: [String]
    ) throws(KernelFailure) -> [RecurrentFunction] {
        var names = (0..<directions).flatMap { _ in usual }
        if case .texts(let given)? = call.layer.attributes["activations"] { names = given }
        guard names.count == count * directions else {
            throw KernelFailure(expected: "\(count * directions) activations", found: "\(names.count)")
        }
        func numbers(_ name: String) -> ArraySlice<Float> {
            if case .numbers(let list)? = call.layer.attributes[name] { list.map { Float($0) }[...] } else { [] }
        }
        var (alphas, betas) = (numbers("activation_alpha"), numbers("activation_beta"))
        var functions: [RecurrentFunction] = []
        for name in names {
            guard let (kind, alpha, beta) = table[name.lowercased()] else {
                throw KernelFailure(expected: "an activation of the standard", found: name)
            }
            functions.append(
                RecurrentFunction(
                    kind: kind, alpha: alpha.map { alphas.popFirst() ?? $0 } ?? 0,
                    beta: beta.map { betas.popFirst() ?? $0 } ?? 0))
        }
        return functions
    }

    /// By name, with what alpha and beta usually are; `nil` for one that is not taken.
    private static let table: [String: (Kind, Float?, Float?)] = [
        "sigmoid": (.sigmoid, nil, nil), "tanh": (.tanh, nil, nil), "relu": (.relu, nil, nil),
        "affine": (.affine, 1, 0), "leakyrelu": (.leakyRelu, 0.01, nil),
        "thresholdedrelu": (.thresholdedRelu, 1, nil), "scaledtanh": (.scaledTanh, 1, 1),
        "hardsigmoid": (.hardSigmoid, 0.2, 0.5), "elu": (.elu, 1, nil), "softsign": (.softsign, nil, nil),
        "softplus": (.softplus, nil, nil),
    ]

    /// Computes numbers anew in their place.
    func apply(to numbers: UnsafeMutableBufferPointer<Float>) {
        guard let base = numbers.baseAddress else { return }
        switch kind {
        case .sigmoid: wc_sigmoid(base, numbers.count)
        case .tanh: wc_tanh(base, numbers.count)
        default: for index in numbers.indices { numbers[index] = self(numbers[index]) }
        }
    }

    @inline(__always)
    private func callAsFunction(_ x: Float) -> Float {
        switch kind {
        case .sigmoid: Kernels.sigmoid(x)
        case .tanh: tanhf(x)
        case .relu: max(x, 0)
        case .affine: alpha * x + beta
        case .leakyRelu: x < 0 ? alpha * x : x
        case .thresholdedRelu: x >= alpha ? x : 0
        case .scaledTanh: alpha * tanhf(beta * x)
        case .hardSigmoid: Kernels.clamped(alpha * x + beta, 0, 1)
        case .elu: x < 0 ? alpha * expm1f(x) : x
        case .softsign: x / (1 + abs(x))
        case .softplus: Kernels.softplus(x)
        }
    }
}
