/// A TensorFlow Lite model: a FlatBuffer whose constant tensors lie in buffers.
///
/// Source: `tensorflow/compiler/mlir/lite/schema/schema.fbs` in TensorFlow.
enum TFLite: ModelFormat {
    static let name = ModelFormatName.tflite
    private static let identifier = Array("TFL3".utf8)

    static func recognizes(_ file: MappedFile) -> Bool {
        file.withAllBytes { $0.starts(with: identifier, at: 4) }
    }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            var reader = try FlatBuffer(bytes, path: file.path, part: "FlatBuffer")
            let graph = try TFLiteGraph(&reader)
            var tensors: [TensorRecord] = []
            var sparse: [String] = []
            var names = UniqueNames()
            for subgraph in graph.subgraphs {
                let readings = subgraph.readings
                for (index, tensor) in subgraph.tensors.enumerated() {
                    guard graph.buffers.indices.contains(tensor.buffer) else {
                        throw .invalidTensor(
                            path: file.path, tensor: tensor.name, expected: "one of \(graph.buffers.count) buffers",
                            found: "buffer \(tensor.buffer)")
                    }
                    let buffer = graph.buffers[tensor.buffer]
                    // What the network computes has an empty buffer, or none.
                    guard buffer.length > 0 else { continue }
                    // Subgraphs may repeat names.
                    let name = names.unique(tensor.name.isEmpty ? "tensor.\(index)" : tensor.name)
                    if tensor.isSparse {
                        sparse.append(name)
                        continue
                    }
                    tensors.append(
                        try record(tensor, name, buffer, readings[index], fileSize: bytes.count, path: file.path))
                }
            }
            guard !tensors.isEmpty else { throw .noTensors(path: file.path) }
            return ModelFile(
                format: Self.name, path: file.path, files: [.init(name: fileName(file.path), file: file)],
                tensors: tensors, notes: note(onSparse: sparse))
        }
    }

    /// One line, however many: a pruned network may have a hundred.
    private static func note(onSparse names: [String]) -> [String] {
        guard let first = names.first else { return [] }
        return names.count == 1
            ? ["tensor \(quoted(first)) is sparse and stays as it is"]
            : ["\(names.count) tensors are sparse and stay as they are, the first \(quoted(first))"]
    }

    private static func record(
        _ tensor: TFLiteGraph.Tensor, _ name: String, _ buffer: TFLiteGraph.Buffer, _ reading: TFLiteReading?,
        fileSize: Int, path: String
    ) throws(ModelFileError) -> TensorRecord {
        let dtype = types[tensor.type] ?? DType(rawValue: "TFLITE_\(tensor.type)")
        guard buffer.offset >= 0, buffer.offset <= fileSize, buffer.length <= fileSize - buffer.offset else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "a buffer within \(fileSize) bytes",
                found: "\(buffer.length) bytes at \(buffer.offset): truncated")
        }
        let shape = tensor.shape.map(Int.init)
        guard let count = elementCount(shape),
            dtype.bitWidth.map({ byteCount(count, bits: $0) == buffer.length }) ?? true
        else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "bytes for \(described(dtype, shape))",
                found: "\(buffer.length) bytes")
        }
        let fitting = reading.flatMap { $0.fits(shape) ? $0 : nil }
        return TensorRecord(
            name: name, dtype: dtype, shape: shape,
            extent: Extent(file: 0, offset: buffer.offset, length: buffer.length),
            memoryOrder: Array(shape.indices), kindHint: fitting?.kind, conventionHint: fitting?.convention)
    }

    /// The schema's `TensorType`, by safetensors' names where it has them; strings, resources and numbers of less than a
    /// byte have no width here, and stay as they are.
    private static let types: [Int8: DType] = [
        0: .f32, 1: .f16, 2: .i32, 3: .u8, 4: .i64, 5: DType(rawValue: "STRING"), 6: .bool, 7: .i16, 8: .c64, 9: .i8,
        10: .f64, 11: DType(rawValue: "C128"), 12: .u64, 15: .u32, 16: .u16, 17: DType(rawValue: "I4"), 18: .bf16,
    ]
}
