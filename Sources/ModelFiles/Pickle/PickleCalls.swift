/// PyTorch's own limit on the dimensions of a tensor that it computes with.
private let maximumRank = 64

// The opcodes that call functions and look up objects, none of which is run.
extension PickleMachine {
    mutating func call(_ opcode: UInt8) throws(ModelFileError) {
        switch opcode {
        case UInt8(ascii: "R"), 0x81:
            let values = try pop(2)
            try reduce(values[0], values[1])
        case 0x92:
            let values = try pop(3)
            try reduce(values[0], values[1])
        case UInt8(ascii: "b"):
            let state = try pop()
            // Attributes of a tensor or of an ordered dictionary (a state dict's `_metadata`) name no weights.
            if case .node(let index) = try top(), graph.nodes[index].kind == .object {
                graph.nodes[index].state = state
            }
        case UInt8(ascii: "Q"): stack.append(try persistent(try pop()))
        default:
            throw problem(
                expected: "an opcode of pickle protocols 2 to 5", found: "0x\(String(opcode, radix: 16))")
        }
    }

    /// The value that a call of `function` stands for.
    private mutating func reduce(_ function: PickleValue, _ arguments: PickleValue) throws(ModelFileError) {
        var function = function
        var arguments = arguments
        // Of a tensor subclass: the class, and the attributes.
        var subclass: Int?
        var state: PickleValue?
        while true {
            guard let values = graph.items(arguments) else {
                throw problem(expected: "a tuple of arguments", found: "another value")
            }
            guard case .global(let global) = function else {
                return try push(PickleNode(kind: .object, state: state, arguments: arguments))
            }
            switch graph.globals[global].meaning {
            case .rebuildFromType where values.count >= 3:
                // A tensor subclass: its base tensor is rebuilt by the function among the arguments.
                if case .global(let type) = values[1] { subclass = type }
                if values.count > 3 { state = values[3] }
                function = values[0]
                arguments = values[2]
                continue
            case .rebuildTensor(let hasDType):
                guard case .storage(let storage) = values.first else { break }
                stack.append(try tensor(of: storage, values, hasDType: hasDType))
                if case .node = state {
                    try push(PickleNode(kind: .object, state: state))
                    if case .node(let index) = try pop() { graph.tensors[graph.tensors.count - 1].attributes = index }
                }
                return
            case .firstArgument:
                guard let first = values.first else { return try push(PickleNode(kind: .list)) }
                stack.append(first)
                return
            case .dictionary:
                return try push(PickleNode(kind: .dictionary, pairs: try copiedPairs(values.last)))
            case .reconstructor:
                guard case .global(let type) = values.first else { break }
                return try push(PickleNode(kind: .object, type: type))
            case .rebuildFromType, .storage, .dtype, .other:
                break
            }
            return try push(
                PickleNode(
                    kind: .object, type: subclass ?? global, state: state, arguments: arguments,
                    isWrapper: subclass != nil))
        }
    }

    /// The pairs that `OrderedDict([(key, value), …])` copies.
    private mutating func copiedPairs(
        _ argument: PickleValue?
    ) throws(ModelFileError) -> [(key: PickleValue, value: PickleValue)] {
        guard let items = graph.items(argument) else { return [] }
        copiesLeft -= items.count
        guard copiesLeft >= 0 else {
            throw problem(expected: "no more copies than the pickle has bytes", found: "more")
        }
        return items.compactMap { item in
            guard let pair = graph.items(item), pair.count == 2 else { return nil }
            return (pair[0], pair[1])
        }
    }

    private mutating func tensor(
        of storage: Int, _ values: [PickleValue], hasDType: Bool
    ) throws(ModelFileError) -> PickleValue {
        guard values.count >= 4, case .int(let offset) = values[1], let shape = graph.integers(values[2]),
            let strides = graph.integers(values[3])
        else { throw problem(expected: "a tensor's offset, shape and strides", found: "other values") }
        guard shape.count <= maximumRank, shape.count == strides.count else {
            throw problem(
                expected: "as many strides as sizes, at most \(maximumRank)",
                found: "\(strides.count) and \(shape.count)")
        }
        var dtype: DType?
        if hasDType {
            guard values.count > 6, case .global(let global) = values[6] else {
                throw problem(expected: "a tensor's dtype", found: "another value")
            }
            dtype = graph.globals[global].dtype
        }
        // Version 2 has metadata as its seventh argument, version 3 as its eighth; it lists pending operations.
        let metadata = values.dropFirst(hasDType ? 7 : 6).first
        let isDeferred = graph.pairs(metadata)?.isEmpty == false
        graph.tensors.append(
            PickledTensor(
                storage: storage, dtype: dtype, offset: offset, shape: shape, strides: strides, isDeferred: isDeferred))
        return .tensor(graph.tensors.count - 1)
    }

    /// What PyTorch keeps beside the pickle: a storage, or the class of a module with its source code.
    private mutating func persistent(_ identifier: PickleValue) throws(ModelFileError) -> PickleValue {
        guard let values = graph.items(identifier), case .string(let kind) = values.first else {
            throw problem(expected: "a persistent identifier of PyTorch", found: "another value")
        }
        if kind == "module", values.count > 1 { return values[1] }
        guard kind == "storage", values.count >= 5, case .global(let global) = values[1],
            case .int(let count) = values[4], count >= 0
        else { throw problem(expected: "a storage's type, key, location and size", found: "other values") }
        let key: String
        switch values[2] {
        case .string(let text): key = text
        case .int(let number): key = String(number)
        default: throw problem(expected: "a storage key", found: "another value")
        }
        var view: Range<Int>?
        if values.count > 5, let window = graph.items(values[5]) {
            guard window.count == 3, case .int(let start) = window[1], case .int(let size) = window[2],
                start >= 0, size >= 0, start <= count, size <= count - start
            else { throw problem(expected: "a view of at most \(count) elements", found: "other values") }
            view = start..<(start + size)
        }
        graph.storages.append(
            PickledStorage(
                key: key, dtype: graph.globals[global].storageType, count: count, view: view,
                typeName: graph.globals[global].name))
        return .storage(graph.storages.count - 1)
    }
}

extension PickleGlobal {
    /// The element type this names; one that is not known here keeps its Python name, and so has no bit width.
    fileprivate var dtype: DType {
        if case .dtype(let dtype) = meaning { dtype } else { DType(rawValue: "\(module).\(name)") }
    }

    /// The element type of the storage class this names.
    fileprivate var storageType: DType? {
        if case .storage(let dtype) = meaning { dtype } else { nil }
    }
}
