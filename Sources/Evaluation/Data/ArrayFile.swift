import Execution
import ModelFiles
import WeightArchive

/// NumPy's arrays in a file: one (`.npy`), or several with names (`.npz`, compressed or not).
struct ArrayFile: Sendable {
    let path: String
    /// Whether it holds one array, which has no name.
    let isSingle: Bool
    private let model: ModelFile
    private let records: [String: TensorRecord]

    /// Opens a file that `recognizes` accepts.
    init(_ path: String) throws(DataError) {
        self.path = path
        model = try readingData { () throws(ModelFileError) in try ModelFiles.open(path) }
        guard model.format == .npy || model.format == .npz else {
            throw .file(
                path: path, part: "content", expected: "arrays, a picture or a sound", found: model.format.title)
        }
        isSingle = model.format == .npy
        records = Dictionary(model.tensors.map { ($0.name, $0) }) { first, _ in first }
    }

    /// The arrays' names, sorted.
    var names: [String] { records.keys.sorted() }

    /// Why an array that a file may hold is not read, as big-endian numbers and text are not; for messages.
    var notes: [String] { model.notes }

    /// An array's type and sizes.
    func header(_ name: String) -> (type: DType, shape: [Int])? { records[name].map { ($0.dtype, $0.shape) } }

    /// An array's name where there is only one.
    var only: String? { records.count == 1 ? records.keys.first : nil }

    /// A whole array.
    func value(_ name: String) throws(DataError) -> TensorValue {
        guard let record = records[name], let bytes = rowMajorBytes(of: record, in: model),
            let value = TensorValue(type: record.dtype, shape: record.shape, bytes: bytes)
        else { throw .file(path: path, part: "array \(quoted(name))", expected: "numbers", found: "another array") }
        return value
    }

    /// One row of an array along its first dimension, with a first size of 1; read from where it lies.
    ///
    /// - Returns: `nil` for an array whose rows are not in one piece.
    func row(_ index: Int, of name: String) -> TensorValue? {
        guard let record = records[name], let rows = record.shape.first, rows > 0, index < rows,
            record.memoryOrder == Array(record.shape.indices)
        else { return nil }
        let size = record.extent.length / rows
        let bytes = model.withBytes(
            of: Extent(file: record.extent.file, offset: record.extent.offset + index * size, length: size)
        ) { Array($0) }
        return TensorValue(type: record.dtype, shape: [1] + record.shape.dropFirst(), bytes: bytes)
    }
}

/// Some rows of a value along its first dimension.
extension TensorValue {
    func row(_ index: Int) -> TensorValue? {
        guard let rows = shape.first, rows > 0, index < rows else { return nil }
        let size = bytes.count / rows
        return TensorValue(
            type: type, shape: [1] + shape.dropFirst(), bytes: Array(bytes[index * size..<(index + 1) * size]))
    }
}
