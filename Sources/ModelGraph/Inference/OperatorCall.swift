import ModelFiles

/// A layer with what is known of the values it takes: what the rule of an operator works on.
struct OperatorCall {
    /// The layer; rules of control flow fill in its graphs.
    var layer: Layer
    /// What is known of its inputs; `nil` for one that is left out.
    let inputs: [Value?]
    /// Version of the operator set.
    let version: Int
    /// As errors name the network.
    let source: String
    /// Values of the graphs around the layer, the outermost first.
    let surroundings: [[String: Value]]
    /// Versions of all operator sets.
    let operatorSets: [String: Int]

    /// Input number `index`; a value of which nothing is known when it is left out.
    subscript(_ index: Int) -> Value { index < inputs.count ? inputs[index] ?? .unknown : .unknown }

    func has(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }

    /// The shape of an input.
    func shape(_ index: Int) -> [Dimension]? { self[index].shape }

    /// Outputs that the layer lists.
    var outputCount: Int { layer.outputs.count }

    /// Attributes that enter arithmetic stay far from overflow.
    private static let largest = 1 << 31

    /// An integer attribute.
    func integer(_ name: String) throws(GraphError) -> Int? {
        guard case .integer(let number)? = layer.attributes[name] else { return nil }
        return try bounded(number, name)
    }

    func flag(_ name: String) -> Bool { layer.attributes[name] == .integer(1) }

    /// An attribute that lists integers.
    func integers(_ name: String) throws(GraphError) -> [Int]? {
        guard case .integers(let numbers)? = layer.attributes[name] else { return nil }
        for number in numbers { _ = try bounded(number, name) }
        return numbers
    }

    func text(_ name: String) -> String? {
        if case .text(let text)? = layer.attributes[name] { text } else { nil }
    }

    func reals(_ name: String) -> [Double]? {
        if case .numbers(let numbers)? = layer.attributes[name] { numbers } else { nil }
    }

    private func bounded(_ number: Int, _ name: String) throws(GraphError) -> Int {
        guard number.magnitude <= Self.largest || number == .max || number == .min else {
            throw failure("attribute \(name) within 2^31", "\(number)")
        }
        return min(max(number, -Self.largest), Self.largest)
    }

    /// The elements of a small integer input, when all of them are known.
    func constants(_ index: Int) -> [Int]? {
        guard let integers = self[index].integers else { return nil }
        let numbers = integers.compactMap(\.size)
        return numbers.count == integers.count ? numbers : nil
    }

    /// What since some version is an input and was an attribute before.
    func listed(_ attribute: String, input: Int) throws(GraphError) -> [Int]?? {
        if let numbers = try integers(attribute) { return numbers }
        guard has(input) else { return .some(nil) }
        guard let numbers = constants(input) else { return nil }
        return .some(numbers)
    }

    /// An axis as an index below `rank`; negative ones count from the end.
    func axis(_ axis: Int, rank: Int) throws(GraphError) -> Int {
        let index = axis < 0 ? axis &+ rank : axis
        guard (0..<rank).contains(index) else { throw failure("an axis of \(rank) dimensions", "\(axis)") }
        return index
    }

    /// Axes as sorted indices below `rank`, each once.
    func axes(_ axes: [Int], rank: Int) throws(GraphError) -> [Int] {
        var indices: Set<Int> = []
        for number in axes {
            guard indices.insert(try axis(number, rank: rank)).inserted else {
                throw failure("each axis once", "\(axes)")
            }
        }
        return indices.sorted()
    }

    /// An error of this layer.
    func failure(_ expected: String, _ found: String) -> GraphError {
        .node(source: source, node: layer.identifier, expected: expected, found: found)
    }

    /// An error about the shape of an input.
    func wrongShape(_ index: Int, _ expected: String) -> GraphError {
        failure(expected, "input \(index) of \(shape(index)?.text ?? "unknown shape")")
    }

    /// The sum of dimensions; unknown when one of them is.
    func sum(_ dimensions: [Dimension]) throws(GraphError) -> Dimension {
        var total = 0
        for dimension in dimensions {
            guard let size = dimension.size else { return .unknown }
            let (sum, overflow) = total.addingReportingOverflow(size)
            guard !overflow else { throw failure("sizes below 2^63", "a larger one") }
            total = sum
        }
        return .size(total)
    }

    /// The product of dimensions; a single open one keeps its name.
    func product(_ dimensions: some Sequence<Dimension>) throws(GraphError) -> Dimension {
        var total = 1
        var open: [Dimension] = []
        for dimension in dimensions {
            guard let size = dimension.size else {
                open.append(dimension)
                continue
            }
            let (product, overflow) = total.multipliedReportingOverflow(by: size)
            guard !overflow else { throw failure("sizes whose product is below 2^63", "a larger one") }
            total = product
        }
        if open.isEmpty || total == 0 { return .size(total) }
        return total == 1 && open.count == 1 ? open[0] : .unknown
    }
}

/// What is known of an operator: one entry of the table of operators.
struct Operator: Sendable {
    /// Where a layer's output lies.
    enum Buffer: Sendable {
        /// In memory of its own.
        case own
        /// In that of its first input when nothing else needs it and it has the same size.
        case inPlace
        /// Always in that of its first input: only the shape is another.
        case view
    }

    typealias Rule = @Sendable (inout OperatorCall) throws(GraphError) -> [Value]
    typealias Amount = @Sendable (OperatorCall, [Value]) -> Int?

    /// What is known of the outputs.
    let infer: Rule
    /// Multiply-adds of one run; `nil` of a size that is not known or beyond 2^63.
    let multiplyAdds: Amount
    /// Elements of temporary memory that the usual algorithm takes.
    let workspace: Amount
    let buffer: Buffer

    init(
        _ infer: @escaping Rule, multiplyAdds: @escaping Amount = { _, _ in 0 },
        workspace: @escaping Amount = { _, _ in 0 }, buffer: Buffer = .own
    ) {
        self.infer = infer
        self.multiplyAdds = multiplyAdds
        self.workspace = workspace
        self.buffer = buffer
    }
}

/// The product, or `nil` when a factor is not known or it is beyond 2^63.
func product(_ factors: [Int?]) -> Int? {
    var total: Int? = 1
    for factor in factors {
        guard let known = total, let factor else { return nil }
        let (product, overflow) = known.multipliedReportingOverflow(by: factor)
        total = overflow ? nil : product
    }
    return total
}

/// The product of the sizes, or `nil` as ``product(_:)`` has it.
func product(_ dimensions: some Sequence<Dimension>) -> Int? { product(dimensions.map(\.size)) }
