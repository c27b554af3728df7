import CNativeKernels
import Glibc
import ModelGraph

/// Functions that follow a layer.
extension Kernels {
    static let activations: [String: Kernel] = [
        "Relu": { (call) throws(KernelFailure) in
            try each(&call) {
                $0 < 0 ? 0 : $0
            } integers: {
                max($0, 0)
            }
        },
        "Sigmoid": { (call) throws(KernelFailure) in try all(&call, wc_sigmoid) },
        "Tanh": { (call) throws(KernelFailure) in try all(&call, wc_tanh) },
        "LeakyRelu": { (call) throws(KernelFailure) in
            let alpha = call.number("alpha", orElse: 0.01)
            return try each(&call) { $0 < 0 ? alpha * $0 : $0 }
        },
        "ThresholdedRelu": { (call) throws(KernelFailure) in
            let alpha = call.number("alpha", orElse: 1)
            return try each(&call) { $0 > alpha ? $0 : 0 }
        },
        "Elu": { (call) throws(KernelFailure) in
            let alpha = call.number("alpha", orElse: 1)
            return try each(&call) { $0 < 0 ? alpha * expm1f($0) : $0 }
        },
        "Celu": { (call) throws(KernelFailure) in
            let alpha = call.number("alpha", orElse: 1)
            return try each(&call) { $0 < 0 ? alpha * expm1f($0 / alpha) : $0 }
        },
        "Selu": { (call) throws(KernelFailure) in
            let alpha = call.number("alpha", orElse: 1.67326319217681884765625)
            let gamma = call.number("gamma", orElse: 1.05070102214813232421875)
            return try each(&call) { $0 > 0 ? gamma * $0 : gamma * alpha * expm1f($0) }
        },
        "HardSigmoid": { (call) throws(KernelFailure) in
            let (alpha, beta) = (call.number("alpha", orElse: 0.2), call.number("beta", orElse: 0.5))
            return try each(&call) { clamped(alpha * $0 + beta, 0, 1) }
        },
        "HardSwish": { (call) throws(KernelFailure) in try each(&call) { $0 * clamped($0 / 6 + 0.5, 0, 1) } },
        "Swish": { (call) throws(KernelFailure) in
            let alpha = call.number("alpha", orElse: 1)
            return try all(&call) { wc_swish($0, $1, alpha) }
        },
        "Mish": { (call) throws(KernelFailure) in try each(&call) { $0 * tanhf(softplus($0)) } },
        "Softplus": { (call) throws(KernelFailure) in try each(&call) { softplus($0) } },
        "Softsign": { (call) throws(KernelFailure) in try each(&call) { $0 / (1 + abs($0)) } },
        "Gelu": { (call) throws(KernelFailure) in
            if call.string("approximate", orElse: "none") == "tanh" {
                return try each(&call) {
                    0.5 * $0 * (1 + tanhf(0.7978845608 * ($0 + 0.044715 * $0 * $0 * $0)))
                }
            }
            return try all(&call, wc_gelu)
        },
        "Shrink": { (call) throws(KernelFailure) in
            let (lambda, bias) = (call.number("lambd", orElse: 0.5), call.number("bias", orElse: 0))
            return try each(&call) { $0 < -lambda ? $0 + bias : $0 > lambda ? $0 - bias : 0 }
        },
        "Clip": clip,
        "Softmax": { (call) throws(KernelFailure) in
            try alongRows(&call) { row in
                let sum = exponentials(row)
                for index in row.indices { row[index] /= sum }
            }
        },
        "LogSoftmax": { (call) throws(KernelFailure) in
            try alongRows(&call) { row in
                let most = row.max() ?? 0
                var sum: Float = 0
                for number in row { sum += expf(number - most) }
                let rest = most + logf(sum)
                for index in row.indices { row[index] -= rest }
            }
        },
        "Hardmax": { (call) throws(KernelFailure) in
            try alongRows(&call) { row in
                let place = row.indices.max { row[$0] < row[$1] || row[$0] == row[$1] && $0 > $1 }
                for index in row.indices { row[index] = index == place ? 1 : 0 }
            }
        },
    ]

    @inline(__always)
    static func sigmoid(_ x: Float) -> Float { 1 / (1 + expf(-x)) }

    @inline(__always)
    static func softplus(_ x: Float) -> Float { x > 20 ? x : log1pf(expf(x)) }

    /// NaN stays NaN; of bounds that contradict each other the upper one counts.
    @inline(__always)
    static func clamped(_ x: Float, _ least: Float, _ most: Float) -> Float {
        let raised = x < least ? least : x
        return raised > most ? most : raised
    }

    /// Replaces numbers by their exponentials over that of the largest.
    ///
    /// - Returns: their sum.
    private static func exponentials(_ row: UnsafeMutableBufferPointer<Float>) -> Float {
        let most = row.max() ?? 0
        var sum: Float = 0
        for index in row.indices {
            row[index] -= most
        }
        if let base = row.baseAddress { wc_exp(base, row.count) }
        for number in row { sum += number }
        return sum
    }

    private static func clip(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        switch tensor.elements {
        case .floats:
            var least = call.number("min", orElse: -.infinity)
            var most = call.number("max", orElse: .infinity)
            if call.has(1) { least = try call.floats(1).elements.first ?? least }
            if call.has(2) { most = try call.floats(2).elements.first ?? most }
            return try each(&call) { clamped($0, least, most) }
        case .integers(let integers):
            func bound(_ index: Int, _ other: Int64) throws(KernelFailure) -> Int64 {
                guard call.has(index), case .integers(let list) = try call.tensor(index).elements else { return other }
                return list.first ?? other
            }
            let (least, most) = (try bound(1, .min), try bound(2, .max))
            return [Tensor(integers.map { min(max($0, least), most) }, tensor.shape, tensor.type)]
        }
    }

    /// Computes rows along an axis anew in their place; before version 13 all dimensions from the axis on are one row.
    private static func alongRows(
        _ call: inout KernelCall, _ body: (UnsafeMutableBufferPointer<Float>) -> Void
    ) throws(KernelFailure) -> [Tensor] {
        let shape = try call.floats(0).shape
        var tensor = try call.taken(0)
        let isOld = call.version < 13
        let axis = try axis(try call.integer("axis", orElse: isOld ? 1 : -1), rank: max(shape.count, 1))
        let length = isOld ? shape[axis...].reduce(1, *) : shape.isEmpty ? 1 : shape[axis]
        let step = isOld || shape.isEmpty ? 1 : shape[(axis + 1)...].reduce(1, *)
        guard tensor.count > 0 else { return [tensor] }
        tensor.updateFloats { floats in
            if step == 1 {
                for start in stride(from: 0, to: floats.count, by: length) {
                    body(UnsafeMutableBufferPointer(rebasing: floats[start..<start + length]))
                }
                return
            }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: length) { row in
                for block in stride(from: 0, to: floats.count, by: length * step) {
                    for start in block..<block + step {
                        for index in 0..<length { row.initializeElement(at: index, to: floats[start + index * step]) }
                        body(row)
                        for index in 0..<length { floats[start + index * step] = row[index] }
                    }
                }
            }
        }
        return [tensor]
    }
}
