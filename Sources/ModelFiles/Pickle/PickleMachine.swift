/// Reads a pickle of protocol 2 to 5 without running anything.
///
/// A pickle is a program for a stack machine. Here its opcodes only build a ``PickleGraph``: a call to one of the functions
/// that ``TorchGlobal`` knows becomes the tensor or container it stands for, any other call becomes an inert object. Memory
/// is bounded: each opcode adds at most one value, and their number is limited.
struct PickleMachine {
    var graph = PickleGraph()
    var reader: ByteReader
    var stack: [PickleValue] = []
    /// Heights of the stack at the open MARKs.
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    /// How many values calls may still copy; a list copied over and over would grow beyond the pickle.
    var copiesLeft = 0

    // A checkpoint takes about 50 opcodes and 5 containers for each tensor.
    private static let maximumOpcodes = 1 << 25
    private static let maximumNodes = 1 << 22

    /// Makes a machine for the pickle that begins at an offset of `bytes`.
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0, path: String, part: String) throws(ModelFileError) {
        reader = try ByteReader(bytes, at: offset, path: path, part: part)
        copiesLeft = reader.remaining
    }

    /// Where the next opcode lies; after ``run()`` the end of the pickle.
    var offset: Int { reader.offset }

    /// Reads up to the pickle's STOP and returns its value.
    mutating func run() throws(ModelFileError) -> PickleValue {
        for _ in 0..<Self.maximumOpcodes {
            let opcode = try reader.integer(UInt8.self)
            if opcode == UInt8(ascii: ".") { return try pop() }
            if try push(opcode) { continue }
            if try collect(opcode) { continue }
            try call(opcode)
        }
        throw problem(expected: "at most \(Self.maximumOpcodes) opcodes", found: "more")
    }

    func problem(expected: String, found: String) -> ModelFileError {
        .malformed(path: reader.path, part: "\(reader.part) at byte \(reader.offset)", expected: expected, found: found)
    }
}

// MARK: - Scalars, strings, names and the memo

extension PickleMachine {
    /// Runs an opcode that pushes a value of its own; false when it is another one.
    private mutating func push(_ opcode: UInt8) throws(ModelFileError) -> Bool {
        switch opcode {
        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "K"): stack.append(.int(Int(try reader.integer(UInt8.self))))
        case UInt8(ascii: "M"): stack.append(.int(Int(try reader.integer(UInt16.self))))
        case UInt8(ascii: "J"): stack.append(.int(Int(try reader.integer(Int32.self))))
        case 0x8a: try pushLong(Int(try reader.integer(UInt8.self)))
        case 0x8b: try pushLong(Int(try reader.integer(Int32.self)))
        case UInt8(ascii: "G"):
            try reader.skip(8)
            stack.append(.scalar)
        case UInt8(ascii: "U"), 0x8c: try pushString(Int(try reader.integer(UInt8.self)))
        case UInt8(ascii: "T"): try pushString(Int(try reader.integer(Int32.self)))
        case UInt8(ascii: "X"): try pushString(Int(try reader.integer(UInt32.self)))
        case 0x8d: try pushString(try reader.size())
        case UInt8(ascii: "C"): try pushBytes(Int(try reader.integer(UInt8.self)))
        case UInt8(ascii: "B"): try pushBytes(Int(try reader.integer(UInt32.self)))
        case 0x8e, 0x96: try pushBytes(try reader.size())
        case UInt8(ascii: "h"): try recall(Int(try reader.integer(UInt8.self)))
        case UInt8(ascii: "j"): try recall(Int(try reader.integer(UInt32.self)))
        case UInt8(ascii: "q"): memo[Int(try reader.integer(UInt8.self))] = try top()
        case UInt8(ascii: "r"): memo[Int(try reader.integer(UInt32.self))] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "c"): pushGlobal(module: try line(), name: try line())
        case 0x93:
            guard case .string(let name) = try pop(), case .string(let module) = try pop() else {
                throw problem(expected: "two strings before STACK_GLOBAL", found: "other values")
            }
            pushGlobal(module: module, name: name)
        case 0x80: try reader.skip(1)
        case 0x95: try reader.skip(8)
        default: return false
        }
        return true
    }

    /// A two's-complement integer of `length` bytes.
    private mutating func pushLong(_ length: Int) throws(ModelFileError) {
        let bytes = try reader.take(length)
        guard length <= 8 else {
            stack.append(.scalar)
            return
        }
        var value = (bytes.last ?? 0) >= 0x80 ? -1 : 0
        for byte in bytes.reversed() { value = value << 8 | Int(byte) }
        stack.append(.int(value))
    }

    private mutating func pushString(_ length: Int) throws(ModelFileError) {
        stack.append(.string(String(decoding: try reader.take(length), as: UTF8.self)))
    }

    private mutating func pushBytes(_ length: Int) throws(ModelFileError) {
        try reader.skip(length)
        stack.append(.scalar)
    }

    private mutating func recall(_ index: Int) throws(ModelFileError) {
        guard let value = memo[index] else { throw problem(expected: "a memo entry \(index)", found: "none") }
        stack.append(value)
    }

    private mutating func line() throws(ModelFileError) -> String {
        let rest = UnsafeRawBufferPointer(rebasing: reader.bytes[reader.offset...].prefix(1024))
        guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
            throw problem(expected: "a name of at most 1023 bytes and a line end", found: "none")
        }
        let name = String(decoding: try reader.take(end), as: UTF8.self)
        try reader.skip(1)
        return name
    }

    private mutating func pushGlobal(module: String, name: String) {
        graph.globals.append(
            PickleGlobal(module: module, name: name, meaning: TorchGlobal(module: module, name: name)))
        stack.append(.global(graph.globals.count - 1))
    }
}

