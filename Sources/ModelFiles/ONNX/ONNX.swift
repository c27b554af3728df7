/// A model as ONNX describes it: a protocol buffer, with or without external files.
///
/// Tensors are initializers, values of Constant nodes and tensors in other attributes, in the main graph, in nested ones and
/// in functions. Source: onnx-ml.proto and "IR.md" of onnx/onnx.
enum ONNX: ModelFormat {
    static let name = ModelFormatName.onnx
    static let spansFiles = true

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let (model, plain) = try file.withAllBytes {
            (bytes) throws(ModelFileError) -> (ModelFile?, (file: MappedFile, names: [String])?) in
            let graphs = try ONNXGraphs(bytes, path: file.path)
            let apart = graphs.tensors.filter(\.needsPlainForm).map(\.name)
            guard !apart.isEmpty else { return (try describe(graphs, bytes, of: file, originalSize: file.size), nil) }
            let plain = ONNXPlainForm(graphs, of: file, bytes)
            let mapped = try MappedFile.temporary(for: file) { (descriptor) throws(ModelFileError) in
                try plain.write(to: descriptor)
            }
            return (nil, (mapped, apart))
        }
        if let model { return model }
        guard let plain else { throw .noTensors(path: file.path) }
        return try plain.file.withAllBytes { (bytes) throws(ModelFileError) in
            try describe(
                try ONNXGraphs(bytes, path: file.path), bytes, of: plain.file, originalSize: file.size,
                notes: [note(on: plain.names)])
        }
    }

    /// Whether a tensor in an attribute is listed: shapes, axes and single numbers are structure, not weights.
    private static func isListed(_ tensor: ONNXTensor) -> Bool {
        tensor.isInitializer || tensor.count >= ONNXTensor.smallestPlain
            || tensor.dtype?.isPackableFloat == true && tensor.count > 1
    }

    private static func note(on names: [String]) -> String {
        let some = names.prefix(8).map(quoted).joined(separator: ", ")
        let rest = names.count > 8 ? " and \(names.count - 8) more" : ""
        return "\(some)\(rest) held as numbers: the restored model holds the same values as raw_data"
    }

    /// The records of all tensors whose bytes can be told.
    private static func describe(
        _ graphs: ONNXGraphs, _ bytes: UnsafeRawBufferPointer, of file: MappedFile, originalSize: Int,
        notes: [String] = []
    ) throws(ModelFileError) -> ModelFile {
        let readings = ONNXReadings(graphs, bytes, path: file.path)
        var external = ONNXExternalFiles(model: file.path)
        var records: [TensorRecord] = []
        var large = 0
        for tensor in graphs.tensors {
            let extent: Extent
            switch tensor.values {
            case .run(let range): extent = Extent(file: 0, offset: range.lowerBound, length: range.count)
            case .external(let location, let offset, let length):
                // Its file belongs to the model even if the tensor is not listed.
                extent = try external.extent(of: tensor, location: location, offset: offset, length: length)
            case .numbers:
                if tensor.count >= ONNXTensor.smallestPlain { large += 1 }
                continue
            case .absent: continue
            }
            guard let dtype = tensor.dtype, isListed(tensor) else { continue }
            if let expected = tensor.size, extent.length != expected {
                throw .invalidTensor(
                    path: file.path, tensor: tensor.name,
                    expected: "\(expected) bytes for \(described(dtype, tensor.shape))", found: "\(extent.length)")
            }
            let reading = try readings.reading(of: tensor)
            records.append(
                TensorRecord(
                    name: tensor.name, dtype: dtype, shape: tensor.shape, extent: extent,
                    memoryOrder: tensor.size == nil ? nil : Array(tensor.shape.indices),
                    kindHint: reading?.kind, conventionHint: reading?.convention))
        }
        guard !records.isEmpty else { throw .noTensors(path: file.path) }
        var notes = notes
        if large > 0 {
            notes.append(
                large == 1
                    ? "1 tensor of 1,024 elements or more is held as numbers and stays as it is"
                    : "\(large) tensors of 1,024 elements or more are held as numbers and stay as they are")
        }
        return ModelFile(
            format: name, path: file.path,
            files: [.init(name: fileName(file.path), file: file, originalSize: originalSize)] + external.sources,
            tensors: records, notes: notes)
    }
}
