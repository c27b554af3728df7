/// How operators read a model's tensors as weights: the kind of layer, and what its dimensions mean.
///
/// A tensor's consumers say it, also those behind operators that only move or retype elements, in subgraphs and in functions
/// that are called with it.
struct ONNXReadings {
    /// What a tensor is to the operator that reads it.
    struct Reading: Equatable {
        let kind: String
        let convention: String
    }

    /// How the dimensions of a value stem from those of the stored tensor it is made of.
    struct View {
        /// The stored dimension that each of the value's is; nil for one that was put in.
        var axes: [Int?]
        /// Whether it is a part of the stored tensor, and whether it is a part of something larger.
        var isSliced = false
        var isJoined = false
    }

    private let graphs: ONNXGraphs
    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private var valueIDs: [[String: Int]]
    private var uses: [[(node: Int, input: Int)]] = []
    private var functions: [[String]: Int] = [:]
    /// Tensors that are small enough to be an operator's list of dimensions, by value.
    private var lists: [Int: Int] = [:]

    /// Values that a search from one tensor goes through: real models hand a weight on a few times at most.
    private static let farthest = 256
    /// Consumers that it looks at, of all these values.
    private static let mostUses = 1024

    /// Notes who reads which value.
    ///
    /// - Parameters:
    ///   - graphs: the model's.
    ///   - bytes: the file, valid as long as this is used.
    ///   - path: named in errors.
    init(_ graphs: ONNXGraphs, _ bytes: UnsafeRawBufferPointer, path: String) {
        self.graphs = graphs
        self.bytes = bytes
        self.path = path
        valueIDs = Array(repeating: [:], count: graphs.scopes.count)
        for (index, function) in graphs.functions.enumerated() {
            functions[[function.message.domain, function.message.name, function.message.overload]] = index
        }
        for (index, tensor) in graphs.tensors.enumerated() {
            guard let value = tensor.value else { continue }
            let id = id(of: value.name, in: value.scope)
            if tensor.dtype == .i64, tensor.count <= 16 { lists[id] = index }
        }
        for (index, node) in graphs.nodes.enumerated() {
            for (place, name) in node.message.input.enumerated() where !name.isEmpty {
                let id = id(of: name, in: node.scope)
                uses[id].append((index, place))
            }
        }
    }

    /// The heaviest reading of a tensor: recurrent before convolution before fully connected before embedding, then the first
    /// in the file; nil when nothing here knows its consumers.
    func reading(of tensor: ONNXTensor) throws(ModelFileError) -> Reading? {
        guard let value = tensor.value, tensor.shape.count > 1, let first = valueIDs[value.scope][value.name] else {
            return nil
        }
        var best: Reading?
        var pending = [(value: first, view: View(axes: tensor.shape.indices.map { $0 }))]
        var seen: Set = [first]
        var next = 0
        var usesLeft = Self.mostUses
        while next < pending.count {
            let (value, view) = pending[next]
            next += 1
            for use in uses[value].prefix(usesLeft) {
                usesLeft -= 1
                let node = graphs.nodes[use.node]
                if let reading = weightReading(node, use.input, view, tensor.shape) {
                    if best.map({ Self.weight(reading) > Self.weight($0) }) ?? true { best = reading }
                } else if let view = try passed(node, use.input, view) {
                    for output in targets(of: node, use.input)
                    where pending.count < Self.farthest && seen.insert(output).inserted {
                        pending.append((output, view))
                    }
                }
            }
        }
        return best
    }

    private static func weight(_ reading: Reading) -> Int {
        ["embedding", "fc", "depthwise", "conv", "gru", "lstm"].firstIndex(of: reading.kind) ?? -1
    }

    /// The values that hold what a node makes of its input.
    private func targets(of node: ONNXGraphs.Node, _ input: Int) -> [Int] {
        if let function = function(of: node) {
            let inputs = function.message.input
            return input < inputs.count ? [valueIDs[function.scope][inputs[input]]].compactMap(\.self) : []
        }
        return node.message.output.compactMap { valueIDs[node.scope][$0] }
    }

