import CZip
import ModelFiles

/// A tensor's elements in row-major order, little-endian, whatever order the file has them in.
///
/// - Returns: `nil` where their places are not known.
package func rowMajorBytes(of record: TensorRecord, in model: ModelFile) -> [UInt8]? {
    guard let bytes = RowMajorBytes(model, record) else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    while result.count < bytes.count { result += bytes.piece(at: result.count) }
    return result
}

/// An array to write as NumPy has them.
package struct NamedArray: Sendable {
    package let name: String
    package let type: DType
    package let shape: [Int]
    /// Row-major, little-endian.
    package let bytes: [UInt8]

    package init(name: String, type: DType, shape: [Int], bytes: [UInt8]) {
        self.name = name
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    /// The file that NumPy would write; `nil` for a type that NumPy does not have.
    fileprivate var file: [UInt8]? {
        let extent = Extent(file: 0, offset: 0, length: bytes.count)
        let record = TensorRecord(name: name, dtype: type, shape: shape, extent: extent, memoryOrder: nil)
        guard NpyHeader.descriptor(of: type) != nil, NpyHeader.canHold(record) else { return nil }
        // A bfloat16 is the upper half of a float32.
        let elements =
            type == .bf16
            ? stride(from: 0, to: bytes.count, by: 2).flatMap { [0, 0, bytes[$0], bytes[$0 + 1]] } : bytes
        return NpyHeader.bytes(for: record) + elements
    }
}

/// Writes arrays as NumPy reads them: one alone (`.npy`), or several with their names (`.npz`).
///
/// - Parameters:
///   - arrays: what to write; one alone unless the path ends in `.npz`.
///   - path: the file, whose name's end says which of the two.
///   - force: whether a file of that name is replaced.
///   - inputs: files that the arrays come from, which are never replaced.
/// - Throws: `ArchiveError`.
package func writeArrays(
    _ arrays: [NamedArray], to path: String, force: Bool, inputs: [String]
) throws(ArchiveError) {
    func file(_ array: NamedArray) throws(ArchiveError) -> [UInt8] {
        guard let file = array.file else {
            throw .cannotWrite(path: path, reason: "NumPy cannot hold \(array.name) of type \(array.type)")
        }
        return file
    }
    guard path.hasSuffix(".npz") else {
        guard arrays.count == 1 else {
            throw .cannotWrite(path: path, reason: "expected a name with .npz for \(arrays.count) arrays")
        }
        return try writeAtomically(try file(arrays[0]), to: path, force: force, inputs: inputs)
    }
    let output = try AtomicFile(path, force: force, inputs: inputs)
    let zip = try ZipOutput(output)
    for array in arrays {
        let memory = Memory(try file(array))
        try zip.add("\(array.name).npy", of: memory) {
            zip_source_buffer($0, memory.bytes.baseAddress, UInt64(memory.bytes.count), 0)
        }
    }
    try zip.close()
    try output.commit()
}

/// Bytes that stay in their place while libzip may read them.
private final class Memory {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ content: [UInt8]) {
        bytes = .allocate(byteCount: content.count, alignment: 16)
        bytes.copyBytes(from: content)
    }

    deinit { bytes.deallocate() }
}
