import ModelFiles

/// Operators that give booleans or choose by them, and the conversion of types.
extension Kernels {
    static let comparisons: [String: Kernel] = [
        "Equal": { (call) throws(KernelFailure) in try compared(call, { $0 == $1 }) { $0 == $1 } },
        "Less": { (call) throws(KernelFailure) in try compared(call, { $0 < $1 }) { $0 < $1 } },
        "LessOrEqual": { (call) throws(KernelFailure) in try compared(call, { $0 <= $1 }) { $0 <= $1 } },
        "Greater": { (call) throws(KernelFailure) in try compared(call, { $0 > $1 }) { $0 > $1 } },
        "GreaterOrEqual": { (call) throws(KernelFailure) in try compared(call, { $0 >= $1 }) { $0 >= $1 } },
        "And": { (call) throws(KernelFailure) in try logical(call) { $0 & $1 } },
        "Or": { (call) throws(KernelFailure) in try logical(call) { $0 | $1 } },
        "Xor": { (call) throws(KernelFailure) in try logical(call) { $0 ^ $1 } },
        "Where": choice,
        "Cast": { (call) throws(KernelFailure) in
            let number = try call.integer("to", orElse: 0)
            guard let type = ONNXTensor.dtype(number), Tensor.types.contains(type) else {
                throw KernelFailure(expected: "a type that is computed with here", found: "type \(number)")
            }
            return [try casted(try call.taken(0), type)]
        },
        "CastLike": { (call) throws(KernelFailure) in [try casted(try call.tensor(0), try call.tensor(1).type)] },
    ]

    @inline(__always)
    private static func compared(
        _ call: KernelCall, _ floats: (Float, Float) -> Bool, integers: (Int64, Int64) -> Bool
    ) throws(KernelFailure) -> [Tensor] {
        let (a, b) = (try call.tensor(0), try call.tensor(1))
        let shape = try broadcastShape(a.shape, b.shape)
        let result: [Int64]
        switch (a.elements, b.elements) {
        case (.floats(let first), .floats(let second)):
            result = broadcasting(first, a.shape, second, b.shape, shape) { floats($0, $1) ? 1 : 0 }
        case (.integers(let first), .integers(let second)):
            result = broadcasting(first, a.shape, second, b.shape, shape) { integers($0, $1) ? 1 : 0 }
        default: throw KernelFailure(expected: "inputs of one type", found: "\(a.type) and \(b.type)")
        }
        return [Tensor(result, shape, .bool)]
    }

    private static func logical(
        _ call: KernelCall, _ body: (Int64, Int64) -> Int64
    ) throws(KernelFailure) -> [Tensor] {
        let (a, b) = (try call.tensor(0), try call.tensor(1))
        guard a.type == .bool, b.type == .bool, case .integers(let first) = a.elements,
            case .integers(let second) = b.elements
        else { throw KernelFailure(expected: "booleans", found: "\(a.type) and \(b.type)") }
        let shape = try broadcastShape(a.shape, b.shape)
        return [Tensor(broadcasting(first, a.shape, second, b.shape, shape, body), shape, .bool)]
    }

    private static func choice(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let condition = try call.tensor(0)
        let (yes, no) = (try call.tensor(1), try call.tensor(2))
        guard condition.type == .bool, yes.type == no.type, case .integers(let chosen) = condition.elements else {
            throw KernelFailure(
                expected: "a condition and two inputs of one type",
                found: "\(condition.type), \(yes.type) and \(no.type)")
        }
        let shape = try broadcastShape(try broadcastShape(condition.shape, yes.shape), no.shape)
        let places = broadcasting(
            chosen, condition.shape, [Int64(0)], [], try broadcastShape(condition.shape, shape)
        ) { a, _ in a }
        switch (yes.broadcast(to: shape).elements, no.broadcast(to: shape).elements) {
        case (.floats(let first), .floats(let second)):
            return [Tensor(places.indices.map { places[$0] != 0 ? first[$0] : second[$0] }, shape)]
        case (.integers(let first), .integers(let second)):
            return [Tensor(places.indices.map { places[$0] != 0 ? first[$0] : second[$0] }, shape, yes.type)]
        default: return []
        }
    }

    /// The elements as ones of another type; floats lose what follows the point, and those beyond the type become its ends.
    static func casted(_ tensor: Tensor, _ type: DType) throws(KernelFailure) -> Tensor {
        guard tensor.type != type else { return tensor }
        switch (tensor.elements, type == .f32) {
        case (.floats(let floats), _) where type == .bool:
            return Tensor(floats.map { $0 == 0 ? 0 : 1 }, tensor.shape, .bool)
        case (.floats(let floats), _):
            return Tensor(
                floats.map { float in
                    guard float.isFinite else { return float > 0 ? .max : wrapped(.min, type) }
                    let whole = Int64(exactly: float.rounded(.towardZero)) ?? (float < 0 ? .min : .max)
                    return wrapped(whole, type)
                }, tensor.shape, type)
        case (.integers(let integers), true): return Tensor(integers.map { Float($0) }, tensor.shape)
        case (.integers(let integers), false):
            return Tensor(integers.map { wrapped($0, type) }, tensor.shape, type)
        }
    }
}
