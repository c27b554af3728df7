import Glibc
import ModelFiles

/// Arithmetic on two or more tensors, element by element.
extension Kernels {
    static let binary: [String: Kernel] = [
        "Add": { (call) throws(KernelFailure) in
            try pair(&call) {
                $0 + $1
            } integers: {
                $0 &+ $1
            }
        },
        "Sub": { (call) throws(KernelFailure) in
            try pair(&call) {
                $0 - $1
            } integers: {
                $0 &- $1
            }
        },
        "Mul": { (call) throws(KernelFailure) in
            try pair(&call) {
                $0 * $1
            } integers: {
                $0 &* $1
            }
        },
        "Div": { (call) throws(KernelFailure) in
            try pair(&call) {
                $0 / $1
            } integers: {
                $1 == 0 ? 0 : $0.dividedReportingOverflow(by: $1).partialValue
            }
        },
        "Pow": power,
        "Mod": { (call) throws(KernelFailure) in
            if call.flag("fmod") {
                return try pair(&call) {
                    fmodf($0, $1)
                } integers: {
                    $1 == 0 ? 0 : $0.remainderReportingOverflow(dividingBy: $1).partialValue
                }
            }
            // The sign is the divisor's.
            return try pair(&call) {
                let rest = fmodf($0, $1)
                return rest == 0 ? copysignf(0, $1) : (rest < 0) != ($1 < 0) ? rest + $1 : rest
            } integers: {
                guard $1 != 0 else { return 0 }
                let rest = $0.remainderReportingOverflow(dividingBy: $1).partialValue
                return rest != 0 && (rest < 0) != ($1 < 0) ? rest &+ $1 : rest
            }
        },
        "PRelu": { (call) throws(KernelFailure) in
            try pair(&call) {
                $0 < 0 ? $0 * $1 : $0
            } integers: {
                $0 < 0 ? $0 &* $1 : $0
            }
        },
        "Max": { (call) throws(KernelFailure) in try fold(&call, largest) { max($0, $1) } },
        "Min": { (call) throws(KernelFailure) in try fold(&call, smallest) { min($0, $1) } },
        "Sum": { (call) throws(KernelFailure) in try fold(&call, { $0 + $1 }) { $0 &+ $1 } },
        "Mean": { (call) throws(KernelFailure) in
            let count = Float(call.inputs.count)
            call.inputs = [try fold(&call, { $0 + $1 }) { $0 &+ $1 }[0]]
            return try each(&call) { $0 / count }
        },
        "BitwiseAnd": { (call) throws(KernelFailure) in try pair(&call, floats: nil) { $0 & $1 } },
        "BitwiseOr": { (call) throws(KernelFailure) in try pair(&call, floats: nil) { $0 | $1 } },
        "BitwiseXor": { (call) throws(KernelFailure) in try pair(&call, floats: nil) { $0 ^ $1 } },
    ]

    // NaN wins.
    @inline(__always)
    private static func largest(_ a: Float, _ b: Float) -> Float { a > b || a.isNaN ? a : b }
    @inline(__always)
    private static func smallest(_ a: Float, _ b: Float) -> Float { a < b || a.isNaN ? a : b }

    @inline(__always)
    private static func pair(
        _ call: inout KernelCall, _ floats: (Float, Float) -> Float, integers: (Int64, Int64) -> Int64
    ) throws(KernelFailure) -> [Tensor] {
        if case .floats(let b) = try call.tensor(1).elements, case .floats = try call.tensor(0).elements {
            let shape = try call.tensor(1).shape
            if let result = try inPlace(&call, b, shape, floats) { return [result] }
        }
        return [try combined(try call.tensor(0), try call.tensor(1), floats, integers)]
    }

    @inline(__always)
    private static func pair(
        _ call: inout KernelCall, floats: Void?, integers: (Int64, Int64) -> Int64
    ) throws(KernelFailure) -> [Tensor] {
        guard try call.tensor(0).type != .f32 else { throw KernelFailure(expected: "integers", found: "F32") }
        return [try combined(try call.tensor(0), try call.tensor(1), { a, _ in a }, integers)]
    }

