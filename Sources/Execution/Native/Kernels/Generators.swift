import ModelFiles
import ModelGraph

/// Operators that make a tensor out of a shape or of numbers.
extension Kernels {
    static let generators: [String: Kernel] = [
        "ConstantOfShape": constantOfShape, "Range": range, "EyeLike": identityMatrix, "OneHot": oneHot,
    ]

    private static func constantOfShape(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let shape = try call.integers(0)
        let count = try checkedCount(shape)
        guard case .tensor(let value)? = call.layer.attributes["value"] else {
            return [Tensor([Float](repeating: 0, count: count), shape)]
        }
        guard let element = Tensor(known: value), element.count == 1 else {
            throw KernelFailure(expected: "a value of one element", found: "another")
        }
        switch element.elements {
        case .floats(let list): return [Tensor([Float](repeating: list[0], count: count), shape)]
        case .integers(let list): return [Tensor([Int64](repeating: list[0], count: count), shape, element.type)]
        }
    }

    private static func range(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let numbers = try call.tensor(0)
        if case .floats(let start) = numbers.elements {
            let (limit, delta) = (try call.floats(1).elements, try call.floats(2).elements)
            guard let start = start.first, let limit = limit.first, let delta = delta.first, delta != 0 else {
                throw KernelFailure(expected: "three numbers and a step other than 0", found: "others")
            }
            let count = max((Double(limit) - Double(start)) / Double(delta), 0).rounded(.up)
            guard count <= Double(Tensor.mostElements) else {
                throw KernelFailure(expected: "sizes that fit in memory", found: "\(count)")
            }
            return [Tensor((0..<Int(count)).map { start + Float($0) * delta }, [Int(count)])]
        }
        guard let start = try call.integers(0).first, let limit = try call.integers(1).first,
            let delta = try call.integers(2).first, delta != 0
        else { throw KernelFailure(expected: "three numbers and a step other than 0", found: "others") }
        let room = delta > 0 ? limit - start : start - limit
        let count = max((room + abs(delta) - 1) / abs(delta), 0)
        _ = try checkedCount([count])
        return [Tensor((0..<count).map { Int64(start + $0 * delta) }, [count], numbers.type)]
    }

    private static func identityMatrix(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        guard tensor.rank == 2 else { throw KernelFailure(expected: "a matrix", found: text(tensor.shape)) }
        var type = tensor.type
        if case .integer(let number)? = call.layer.attributes["dtype"] {
            guard let other = ONNXTensor.dtype(number), Tensor.types.contains(other) else {
                throw KernelFailure(expected: "a type that is computed with here", found: "type \(number)")
            }
            type = other
        }
        let (shift, width) = (try call.integer("k", orElse: 0), max(tensor.shape[1], 1))
        let ones = (0..<tensor.count).map { Int64($0 % width - $0 / width == shift ? 1 : 0) }
        return [try casted(Tensor(ones, tensor.shape), type)]
    }

    private static func oneHot(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        guard case .integers(let indices) = try casted(try call.tensor(0), .i64).elements,
            case .integers(let depths) = try casted(try call.tensor(1), .i64).elements, let depth = depths.first,
            depth > 0, depth <= 1 << 31
        else { throw KernelFailure(expected: "indices and a depth", found: "others") }
        let values = try call.tensor(2)
        guard values.count == 2 else { throw KernelFailure(expected: "two values", found: "\(values.count)") }
        var shape = try call.tensor(0).shape
        let axis = try axis(try call.integer("axis", orElse: -1), rank: shape.count + 1)
        let inner = shape[axis...].reduce(1, *)
        shape.insert(Int(depth), at: axis)
        let places = (0..<(try checkedCount(shape))).map { place in
            let level = Int64(place / inner % Int(depth))
            let index = indices[place / (inner * Int(depth)) * inner + place % inner]
            return (index < 0 ? index &+ depth : index) == level ? 1 : 0
        }
        return [values.picked(places, shape)]
    }
}