// MARK: - The stack and containers

extension PickleMachine {
    func top() throws(ModelFileError) -> PickleValue {
        guard let value = stack.last, stack.count > marks.last ?? 0 else {
            throw problem(expected: "a value on the stack", found: "none")
        }
        return value
    }

    mutating func pop() throws(ModelFileError) -> PickleValue {
        let value = try top()
        stack.removeLast()
        return value
    }

    /// Takes the values above the last MARK.
    private mutating func popToMark() throws(ModelFileError) -> [PickleValue] {
        guard let mark = marks.popLast() else { throw problem(expected: "a MARK on the stack", found: "none") }
        let values = Array(stack[mark...])
        stack.removeSubrange(mark...)
        return values
    }

    mutating func pop(_ count: Int) throws(ModelFileError) -> [PickleValue] {
        guard stack.count - (marks.last ?? 0) >= count else {
            throw problem(expected: "\(count) values on the stack", found: "fewer")
        }
        let values = Array(stack.suffix(count))
        stack.removeLast(count)
        return values
    }

    mutating func push(_ node: PickleNode) throws(ModelFileError) {
        guard graph.nodes.count < Self.maximumNodes else {
            throw problem(expected: "at most \(Self.maximumNodes) containers", found: "more")
        }
        graph.nodes.append(node)
        stack.append(.node(graph.nodes.count - 1))
    }

    /// Runs an opcode that makes or fills a container; false when it is another one.
    private mutating func collect(_ opcode: UInt8) throws(ModelFileError) -> Bool {
        switch opcode {
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"): stack.append(try top())
        case UInt8(ascii: ")"): try push(PickleNode(kind: .tuple))
        case 0x85: try push(PickleNode(kind: .tuple, items: try pop(1)))
        case 0x86: try push(PickleNode(kind: .tuple, items: try pop(2)))
        case 0x87: try push(PickleNode(kind: .tuple, items: try pop(3)))
        case UInt8(ascii: "t"): try push(PickleNode(kind: .tuple, items: try popToMark()))
        case UInt8(ascii: "]"), 0x8f: try push(PickleNode(kind: .list))
        case UInt8(ascii: "l"), 0x91: try push(PickleNode(kind: .list, items: try popToMark()))
        case UInt8(ascii: "}"): try push(PickleNode(kind: .dictionary))
        case UInt8(ascii: "d"):
            let values = try popToMark()
            try push(PickleNode(kind: .dictionary, pairs: try pairs(values)))
        case UInt8(ascii: "a"): try append(try pop(1))
        case UInt8(ascii: "e"), 0x90: try append(try popToMark())
        case UInt8(ascii: "s"): try set(try pop(2))
        case UInt8(ascii: "u"): try set(try popToMark())
        default: return false
        }
        return true
    }

    private mutating func append(_ values: [PickleValue]) throws(ModelFileError) {
        // What an inert scalar collects (the bytes of an array, say) is of no interest.
        guard case .node(let index) = try top() else { return }
        guard graph.nodes[index].kind == .list || graph.nodes[index].kind == .object else {
            throw problem(expected: "a list to append to", found: "another container")
        }
        graph.nodes[index].items += values
    }

    private mutating func set(_ values: [PickleValue]) throws(ModelFileError) {
        let pairs = try pairs(values)
        guard case .node(let index) = try top() else { return }
        guard graph.nodes[index].kind == .dictionary || graph.nodes[index].kind == .object else {
            throw problem(expected: "a dictionary to set items of", found: "another container")
        }
        graph.nodes[index].pairs += pairs
    }

    private func pairs(_ values: [PickleValue]) throws(ModelFileError) -> [(key: PickleValue, value: PickleValue)] {
        guard values.count.isMultiple(of: 2) else {
            throw problem(expected: "keys and values in pairs", found: "\(values.count) values")
        }
        return stride(from: 0, to: values.count, by: 2).map { (values[$0], values[$0 + 1]) }
    }
}
