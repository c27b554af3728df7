/// The graphs of an ONNX model, walked where they lie: nodes, tensors, and the messages around them.
///
/// Graphs nest (branches of If, bodies of Loop and Scan) and functions hold nodes of their own; each is a scope of names.
/// What a tensor holds is not read, so that a model of any size takes memory for its structure only.
package struct ONNXGraphs {
    /// A graph or function, in which names have a meaning.
    package struct Scope {
        /// The graph around it, whose names it sees too; none for the main graph and functions.
        package let parent: Int?
        /// What its tensors' names begin with.
        let prefix: String
        /// Names that it defines: inputs, initializers, outputs of its nodes.
        var defined: Set<String> = []
        /// Where the graph's inputs, its outputs and what it says of other values lie, each a `ValueInfoProto`.
        package var inputs: [Range<Int>] = []
        package var outputs: [Range<Int>] = []
        package var values: [Range<Int>] = []
        /// Where its sparse initializers lie, each a `SparseTensorProto`.
        package var sparse: [Range<Int>] = []
    }

    /// An attribute of a node.
    package struct Attribute {
        package let name: String
        /// Where it lies.
        package let content: Range<Int>
        /// Its tensors and its graphs, by their numbers here, in its order.
        package var tensors: [Int] = []
        package var scopes: [Int] = []
    }

    /// An operator's node, with the attributes that say how it reads its weights.
    package struct Node {
        package let scope: Int
        package let message: ONNXNodeProto
        var integers: [String: [Int64]] = [:]
        package var attributes: [Attribute] = []

        /// Whether it is the operator `name` of ONNX itself.
        package var isStandard: Bool { message.domain.isEmpty || message.domain == "ai.onnx" }
    }

    package struct Function {
        package let scope: Int
        package let message: ONNXFunctionProto
    }

    /// A message whose length changes with that of what it holds.
    struct Enclosure {
        /// The message it lies in; none for those of the model itself.
        let parent: Int?
        let length: Range<Int>
        let content: Range<Int>
    }

    package private(set) var scopes: [Scope] = []
    /// In the order of the file: those of one scope follow each other, but for the nodes of the graphs within them.
    package private(set) var nodes: [Node] = []
    package private(set) var functions: [Function] = []
    package private(set) var tensors: [ONNXTensor] = []
    /// Operator sets by domain, the standard one under "".
    package private(set) var operatorSets: [String: Int] = [:]
    /// In the order of their first bytes, so that each comes after the one around it.
    private(set) var enclosures: [Enclosure] = []

    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private var names = UniqueNames()
    private var nameBytes = 0

    /// Nested messages that protocol buffer libraries take are 100, and a graph is three of them: graph, node, attribute.
    private static let deepest = 32

    /// Attributes that say how operators read weights.
    private static let readingAttributes: Set = ["axis", "axes", "group", "perm", "transA", "transB"]

    /// Walks a model.
    ///
    /// - Parameters:
    ///   - bytes: the file, valid during the call.
    ///   - path: named in errors.
    /// - Throws: ``ModelFileError`` where the file breaks the rules of protocol buffers or of ONNX.
    package init(_ bytes: UnsafeRawBufferPointer, path: String) throws(ModelFileError) {
        self.bytes = bytes
        self.path = path
        var fields = ProtobufFields(bytes, 0..<bytes.count, path: path)
        var graphs = 0
        var hasOperators = false
        while let field = try fields.next() {
            guard field.isDelimited else { continue }
            switch field.number {
            case 7:
                graphs += 1
                guard graphs == 1 else { throw damaged("ONNX model", "one graph", "a second one") }
                scopes.append(Scope(parent: nil, prefix: ""))
                try graph(field.content, scope: scopes.count - 1, in: enclose(field, in: nil), depth: 1)
            case 8:
                hasOperators = true
                let set: ONNXOperatorSetIdProto = try decodeMessage(bytes, field.content, path: path)
                operatorSets[set.domain == "ai.onnx" ? "" : set.domain] = Int(clamping: set.version)
            case 25: try function(field)
            default: break
            }
        }
        guard graphs == 1 else { throw damaged("ONNX model", "a graph", "none") }
        guard hasOperators else { throw damaged("ONNX model", "operator sets after its graph", "none") }
    }

    private mutating func graph(
        _ range: Range<Int>, scope: Int, in enclosure: Int, depth: Int
    ) throws(ModelFileError) {
        guard depth <= Self.deepest else {
            throw damaged("ONNX graph", "at most \(Self.deepest) nested graphs", "more")
        }
        var fields = ProtobufFields(bytes, range, path: path)
        while let field = try fields.next() {
            guard field.isDelimited else { continue }
            switch field.number {
            case 1: try node(field, scope: scope, in: enclosure, depth: depth)
            case 5:
                let header: ONNXTensorProto = try decodeMessage(bytes, field.content, path: path)
                try tensor(
                    field, header, name: header.name, value: (scope, header.name), isInitializer: true, scope: scope,
                    in: enclosure)
                scopes[scope].defined.insert(header.name)
            case 11:
                let input: ONNXValueInfoProto = try decodeMessage(bytes, field.content, path: path)
                scopes[scope].defined.insert(input.name)
                scopes[scope].inputs.append(field.content)
            case 12: scopes[scope].outputs.append(field.content)
            case 13: scopes[scope].values.append(field.content)
            case 15: scopes[scope].sparse.append(field.content)
            default: break
            }
        }
    }

    private mutating func function(_ field: ProtobufFields.Field) throws(ModelFileError) {
        let message: ONNXFunctionProto = try decodeMessage(bytes, field.content, path: path)
        let label = message.domain.isEmpty ? message.name : "\(message.domain).\(message.name)"
        scopes.append(Scope(parent: nil, prefix: Self.label(label), defined: Set(message.input)))
        let scope = scopes.count - 1
        functions.append(Function(scope: scope, message: message))
        let enclosure = enclose(field, in: nil)
        var fields = ProtobufFields(bytes, field.content, path: path)
        while let inner = try fields.next() {
            if inner.number == 7, inner.isDelimited { try node(inner, scope: scope, in: enclosure, depth: 1) }
        }
    }

    private mutating func node(
        _ field: ProtobufFields.Field, scope: Int, in enclosure: Int, depth: Int
    ) throws(ModelFileError) {
        let message: ONNXNodeProto = try decodeMessage(bytes, field.content, path: path)
        scopes[scope].defined.formUnion(message.output)
        let index = nodes.count
        nodes.append(Node(scope: scope, message: message))
        let own = enclose(field, in: enclosure)
        var fields = ProtobufFields(bytes, field.content, path: path)
        while let inner = try fields.next() {
            if inner.number == 5, inner.isDelimited { try attribute(inner, of: index, in: own, depth: depth) }
        }
    }

    private mutating func attribute(
        _ field: ProtobufFields.Field, of node: Int, in enclosure: Int, depth: Int
    ) throws(ModelFileError) {
        let message: ONNXAttributeProto = try decodeMessage(bytes, field.content, path: path)
        if Self.readingAttributes.contains(message.name) {
            nodes[node].integers[message.name] = message.ints.isEmpty ? [message.i] : message.ints
        }
        let place = nodes[node].attributes.count
        nodes[node].attributes.append(Attribute(name: message.name, content: field.content))
        let scope = nodes[node].scope
        let operation = nodes[node].message
        let own = enclose(field, in: enclosure)
        let label = operation.name.isEmpty ? operation.output.first ?? operation.opType : operation.name
        var counts: [Int: Int] = [:]
        var fields = ProtobufFields(bytes, field.content, path: path)
        while let inner = try fields.next() {
            guard inner.isDelimited, [5, 6, 10, 11].contains(inner.number) else { continue }
            let position = counts[inner.number, default: 0]
            counts[inner.number] = position + 1
            guard position == 0 || inner.number > 6 else {
                throw damaged("ONNX attribute \(quoted(message.name))", "one value", "a second one")
            }
            let part = inner.number > 6 ? "\(message.name)[\(position)]" : message.name
            if inner.number == 6 || inner.number == 11 {
                let prefix = scopes[scope].prefix + Self.label(label) + Self.label(part)
                scopes.append(Scope(parent: scope, prefix: prefix))
                nodes[node].attributes[place].scopes.append(scopes.count - 1)
                try graph(inner.content, scope: scopes.count - 1, in: enclose(inner, in: own), depth: depth + 1)
                continue
            }
            let header: ONNXTensorProto = try decodeMessage(bytes, inner.content, path: path)
            nodes[node].attributes[place].tensors.append(tensors.count)
            if operation.opType == "Constant", nodes[node].isStandard, let output = operation.output.first {
                try tensor(inner, header, name: output, value: (scope, output), scope: scope, in: own)
            } else {
                try tensor(inner, header, name: "\(label)/\(part)", value: nil, scope: scope, in: own)
            }
        }
    }

    private mutating func tensor(
        _ field: ProtobufFields.Field, _ header: ONNXTensorProto, name: String, value: (scope: Int, name: String)?,
        isInitializer: Bool = false, scope: Int, in enclosure: Int
    ) throws(ModelFileError) {
        let unique = names.unique(scopes[scope].prefix + (name.isEmpty ? "unnamed" : name))
        // Deep graphs would otherwise make a small file's names take any amount of memory.
        nameBytes += unique.utf8.count
        guard nameBytes <= max(1 << 26, bytes.count) else {
            throw damaged("ONNX tensors", "names of at most \(max(1 << 26, bytes.count)) bytes", "more")
        }
        let own = enclose(field, in: enclosure)
        tensors.append(
            try ONNXTensor(
                bytes, field.content, header, name: unique, value: value, isInitializer: isInitializer, enclosure: own,
                path: path))
    }

    private mutating func enclose(_ field: ProtobufFields.Field, in parent: Int?) -> Int {
        enclosures.append(Enclosure(parent: parent, length: field.length, content: field.content))
        return enclosures.count - 1
    }

    /// A part of a prefix; of a long name the end, since exporters repeat the beginning.
    private static func label(_ name: String) -> String {
        name.utf8.count <= 128 ? name + "/" : "…\(String(name.unicodeScalars.suffix(30)))/"
    }

    private func damaged(_ part: String, _ expected: String, _ found: String) -> ModelFileError {
        .malformed(path: path, part: part, expected: expected, found: found)
    }
}