    /// Writes over the first input, where the second broadcasts to its shape.
    @inline(__always)
    private static func inPlace(
        _ call: inout KernelCall, _ b: [Float], _ bShape: [Int], _ body: (Float, Float) -> Float
    ) throws(KernelFailure) -> Tensor? {
        let shape = try call.tensor(0).shape
        guard bShape.count <= shape.count, try broadcastShape(shape, bShape) == shape else { return nil }
        var tensor = try call.taken(0)
        b.withUnsafeBufferPointer { b in
            tensor.updateFloats { a in
                guard !a.isEmpty else { return }
                let (sizes, steps) = collapsed(shape, [broadcastStrides(bShape, to: shape)])
                let (inner, step) = (sizes.last ?? 1, steps[0].last ?? 0)
                var place = 0
                forEachRow(sizes.dropLast(), [Array(steps[0].dropLast())], [0]) { starts in
                    let start = starts[0]
                    if step == 0 {
                        let value = b[start]
                        for n in 0..<inner { a[place &+ n] = body(a[place &+ n], value) }
                    } else {
                        for n in 0..<inner { a[place &+ n] = body(a[place &+ n], b[start &+ n &* step]) }
                    }
                    place += inner
                }
            }
        }
        return tensor
    }

    @inline(__always)
    private static func combined(
        _ a: Tensor, _ b: Tensor, _ floats: (Float, Float) -> Float, _ integers: (Int64, Int64) -> Int64
    ) throws(KernelFailure) -> Tensor {
        let shape = try broadcastShape(a.shape, b.shape)
        switch (a.elements, b.elements) {
        case (.floats(let first), .floats(let second)):
            return Tensor(broadcasting(first, a.shape, second, b.shape, shape, floats), shape)
        case (.integers(let first), .integers(let second)) where a.type == b.type:
            let type = a.type
            return Tensor(
                broadcasting(first, a.shape, second, b.shape, shape) { wrapped(integers($0, $1), type) }, shape, type)
        default: throw KernelFailure(expected: "inputs of one type", found: "\(a.type) and \(b.type)")
        }
    }

    @inline(__always)
    private static func fold(
        _ call: inout KernelCall, _ floats: (Float, Float) -> Float, integers: (Int64, Int64) -> Int64
    ) throws(KernelFailure) -> [Tensor] {
        var result = try call.taken(0)
        for index in 1..<max(call.inputs.count, 1) {
            result = try combined(result, try call.tensor(index), floats, integers)
        }
        return [result]
    }

    /// The exponent may be of another type; the result is of the base's.
    private static func power(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (base, exponent) = (try call.tensor(0), try call.tensor(1))
        let shape = try broadcastShape(base.shape, exponent.shape)
        if case .integers(let a) = base.elements, case .integers(let b) = exponent.elements {
            let type = base.type
            return [
                Tensor(
                    broadcasting(a, base.shape, b, exponent.shape, shape) { wrapped(integerPower($0, $1), type) },
                    shape,
                    type)
            ]
        }
        let a = try casted(base, .f32)
        let b = try casted(exponent, .f32)
        guard case .floats(let first) = a.elements, case .floats(let second) = b.elements else { return [] }
        if second.count == 1, second[0] == 2, shape == a.shape {
            return try casted([Tensor(first.map { $0 * $0 }, shape)], base.type)
        }
        return try casted(
            [Tensor(broadcasting(first, a.shape, second, b.shape, shape) { powf($0, $1) }, shape)], base.type)
    }

    private static func casted(_ tensors: [Tensor], _ type: DType) throws(KernelFailure) -> [Tensor] {
        [try casted(tensors[0], type)]
    }

    private static func integerPower(_ base: Int64, _ exponent: Int64) -> Int64 {
        if exponent < 0 { return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0 }
        var (result, factor, left) = (Int64(1), base, exponent)
        while left > 0 {
            if left & 1 == 1 { result = result &* factor }
            factor = factor &* factor
            left >>= 1
        }
        return result
    }
}
