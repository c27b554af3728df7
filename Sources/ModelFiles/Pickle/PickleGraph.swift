/// A value that a pickle describes.
///
/// Containers are indices into a ``PickleGraph``, so that a value is small, cycles need no care, and releasing a deeply nested
/// one does not recurse.
enum PickleValue {
    case none
    case bool(Bool)
    case int(Int)
    case string(String)
    /// A float, a byte string or an integer beyond 64 bits: never part of what is looked for.
    case scalar
    /// An index into ``PickleGraph/globals``.
    case global(Int)
    /// An index into ``PickleGraph/nodes``.
    case node(Int)
    /// An index into ``PickleGraph/storages``.
    case storage(Int)
    /// An index into ``PickleGraph/tensors``.
    case tensor(Int)
}

/// A container, or an object of a class that is not known here.
struct PickleNode {
    enum Kind {
        case tuple
        /// A list or a set.
        case list
        case dictionary
        /// Made by a call that was not run; its state, items and pairs are kept as the pickle gives them.
        case object
    }

    var kind: Kind
    var items: [PickleValue] = []
    var pairs: [(key: PickleValue, value: PickleValue)] = []
    /// The class of an object, an index into ``PickleGraph/globals``.
    var type: Int?
    /// What BUILD would have set the object's attributes from.
    var state: PickleValue?
    /// What the call that made an object was given.
    var arguments: PickleValue?
    /// Whether the object stands for a tensor of which only its class knows how it is made of others.
    var isWrapper = false
}

/// A name that a pickle takes out of a Python module: compared, never looked up.
struct PickleGlobal {
    let module: String
    let name: String
    let meaning: TorchGlobal
}

/// A storage: an array of elements beside the pickle, known by its key.
struct PickledStorage {
    let key: String
    /// The type of its elements, U8 for an untyped storage, or nil for a type that is not read here.
    let dtype: DType?
    /// The elements it has, or its whole root has when it is a view.
    let count: Int
    /// The elements of its root that it shows (an old form of sharing), or nil for all.
    let view: Range<Int>?
    /// The storage class, as the pickle names it.
    let typeName: String
}

/// A tensor: a strided window on a storage.
struct PickledTensor {
    let storage: Int
    /// The element type when it is not the storage's own.
    let dtype: DType?
    /// The first element, counted from the storage's start.
    let offset: Int
    let shape: [Int]
    let strides: [Int]
    /// Whether a negation or conjugation is pending: then the storage's elements are not the tensor's.
    let isDeferred: Bool
    /// The attributes of a tensor of a class of its own: an index into ``PickleGraph/nodes``.
    var attributes: Int?
}

/// Everything that a pickle describes.
struct PickleGraph {
    var nodes: [PickleNode] = []
    var globals: [PickleGlobal] = []
    var storages: [PickledStorage] = []
    var tensors: [PickledTensor] = []

    func node(_ value: PickleValue?) -> PickleNode? {
        if case .node(let index) = value { nodes[index] } else { nil }
    }

    /// The items of a tuple or list.
    func items(_ value: PickleValue?) -> [PickleValue]? {
        guard let node = node(value), node.kind == .tuple || node.kind == .list else { return nil }
        return node.items
    }

    /// The pairs of a dictionary; of equal keys all are listed.
    func pairs(_ value: PickleValue?) -> [(key: PickleValue, value: PickleValue)]? {
        guard let node = node(value), node.kind == .dictionary else { return nil }
        return node.pairs
    }

    /// The value of a dictionary under a string key; of equal keys the last counts, as in Python.
    func value(_ key: String, in dictionary: PickleValue?) -> PickleValue? {
        pairs(dictionary)?.last { if case .string(key) = $0.key { true } else { false } }?.value
    }

    /// A tuple or list of integers.
    func integers(_ value: PickleValue?) -> [Int]? {
        guard let items = items(value) else { return nil }
        var integers: [Int] = []
        for item in items {
            guard case .int(let integer) = item else { return nil }
            integers.append(integer)
        }
        return integers
    }
}
