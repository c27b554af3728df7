import CNativeKernels
import Glibc
import ModelFiles

/// Operators on one tensor, element by element.
extension Kernels {
    static let unary: [String: Kernel] = [
        "Abs": { (call) throws(KernelFailure) in
            try each(&call) {
                abs($0)
            } integers: {
                $0 < 0 ? 0 &- $0 : $0
            }
        },
        "Neg": { (call) throws(KernelFailure) in
            try each(&call) {
                -$0
            } integers: {
                0 &- $0
            }
        },
        "Sign": { (call) throws(KernelFailure) in
            try each(&call) {
                $0 > 0 ? 1 : $0 < 0 ? -1 : $0
            } integers: {
                $0.signum()
            }
        },
        "Floor": { (call) throws(KernelFailure) in try each(&call) { $0.rounded(.down) } },
        "Ceil": { (call) throws(KernelFailure) in try each(&call) { $0.rounded(.up) } },
        "Round": { (call) throws(KernelFailure) in try each(&call) { $0.rounded(.toNearestOrEven) } },
        "Sqrt": { (call) throws(KernelFailure) in try each(&call) { $0.squareRoot() } },
        "Reciprocal": { (call) throws(KernelFailure) in try each(&call) { 1 / $0 } },
        "Exp": { (call) throws(KernelFailure) in try all(&call, wc_exp) },
        "Log": { (call) throws(KernelFailure) in try each(&call) { logf($0) } },
        "Erf": { (call) throws(KernelFailure) in try all(&call, wc_erf) },
        "Sin": { (call) throws(KernelFailure) in try each(&call) { sinf($0) } },
        "Cos": { (call) throws(KernelFailure) in try each(&call) { cosf($0) } },
        "Tan": { (call) throws(KernelFailure) in try each(&call) { tanf($0) } },
        "Asin": { (call) throws(KernelFailure) in try each(&call) { asinf($0) } },
        "Acos": { (call) throws(KernelFailure) in try each(&call) { acosf($0) } },
        "Atan": { (call) throws(KernelFailure) in try each(&call) { atanf($0) } },
        "Sinh": { (call) throws(KernelFailure) in try each(&call) { sinhf($0) } },
        "Cosh": { (call) throws(KernelFailure) in try each(&call) { coshf($0) } },
        "Asinh": { (call) throws(KernelFailure) in try each(&call) { asinhf($0) } },
        "Acosh": { (call) throws(KernelFailure) in try each(&call) { acoshf($0) } },
        "Atanh": { (call) throws(KernelFailure) in try each(&call) { atanhf($0) } },
        "Identity": { (call) throws(KernelFailure) in [try call.taken(0)] },
        "Dropout": dropout,
        "Not": { (call) throws(KernelFailure) in
            let tensor = try call.tensor(0)
            guard tensor.type == .bool, case .integers(let integers) = tensor.elements else {
                throw KernelFailure(expected: "booleans", found: "\(tensor.type)")
            }
            return [Tensor(integers.map { $0 == 0 ? 1 : 0 }, tensor.shape, .bool)]
        },
        "IsNaN": { (call) throws(KernelFailure) in
            let (floats, shape) = try call.floats(0)
            return [Tensor(floats.map { $0.isNaN ? 1 : 0 }, shape, .bool)]
        },
        "IsInf": { (call) throws(KernelFailure) in
            let (floats, shape) = try call.floats(0)
            let takesNegative = call.flag("detect_negative", orElse: true)
            let takesPositive = call.flag("detect_positive", orElse: true)
            return [
                Tensor(
                    floats.map { $0.isInfinite && ($0 < 0 ? takesNegative : takesPositive) ? 1 : 0 }, shape, .bool)
            ]
        },
    ]

    /// Without training it hands on what it gets.
    private static func dropout(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        if call.has(2), try call.integers(2).first ?? 0 != 0 {
            throw KernelFailure(expected: "a network that is run", found: "training")
        }
        let tensor = try call.taken(0)
        return [tensor, Tensor([Int64](repeating: 1, count: tensor.count), tensor.shape, .bool)]
    }

    /// Computes floats anew in their place.
    @inline(__always)
    static func each(
        _ call: inout KernelCall, _ body: (Float) -> Float, integers: ((Int64) -> Int64)? = nil
    ) throws(KernelFailure) -> [Tensor] {
        var tensor = try call.taken(0)
        if case .integers(let elements) = tensor.elements {
            guard let integers else { throw KernelFailure(expected: "floats", found: "\(tensor.type)") }
            let type = tensor.type
            return [Tensor(elements.map { wrapped(integers($0), type) }, tensor.shape, type)]
        }
        tensor.updateFloats { floats in
            for index in floats.indices { floats[index] = body(floats[index]) }
        }
        return [tensor]
    }

    /// Computes floats anew in their place by a function that takes them all.
    static func all(
        _ call: inout KernelCall, _ function: (UnsafeMutablePointer<Float>, Int) -> Void
    ) throws(KernelFailure) -> [Tensor] {
        guard case .floats = try call.tensor(0).elements else {
            throw KernelFailure(expected: "floats", found: "\(try call.tensor(0).type)")
        }
        var tensor = try call.taken(0)
        tensor.updateFloats { floats in if let base = floats.baseAddress { function(base, floats.count) } }
        return [tensor]
    }

    /// An integer as one of a type's width holds it.
    static func wrapped(_ number: Int64, _ type: DType) -> Int64 {
        switch type {
        case .i32: Int64(Int32(truncatingIfNeeded: number))
        case .i16: Int64(Int16(truncatingIfNeeded: number))
        case .i8: Int64(Int8(truncatingIfNeeded: number))
        case .u32: Int64(UInt32(truncatingIfNeeded: number))
        case .u16: Int64(UInt16(truncatingIfNeeded: number))
        case .u8: Int64(UInt8(truncatingIfNeeded: number))
        case .bool: number == 0 ? 0 : 1
        default: number
        }
    }
}
