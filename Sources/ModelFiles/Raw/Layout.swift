import FoundationEssentials

/// A description of raw weights: which tensors lie in the file, and where.
///
/// A JSON object with the key `tensors`, or its array alone:
/// ```json
/// {"tensors": [
///     {"name": "conv1.weight", "dtype": "F32", "shape": [16, 3, 3, 3], "kind": "conv", "convention": "pytorch"},
///     {"name": "fc.weight", "shape": [10, 64], "kind": "fc", "offset": 1792}
/// ]}
/// ```
/// - `name`: required, unique.
/// - `shape`: required, outermost size first; `[]` is a scalar.
/// - `dtype`: a safetensors name; F32 when absent. Elements are little-endian.
/// - `kind`: `fc`, `conv`, `depthwise`, `lstm`, `gru` or `embedding`; told from name and shape when absent.
/// - `convention`: whose axis and gate order, `pytorch`, `onnx`, `keras` or `transposed` (PyTorch's ConvTranspose).
/// - `offset`: bytes from the start of the file; when absent, where the tensor before it ends.
///
/// Other keys are ignored. Bytes that no tensor covers stay as they are; tensors may share bytes.
struct Layout {
    let tensors: [TensorRecord]

    static let kinds = ["fc", "conv", "depthwise", "lstm", "gru", "embedding"]
    static let conventions = ["pytorch", "onnx", "keras", "transposed"]

    /// Reads a layout for a file of weights.
    ///
    /// - Parameters:
    ///   - path: the layout.
    ///   - weights: the file it describes.
    init(_ path: String, of weights: MappedFile) throws(ModelFileError) {
        let file = try MappedFile(path)
        guard file.size <= SafetensorsHeader.maximumLength else {
            throw .malformed(
                path: path, part: "layout", expected: "at most \(SafetensorsHeader.maximumLength) bytes",
                found: "\(file.size)")
        }
        let document: Document = try file.withAllBytes { (bytes) throws(ModelFileError) in
            let text = bytes.drop { $0 == 0x20 || (0x09...0x0d).contains($0) }
            return try decodeJSON(UnsafeRawBufferPointer(rebasing: text), path: path, part: "layout")
        }
        guard !document.tensors.isEmpty else { throw .noTensors(path: path) }
        var records: [TensorRecord] = []
        var names: Set<String> = []
        var position = 0
        for entry in document.tensors {
            func problem(expected: String, found: String) -> ModelFileError {
                .invalidTensor(path: path, tensor: entry.name, expected: expected, found: found)
            }
            guard names.insert(entry.name).inserted else {
                throw problem(expected: "a new name", found: "it a second time")
            }
            if let kind = entry.kind, !Self.kinds.contains(kind) {
                throw problem(expected: "kind \(Self.kinds.joined(separator: ", "))", found: quoted(kind))
            }
            if let convention = entry.convention, !Self.conventions.contains(convention) {
                throw problem(
                    expected: "convention \(Self.conventions.joined(separator: ", "))", found: quoted(convention))
            }
            let dtype = DType(rawValue: entry.dtype ?? DType.f32.rawValue)
            guard let bits = dtype.bitWidth else {
                throw problem(
                    expected: "a dtype as safetensors names it (F32, F16, BF16, I64…)", found: quoted(dtype.rawValue))
            }
            guard let count = elementCount(entry.shape), let length = byteCount(count, bits: bits) else {
                throw problem(
                    expected: "a shape of whole bytes that fit the file", found: described(dtype, entry.shape))
            }
            let offset = entry.offset ?? position
            guard offset >= 0, offset <= weights.size, length <= weights.size - offset else {
                throw problem(
                    expected: "at most \(weights.size) bytes in \(quoted(fileName(weights.path)))",
                    found: "\(described(dtype, entry.shape)) of \(length) bytes at offset \(offset)")
            }
            position = offset + length
            records.append(
                TensorRecord(
                    name: entry.name, dtype: dtype, shape: entry.shape,
                    extent: Extent(file: 0, offset: offset, length: length), memoryOrder: Array(entry.shape.indices),
                    kindHint: entry.kind, conventionHint: entry.convention))
        }
        tensors = records
    }

    private struct Document: Decodable {
        let tensors: [Entry]

        init(from decoder: any Decoder) throws {
            if (try? decoder.unkeyedContainer()) != nil {
                tensors = try [Entry](from: decoder)
            } else {
                tensors = try decoder.container(keyedBy: NameKey.self).decode([Entry].self, forKey: NameKey("tensors"))
            }
        }
    }

    private struct Entry: Decodable {
        let name: String
        let dtype: String?
        let shape: [Int]
        let kind: String?
        let convention: String?
        let offset: Int?
    }
}
