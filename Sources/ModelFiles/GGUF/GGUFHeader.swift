/// What a GGUF file says before its tensors' bytes: metadata and the tensors' places.
///
/// Source: `docs/gguf.md` in ggml-org/ggml.
struct GGUFHeader {
    /// The tensors in the file's order.
    let tensors: [TensorRecord]
    /// The number of files the model was split into, 1 when it was not.
    let splitCount: Int

    private static let part = "GGUF header"
    /// ggml's own limit on the dimensions of a tensor.
    private static let maximumRank = 4
    /// Arrays of arrays are allowed, and nobody writes them.
    private static let maximumNesting = 16

    /// Reads and checks the header.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - file: index for the extents.
    ///   - path: named in errors.
    init(_ bytes: UnsafeRawBufferPointer, file: Int, path: String) throws(ModelFileError) {
        var reader = try ByteReader(bytes, at: GGUF.signature.count, path: path, part: Self.part)
        let version = try reader.integer(UInt32.self)
        guard version & 0xffff != 0 else {
            throw .unsupported(
                path: path, found: "a big-endian GGUF model", advice: "convert it with gguf-py's gguf-convert-endian")
        }
        guard version == 2 || version == 3 else {
            throw .unsupported(path: path, found: "GGUF version \(version)", advice: "versions 2 and 3 are read")
        }
        let tensorCount = try reader.size()
        let metadataCount = try reader.size()
        let settings = try Settings(&reader, count: metadataCount)
        splitCount = settings.splitCount
        tensors = try Self.tensors(
            &reader, count: tensorCount, alignment: settings.alignment, fileSize: bytes.count, file: file)
    }

    /// The metadata that says where the tensors are.
    private struct Settings {
        var alignment = 32
        var splitCount = 1

        init(_ reader: inout ByteReader, count: Int) throws(ModelFileError) {
            // The key's length, its type and a value of a byte at least.
            guard count <= reader.remaining / 13 else {
                throw reader.problem(
                    expected: "metadata within \(reader.remaining) bytes", found: "\(count) entries")
            }
            var keys: Set<String> = []
            for _ in 0..<count {
                let key = try reader.string()
                guard keys.insert(key).inserted else {
                    throw reader.problem(expected: "distinct keys", found: "\(quoted(key)) twice")
                }
                let type = try reader.integer(UInt32.self)
                switch (key, type) {
                case ("general.alignment", 4):
                    alignment = Int(try reader.integer(UInt32.self))
                    guard alignment > 0, alignment & (alignment - 1) == 0 else {
                        throw reader.problem(expected: "an alignment that is a power of two", found: "\(alignment)")
                    }
                case ("general.alignment", _):
                    throw reader.problem(expected: "an alignment of type 4 (uint32)", found: "type \(type)")
                case ("split.count", 2):
                    splitCount = max(1, Int(try reader.integer(UInt16.self)))
                default:
                    try GGUFHeader.skipValue(&reader, type: type, nesting: 0)
                }
            }
        }
    }

    /// Bytes of a value by its type; 8 and 9 are strings and arrays.
    private static let valueSizes: [UInt32: Int] = [
        0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8,
    ]

    private static func skipValue(
        _ reader: inout ByteReader, type: UInt32, nesting: Int
    ) throws(ModelFileError) {
        if let size = valueSizes[type] { return try reader.skip(size) }
        if type == 8 { return try reader.skip(try reader.size()) }
        guard type == 9 else {
            throw reader.problem(expected: "a value type from 0 to 12", found: "\(type)")
        }
        guard nesting < maximumNesting else {
            throw reader.problem(expected: "at most \(maximumNesting) nested arrays", found: "more")
        }
        let element = try reader.integer(UInt32.self)
        let count = try reader.size()
        if let size = valueSizes[element] {
            let (length, overflow) = count.multipliedReportingOverflow(by: size)
            return try reader.skip(overflow ? .max : length)
        }
        // A string takes 8 bytes at least and an array 12.
        guard count <= reader.remaining / 8 else {
            throw reader.problem(expected: "an array within \(reader.remaining) bytes", found: "\(count) elements")
        }
        for _ in 0..<count { try skipValue(&reader, type: element, nesting: nesting + 1) }
    }

    private static func tensors(
        _ reader: inout ByteReader, count: Int, alignment: Int, fileSize: Int, file: Int
    ) throws(ModelFileError) -> [TensorRecord] {
        // The name's length, the number of dimensions, the type and the offset.
        guard count <= reader.remaining / 24 else {
            throw reader.problem(expected: "tensors within \(reader.remaining) bytes", found: "\(count)")
        }
        var infos: [(name: String, shape: [Int], type: GGMLType, offset: Int)] = []
        infos.reserveCapacity(count)
        var names: Set<String> = []
        for _ in 0..<count {
            let name = try reader.string()
            guard names.insert(name).inserted else {
                throw reader.problem(expected: "distinct names", found: "\(quoted(name)) twice")
            }
            let rank = Int(try reader.integer(UInt32.self))
            guard rank <= maximumRank else {
                throw ModelFileError.invalidTensor(
                    path: reader.path, tensor: name, expected: "at most \(maximumRank) dimensions", found: "\(rank)")
            }
            // The first size is that of the fastest dimension.
            var shape: [Int] = []
            for _ in 0..<rank { shape.insert(try reader.size(), at: 0) }
            let number = try reader.integer(UInt32.self)
            guard let type = GGMLType(number: number) else {
                throw ModelFileError.invalidTensor(
                    path: reader.path, tensor: name, expected: "a known type", found: "number \(number)")
            }
            infos.append((name, shape, type, try reader.size()))
        }
        let (padded, overflow) = reader.offset.addingReportingOverflow(alignment - 1)
        let start = padded & ~(alignment - 1)
        return try infos.map { (name, shape, type, offset) throws(ModelFileError) in
            guard let elements = elementCount(shape), elements == 0 || (shape.last ?? 1) % type.blockElements == 0,
                case let (length, isHuge) = (elements / type.blockElements).multipliedReportingOverflow(
                    by: type.blockBytes),
                !isHuge
            else {
                throw .invalidTensor(
                    path: reader.path, tensor: name,
                    expected: "rows of whole blocks of \(type.blockElements) elements",
                    found: described(type.dtype, shape))
            }
            guard offset % alignment == 0 else {
                throw .invalidTensor(
                    path: reader.path, tensor: name, expected: "an offset aligned to \(alignment) bytes",
                    found: "\(offset)")
            }
            guard !overflow, start <= fileSize, offset <= fileSize - start, length <= fileSize - start - offset else {
                throw .invalidTensor(
                    path: reader.path, tensor: name,
                    expected: "\(length) bytes for \(described(type.dtype, shape)) at offset \(offset) of the data",
                    found: "\(max(0, fileSize - start)) bytes of data: truncated")
            }
            return TensorRecord(
                name: name, dtype: type.dtype, shape: shape,
                extent: Extent(file: file, offset: start + offset, length: length),
                memoryOrder: Array(shape.indices), conventionHint: "pytorch")
        }
    }
}

extension ByteReader {
    /// A string behind its 64-bit length; what is not UTF-8 in it is replaced.
    fileprivate mutating func string() throws(ModelFileError) -> String {
        String(decoding: try take(try size()), as: UTF8.self)
    }

    fileprivate func problem(expected: String, found: String) -> ModelFileError {
        .malformed(path: path, part: "\(part) at byte \(offset)", expected: expected, found: found)
    }
}