    private func function(of node: ONNXGraphs.Node) -> ONNXGraphs.Function? {
        if functions.isEmpty { return nil }
        return functions[[node.message.domain, node.message.opType, node.message.overload]].map { graphs.functions[$0] }
    }

    /// The input as the node hands it on, or nil when it does something else with it.
    private func passed(_ node: ONNXGraphs.Node, _ input: Int, _ view: View) throws(ModelFileError) -> View? {
        if function(of: node) != nil { return view }
        guard node.isStandard else { return nil }
        var view = view
        switch (node.message.opType, input) {
        case ("Identity", 0), ("Cast", 0), ("CastLike", 0), ("QuantizeLinear", 0), ("DequantizeLinear", 0):
            return view
        case ("Transpose", 0):
            let order = node.integers["perm"] ?? view.axes.indices.reversed().map(Int64.init)
            guard order.count == view.axes.count, Set(order) == Set(view.axes.indices.map(Int64.init)) else {
                return nil
            }
            view.axes = order.map { view.axes[Int($0)] }
            return view
        case ("Unsqueeze", 0), ("Squeeze", 0):
            guard let axes = try listedAxes(node) else { return nil }
            return node.message.opType == "Squeeze" ? Self.squeezed(view, axes) : Self.unsqueezed(view, axes)
        case ("Slice", 0), ("Split", 0):
            view.isSliced = true
            return view
        case ("Concat", _):
            view.isJoined = true
            return view
        default: return nil
        }
    }

    /// The dimensions that Unsqueeze and Squeeze name: as an attribute, since operator set 13 as a constant.
    private func listedAxes(_ node: ONNXGraphs.Node) throws(ModelFileError) -> [Int64]? {
        if let axes = node.integers["axes"] { return axes }
        guard node.message.input.count > 1, let id = lookUp(node.message.input[1], in: node.scope),
            let index = lists[id]
        else { return nil }
        let tensor = graphs.tensors[index]
        switch tensor.values {
        case .run(let range) where range.count == 8 * tensor.count:
            return (0..<tensor.count).map {
                Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound + 8 * $0, as: Int64.self))
            }
        case .numbers(_, let ranges):
            var numbers: [Int64] = []
            for range in ranges {
                try forEachNumber(bytes, range, path: path) { (number, _) throws(ModelFileError) in
                    if numbers.count < tensor.count { numbers.append(Int64(bitPattern: number)) }
                }
            }
            return numbers
        default: return nil
        }
    }

    private static func unsqueezed(_ view: View, _ axes: [Int64]) -> View? {
        let rank = view.axes.count + axes.count
        let places = Set(axes.map { $0 < 0 ? $0 &+ Int64(rank) : $0 })
        guard rank <= 16, places.count == axes.count, places.allSatisfy({ (0..<Int64(rank)).contains($0) }) else {
            return nil
        }
        var rest = view.axes.makeIterator()
        var result = view
        result.axes = (0..<Int64(rank)).map { places.contains($0) ? nil : rest.next() ?? nil }
        return result
    }

    private static func squeezed(_ view: View, _ axes: [Int64]) -> View? {
        let rank = view.axes.count
        let places = Set(axes.map { $0 < 0 ? $0 &+ Int64(rank) : $0 })
        guard places.allSatisfy({ (0..<Int64(rank)).contains($0) }) else { return nil }
        var result = view
        result.axes = view.axes.indices.filter { !places.contains(Int64($0)) }.map { view.axes[$0] }
        return result
    }

    /// The identity of the value that `name` means in a scope, looking outwards from it.
    private func lookUp(_ name: String, in scope: Int) -> Int? { valueIDs[home(of: name, scope)][name] }

    private mutating func id(of name: String, in scope: Int) -> Int {
        let home = home(of: name, scope)
        if let id = valueIDs[home][name] { return id }
        uses.append([])
        valueIDs[home][name] = uses.count - 1
        return uses.count - 1
    }

    private func home(of name: String, _ scope: Int) -> Int {
        var home = scope
        while !graphs.scopes[home].defined.contains(name), let parent = graphs.scopes[home].parent { home = parent }
        return home
    }
}
