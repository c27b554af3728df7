/// The tensors of a checkpoint's pickle as records of where their bytes lie.
struct TorchTensors {
    /// In the pickle's order; none when it describes no tensor.
    let records: [TensorRecord]
    /// The storages that the tensors are views of, where they do not fill them.
    let storages: [TensorRecord]
    /// What could not be described and stays as it is.
    let notes: [String]

    /// Places every named tensor.
    ///
    /// - Parameters:
    ///   - root: the checkpoint.
    ///   - graph: what its pickle describes.
    ///   - storages: the bytes of each storage by its key.
    ///   - path: named in errors.
    init(
        _ root: PickleValue, in graph: PickleGraph, storages: [String: Extent], path: String
    ) throws(ModelFileError) {
        var records: [TensorRecord] = []
        var viewed = TorchStorages()
        var notes: [String] = []
        for named in try TensorNames.find(root, in: graph, path: path) {
            let tensor = graph.tensors[named.tensor]
            let storage = graph.storages[tensor.storage]
            guard let dtype = tensor.dtype ?? storage.dtype, let bits = dtype.bitWidth else {
                let type = tensor.dtype?.rawValue ?? storage.typeName
                notes.append("tensor \(quoted(named.name)) of type \(shown(type)) is not read and stays as it is")
                continue
            }
            guard let bytes = storages[storage.key] else {
                throw .invalidTensor(
                    path: path, tensor: named.name, expected: "storage \(quoted(storage.key)) in the file",
                    found: "none")
            }
            let extent = try Self.extent(
                of: tensor, named.name, elementSize: bits / 8, in: storage, bytes: bytes, path: path)
            let order = tensor.isDeferred ? nil : memoryOrder(shape: tensor.shape, strides: tensor.strides)
            let record = TensorRecord(
                name: named.name, dtype: dtype, shape: tensor.shape, extent: extent, memoryOrder: order,
                kindHint: named.kindHint, conventionHint: "pytorch",
                strides: order == nil && !tensor.isDeferred ? tensor.strides : nil)
            records.append(record)
            viewed.add(record, storage.key, bytes)
        }
        self.storages = viewed.records
        self.records = records
        self.notes = notes
    }

    /// The bytes from a tensor's first element to its last.
    private static func extent(
        of tensor: PickledTensor, _ name: String, elementSize: Int, in storage: PickledStorage, bytes: Extent,
        path: String
    ) throws(ModelFileError) -> Extent {
        let unit = (storage.dtype?.bitWidth ?? 8) / 8
        let (size, tooLarge) = storage.count.multipliedReportingOverflow(by: unit)
        guard !tooLarge, size <= bytes.length else {
            throw .invalidTensor(
                path: path, tensor: name,
                expected: "\(storage.count) elements of \(unit) bytes in storage \(quoted(storage.key))",
                found: "\(bytes.length) bytes: truncated")
        }
        // Within the storage's size, and so free of overflow.
        let window = storage.view.map { ($0.lowerBound * unit)..<($0.upperBound * unit) } ?? 0..<size
        guard let span = elementSpan(shape: tensor.shape, strides: tensor.strides), tensor.offset >= 0 else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "sizes, strides and offset within its storage",
                found: "shape \(tensor.shape), strides \(tensor.strides), offset \(tensor.offset)")
        }
        let (start, startOverflow) = tensor.offset.multipliedReportingOverflow(by: elementSize)
        let (length, lengthOverflow) = span.multipliedReportingOverflow(by: elementSize)
        // An empty tensor may point anywhere: it has no bytes.
        if span == 0 { return Extent(file: bytes.file, offset: bytes.offset, length: 0) }
        guard !startOverflow, !lengthOverflow, start <= window.count, length <= window.count - start else {
            throw .invalidTensor(
                path: path, tensor: name,
                expected: "at most \(window.count / elementSize) elements, as its storage \(quoted(storage.key)) has",
                found: "\(span) from element \(tensor.offset) on")
        }
        return Extent(file: bytes.file, offset: bytes.offset + window.lowerBound + start, length: length)
    }
}
