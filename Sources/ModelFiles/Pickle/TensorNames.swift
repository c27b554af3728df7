/// A tensor of a pickle under one of its names.
struct NamedTensor {
    let name: String
    /// An index into ``PickleGraph/tensors``.
    let tensor: Int
    let kindHint: String?
}

/// Finds the tensors in what a pickle describes and names them, in the pickle's order.
///
/// The keys and indices that lead to a tensor are joined by dots: `optimizer.state.0.exp_avg`. Through a module object lead
/// its parameters, buffers and submodules, so that the name is the one `state_dict()` gives; through any other object lead its
/// attributes and items, and what the call that made it was given. Of a tensor that its class makes of others these are listed:
/// `fc.weight.tensor_impl.scale`. A tensor reached twice has two names; a name reached twice gets `#2` and so on.
struct TensorNames {
    private let graph: PickleGraph
    private let path: String
    private var named: [NamedTensor] = []
    private var names = UniqueNames()
    private var nameBytes = 0
    /// How many more values may be visited: containers may be shared, but not so that they multiply.
    private var visitsLeft: Int

    private static let maximumDepth = 1000
    private static let maximumNameLength = 4096
    /// All names together; nested shared containers could multiply them beyond any bound.
    private static let maximumNameBytes = 1 << 27

    /// The named tensors of `root`.
    ///
    /// - Throws: ``ModelFileError/malformed(path:part:expected:found:)`` when they exceed the limits above.
    static func find(
        _ root: PickleValue, in graph: PickleGraph, path: String
    ) throws(ModelFileError) -> [NamedTensor] {
        var names = TensorNames(graph: graph, path: path)
        try names.walk(root)
        return names.named
    }

    private init(graph: PickleGraph, path: String) {
        self.graph = graph
        self.path = path
        visitsLeft = (1 << 20) + 16 * graph.nodes.reduce(0) { $0 + 1 + $1.items.count + $1.pairs.count }
    }

    /// A value one step away from a container.
    private struct Child {
        let key: String
        let value: PickleValue
        var kindHint: String?
        /// Whether it is a part of something whose class is not known.
        var isPart = false
    }

    private struct Frame {
        let node: Int
        let children: [Child]
        /// Whether all below is a part of something whose class is not known.
        var isPart = false
        var next = 0
        /// Bytes of the name that led here.
        let nameLength: Int
    }

    // A loop with its own stack: nested pickles must not exhaust the thread's.
    private mutating func walk(_ root: PickleValue) throws(ModelFileError) {
        if case .tensor(let tensor) = root {
            try add("tensor", tensor, nil)
            return
        }
        guard case .node(let index) = root else { return }
        var name: [UInt8] = []
        var frames = [Frame(node: index, children: try children(of: index), nameLength: 0)]
        // A container that holds itself is entered once on each way down.
        var open: Set<Int> = [index]
        while var frame = frames.popLast() {
            name.removeLast(name.count - frame.nameLength)
            guard frame.next < frame.children.count else {
                open.remove(frame.node)
                continue
            }
            let child = frame.children[frame.next]
            frame.next += 1
            frames.append(frame)
            switch child.value {
            case .tensor(let tensor):
                append(child.key, to: &name, isFirst: frames.count == 1)
                try add(
                    String(decoding: name, as: UTF8.self), tensor,
                    frame.isPart || child.isPart ? "part" : child.kindHint)
                if let attributes = graph.tensors[tensor].attributes {
                    try enter(attributes, isPart: true, name, &frames, &open)
                }
            case .node(let index):
                let isFirst = frames.count == 1
                let length = name.count
                append(child.key, to: &name, isFirst: isFirst)
                if try !enter(index, isPart: frame.isPart || child.isPart, name, &frames, &open) {
                    name.removeLast(name.count - length)
                }
            default: break
            }
        }
    }

    /// Goes down into a container; false when the way leads through it already.
    @discardableResult
    private mutating func enter(
        _ index: Int, isPart: Bool, _ name: [UInt8], _ frames: inout [Frame], _ open: inout Set<Int>
    ) throws(ModelFileError) -> Bool {
        guard open.insert(index).inserted else { return false }
        guard frames.count < Self.maximumDepth else {
            throw problem(expected: "at most \(Self.maximumDepth) nested containers", found: "more")
        }
        frames.append(Frame(node: index, children: try children(of: index), isPart: isPart, nameLength: name.count))
        return true
    }

    private func append(_ key: String, to name: inout [UInt8], isFirst: Bool) {
        if !isFirst { name.append(UInt8(ascii: ".")) }
        // One byte over the limit is enough to be refused; a key may be as long as the file.
        name += key.utf8.prefix(max(0, Self.maximumNameLength + 1 - name.count))
    }

    private mutating func add(_ name: String, _ tensor: Int, _ kindHint: String?) throws(ModelFileError) {
        guard name.utf8.count <= Self.maximumNameLength else {
            throw problem(expected: "tensor names of at most \(Self.maximumNameLength) bytes", found: "a longer one")
        }
        let unique = names.unique(name)
        nameBytes += unique.utf8.count + 64
        guard nameBytes <= Self.maximumNameBytes else {
            throw problem(expected: "at most \(Self.maximumNameBytes) bytes of tensor names", found: "more")
        }
        named.append(NamedTensor(name: unique, tensor: tensor, kindHint: kindHint))
    }

    private func problem(expected: String, found: String) -> ModelFileError {
        .malformed(path: path, part: "pickle", expected: expected, found: found)
    }
}

// MARK: - What a container holds

