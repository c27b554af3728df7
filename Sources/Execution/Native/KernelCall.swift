import ModelFiles
import ModelGraph

/// Why a kernel does not run on what it is given.
struct KernelFailure: Error {
    let expected: String
    let found: String
}

/// How a layer is computed.
struct LayerMode: Sendable {
    /// The order in which convolutions and pools give pictures.
    var order = Tensor.Order.rowMajor
    /// Whether products with weights are of integers of 8 bits.
    var usesIntegers = false
}

/// A layer with the tensors that it takes: what a kernel works on.
struct KernelCall {
    var layer: Layer
    /// The inputs; `nil` for one that is left out.
    var inputs: [Tensor?]
    /// Version of the operator set that the layer is of.
    let version: Int
    let blas: BLAS
    let mode: LayerMode
    /// The inputs that are weights of the graph.
    let weights: Set<Int>
    /// What is made of them for later runs too; `nil` where weights do not stay in memory.
    let memory: PreparedWeights?

    /// Attributes that enter arithmetic stay far from overflow.
    private static let largest = 1 << 24

    func has(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }

    /// Input number `index`.
    func tensor(_ index: Int) throws(KernelFailure) -> Tensor {
        guard index < inputs.count, let tensor = inputs[index] else {
            throw KernelFailure(expected: "an input \(index)", found: "none")
        }
        return tensor
    }

    /// Input number `index`, given up by the call so that it can be written over.
    mutating func taken(_ index: Int) throws(KernelFailure) -> Tensor {
        let tensor = try tensor(index)
        inputs[index] = nil
        return tensor
    }

    /// Input number `index`, whose elements are floats.
    func floats(_ index: Int) throws(KernelFailure) -> (elements: [Float], shape: [Int]) {
        let tensor = try tensor(index)
        guard case .floats(let floats) = tensor.elements else {
            throw KernelFailure(expected: "floats in input \(index)", found: "\(tensor.type)")
        }
        return (floats, tensor.shape)
    }

    /// Whether products with input 1 are to be of integers: it has to be a weight.
    var usesIntegers: Bool { mode.usesIntegers && weights.contains(1) }

    /// What a kernel makes of some of its inputs, once where they are weights that stay in memory.
    func prepared<Value: Sendable>(
        from inputs: [Int], _ make: () throws(KernelFailure) -> Value
    ) throws(KernelFailure) -> Value {
        guard let memory, weights.isSuperset(of: inputs) else { return try make() }
        return try memory.value(make)
    }

    /// The elements of input number `index`; `nil` when it is left out.
    func optionalFloats(_ index: Int, count: Int) throws(KernelFailure) -> [Float]? {
        guard has(index) else { return nil }
        let (elements, shape) = try floats(index)
        guard elements.count == count else {
            throw KernelFailure(expected: "\(count) elements in input \(index)", found: text(shape))
        }
        return elements
    }

    /// The integers of input number `index`, within 2^31; `nil` when it is left out.
    func optionalIntegers(_ index: Int) throws(KernelFailure) -> [Int]? {
        guard has(index) else { return nil }
        guard case .integers(let integers) = try tensor(index).elements else {
            throw KernelFailure(expected: "integers in input \(index)", found: "\(try tensor(index).type)")
        }
        return integers.map { Int(min(max($0, -(1 << 31)), 1 << 31)) }
    }

    func integers(_ index: Int) throws(KernelFailure) -> [Int] {
        guard let integers = try optionalIntegers(index) else {
            throw KernelFailure(expected: "an input \(index)", found: "none")
        }
        return integers
    }

    /// What since some version is an input and was an attribute before.
    func listed(_ attribute: String, input: Int) throws(KernelFailure) -> [Int]? {
        if case .integers(let list)? = layer.attributes[attribute] {
            return list.map { min(max($0, -(1 << 31)), 1 << 31) }
        }
        return try optionalIntegers(input)
    }

    func integer(_ name: String, orElse value: Int) throws(KernelFailure) -> Int {
        guard case .integer(let number)? = layer.attributes[name] else { return value }
        guard number.magnitude <= Self.largest else {
            throw KernelFailure(expected: "attribute \(name) within 2^24", found: "\(number)")
        }
        return number
    }

    func flag(_ name: String, orElse value: Bool = false) -> Bool {
        guard case .integer(let number)? = layer.attributes[name] else { return value }
        return number != 0
    }

    func number(_ name: String, orElse value: Float) -> Float {
        if case .number(let number)? = layer.attributes[name] { Float(number) } else { value }
    }

    func string(_ name: String, orElse value: String) -> String {
        if case .text(let text)? = layer.attributes[name] { text } else { value }
    }

    /// An attribute of a number for each of `count` dimensions.
    func list(_ name: String, count: Int, orElse value: Int, from least: Int) throws(KernelFailure) -> [Int] {
        guard case .integers(let list)? = layer.attributes[name] else { return Array(repeating: value, count: count) }
        guard list.count == count, list.allSatisfy({ $0 >= least && $0 <= Self.largest }) else {
            throw KernelFailure(
                expected: "\(count) numbers from \(least) to 2^24 in attribute \(name)", found: "\(list.prefix(16))")
        }
        return list
    }
}

/// An axis as an index below `rank`; negative ones count from the end.
func axis(_ axis: Int, rank: Int) throws(KernelFailure) -> Int {
    let index = axis < 0 ? axis &+ rank : axis
    guard (0..<rank).contains(index) else {
        throw KernelFailure(expected: "an axis of \(rank) dimensions", found: "\(axis)")
    }
    return index
}

/// Axes as indices below `rank`, each once, in the order given.
func axes(_ list: [Int], rank: Int) throws(KernelFailure) -> [Int] {
    var result: [Int] = []
    for number in list {
        let index = try axis(number, rank: rank)
        guard !result.contains(index) else {
            throw KernelFailure(expected: "each axis once", found: "\(list.prefix(16))")
        }
        result.append(index)
    }
    return result
}

/// The number of elements of a tensor that may be made; sizes beside a 0 are bounded too, so that no product of sizes overflows.
func checkedCount(_ shape: [Int]) throws(KernelFailure) -> Int {
    guard let bound = elementCount(shape.map { $0 == 0 ? 1 : $0 }), bound <= Tensor.mostElements else {
        throw KernelFailure(expected: "sizes that fit in memory", found: text(shape))
    }
    return shape.contains(0) ? 0 : bound
}

/// Sizes as errors show them.
func text(_ shape: [Int]) -> String { shape.prefix(16).map { Dimension.size($0) }.text }
