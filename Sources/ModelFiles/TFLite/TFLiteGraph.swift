/// The tables of a model that say what its constants are and how they are used.
struct TFLiteGraph {
    /// The bytes of a constant, none for what is computed.
    struct Buffer {
        let offset: Int
        let length: Int
    }

    struct Tensor {
        let name: String
        let shape: [Int32]
        /// The schema's `TensorType`.
        let type: Int8
        /// Index of its buffer.
        let buffer: Int
        let isSparse: Bool
    }

    /// One use of tensors.
    struct Operator {
        /// The schema's `BuiltinOperator`.
        let code: Int32
        /// Indices of tensors, -1 for an optional one that is absent.
        let inputs: [Int32]
        let outputs: [Int32]
        /// Whether a batched matrix product takes its second factor transposed.
        let transposesSecond: Bool
    }

    struct Subgraph {
        let tensors: [Tensor]
        let operators: [Operator]
    }

    let buffers: [Buffer]
    let subgraphs: [Subgraph]

    init(_ reader: inout FlatBuffer) throws(ModelFileError) {
        let model = try reader.root()
        var codes: [Int32] = []
        for code in try reader.tables(1, of: model) {
            // The old field has 8 bits; numbers beyond it are in the new one alone.
            let old = Int32(try reader.integer(Int8.self, 0, of: code) ?? 0)
            codes.append(max(old, try reader.integer(Int32.self, 3, of: code) ?? 0))
        }
        var buffers: [Buffer] = []
        for buffer in try reader.tables(4, of: model) { buffers.append(try Self.buffer(buffer, &reader)) }
        self.buffers = buffers
        var subgraphs: [Subgraph] = []
        for subgraph in try reader.tables(2, of: model) {
            var tensors: [Tensor] = []
            for tensor in try reader.tables(0, of: subgraph) { tensors.append(try Self.tensor(tensor, &reader)) }
            var operators: [Operator] = []
            for entry in try reader.tables(3, of: subgraph) {
                operators.append(try Self.operation(entry, codes, &reader))
            }
            subgraphs.append(Subgraph(tensors: tensors, operators: operators))
        }
        self.subgraphs = subgraphs
    }

    private static func buffer(
        _ table: FlatBuffer.Table, _ reader: inout FlatBuffer
    ) throws(ModelFileError) -> Buffer {
        let data = try reader.vector(0, of: table, stride: 1)
        // Beyond 2 GB the bytes lie behind the FlatBuffer, counted from the file's start.
        let offset = try reader.integer(UInt64.self, 1, of: table) ?? 0
        guard data.count == 0, offset > 1 else { return Buffer(offset: data.start, length: data.count) }
        let length = try reader.integer(UInt64.self, 2, of: table) ?? 0
        return Buffer(offset: Int(clamping: offset), length: Int(clamping: length))
    }

    private static func tensor(
        _ table: FlatBuffer.Table, _ reader: inout FlatBuffer
    ) throws(ModelFileError) -> Tensor {
        Tensor(
            name: try reader.string(3, of: table), shape: try reader.integers(0, of: table),
            type: try reader.integer(Int8.self, 1, of: table) ?? 0,
            buffer: Int(try reader.integer(UInt32.self, 2, of: table) ?? 0),
            isSparse: try reader.table(6, of: table) != nil)
    }

    private static func operation(
        _ table: FlatBuffer.Table, _ codes: [Int32], _ reader: inout FlatBuffer
    ) throws(ModelFileError) -> Operator {
        let index = Int(try reader.integer(UInt32.self, 0, of: table) ?? 0)
        let code = codes.indices.contains(index) ? codes[index] : -1
        var transposesSecond = false
        if code == TFLiteReading.batchMatMul, let options = try reader.table(4, of: table) {
            transposesSecond = try reader.integer(UInt8.self, 1, of: options) ?? 0 != 0
        }
        return Operator(
            code: code, inputs: try reader.integers(1, of: table), outputs: try reader.integers(2, of: table),
            transposesSecond: transposesSecond)
    }
}