extension TensorNames {
    /// The containers and tensors in a container; scalars are passed over.
    private mutating func children(of index: Int) throws(ModelFileError) -> [Child] {
        let node = graph.nodes[index]
        switch node.kind {
        case .tuple, .list: return try listed(node.items)
        case .dictionary: return try keyed(node.pairs)
        case .object:
            let attributes = attributes(of: node)
            if let type = node.type, graph.globals[type].module.hasPrefix(Self.scriptModules) {
                return hinted(try keyed(attributes), graph.globals[type], groups: nil)
            }
            if let module = try moduleChildren(node, attributes) { return module }
            let module = node.type.map { graph.globals[$0].module } ?? ""
            // A distributed tensor is one of plain numbers, of which each process has a part.
            let isKnown = module.hasPrefix("torch.distributed.")
            let arguments = try listed(graph.items(node.arguments) ?? []).map { marked($0, !isKnown) }
            return try keyed(attributes).map { marked($0, node.isWrapper && !isKnown) } + keyed(node.pairs)
                + listed(node.items) + arguments
        }
    }

    private func marked(_ child: Child, _ isPart: Bool) -> Child {
        var child = child
        child.isPart = isPart
        return child
    }

    private mutating func listed(_ items: [PickleValue]) throws(ModelFileError) -> [Child] {
        try visit(items.count)
        return items.enumerated().compactMap { $1.isScalar ? nil : Child(key: String($0), value: $1) }
    }

    private mutating func keyed(
        _ pairs: [(key: PickleValue, value: PickleValue)]
    ) throws(ModelFileError) -> [Child] {
        try visit(pairs.count)
        // Of equal string keys the last counts, in the place of the first, as in Python.
        var places: [String: Int] = [:]
        var children: [Child] = []
        for (position, pair) in pairs.enumerated() {
            let key: String
            switch pair.key {
            case .string(let text):
                key = text
                if let place = places.updateValue(children.count, forKey: text) {
                    places[text] = place
                    children[place] = Child(key: text, value: pair.value)
                    continue
                }
            case .int(let number): key = String(number)
            case .bool(let flag): key = flag ? "True" : "False"
            case .none: key = "None"
            default: key = String(position)
            }
            children.append(Child(key: key, value: pair.value))
        }
        return children.filter { !$0.value.isScalar }
    }

    private mutating func visit(_ count: Int) throws(ModelFileError) {
        visitsLeft -= 1 + count
        guard visitsLeft >= 0 else {
            throw problem(expected: "containers shared a few times over", found: "more names than can be listed")
        }
    }

    /// An object's attributes: its state is a dictionary, or a pair of those (with and without slots).
    private func attributes(of node: PickleNode) -> [(key: PickleValue, value: PickleValue)] {
        if let pairs = graph.pairs(node.state) { return pairs }
        guard let states = graph.items(node.state), states.count == 2 else { return [] }
        return states.flatMap { graph.pairs($0) ?? [] }
    }

    /// What `state_dict()` would list of a `torch.nn.Module`, or nil when the object is something else.
    private mutating func moduleChildren(
        _ node: PickleNode, _ attributes: [(key: PickleValue, value: PickleValue)]
    ) throws(ModelFileError) -> [Child]? {
        try visit(attributes.count)
        var parts: [String: PickleValue] = [:]
        for attribute in attributes {
            guard case .string(let key) = attribute.key else { continue }
            if ["_parameters", "_buffers", "_modules", "groups"].contains(key) { parts[key] = attribute.value }
        }
        guard let parameters = graph.pairs(parts["_parameters"]), let modules = graph.pairs(parts["_modules"]) else {
            return nil
        }
        var own = try keyed(parameters)
        if let type = node.type { own = hinted(own, graph.globals[type], groups: parts["groups"]) }
        return try own + keyed(graph.pairs(parts["_buffers"]) ?? []) + keyed(modules)
    }

    private static let modules = "torch.nn.modules."
    /// A class that TorchScript compiled; its attributes are those of the module, parameters and submodules alike.
    private static let scriptModules = "__torch__.torch.nn.modules."

    /// The children of a module of PyTorch's own with the kind of layer that its weights are.
    private func hinted(_ children: [Child], _ type: PickleGlobal, groups: PickleValue?) -> [Child] {
        children.map { child in
            var child = child
            if child.key.hasPrefix("weight"), case .tensor(let tensor) = child.value {
                child.kindHint = kind(ofModule: type, groups: groups, shape: graph.tensors[tensor].shape)
            }
            return child
        }
    }

    private func kind(ofModule type: PickleGlobal, groups: PickleValue?, shape: [Int]) -> String? {
        let isScript = type.module.hasPrefix(Self.scriptModules)
        guard shape.count > 1, isScript || type.module.hasPrefix(Self.modules) else { return nil }
        switch type.name {
        case "Linear", "NonDynamicallyQuantizableLinear": return "fc"
        case "Conv1d", "Conv2d", "Conv3d":
            // TorchScript has the number of groups in the code only: a shape like this may be of either kind.
            if isScript, shape[1] == 1 { return nil }
            if case .int(let count) = groups, count > 1, shape[1] == 1 { return "depthwise" }
            return "conv"
        case "LSTM", "LSTMCell": return "lstm"
        case "GRU", "GRUCell": return "gru"
        case "Embedding", "EmbeddingBag": return "embedding"
        default: return nil
        }
    }
}

extension PickleValue {
    /// Whether nothing can be found in it.
    fileprivate var isScalar: Bool {
        switch self {
        case .node, .tensor: false
        default: true
        }
    }
}
