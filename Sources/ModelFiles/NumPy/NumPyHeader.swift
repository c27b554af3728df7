/// The header of an array in NumPy's format, versions 1 to 3.
///
/// Source: NumPy's `numpy/lib/format.py`: magic, version, a length, and the literal of a dictionary with `descr`,
/// `fortran_order` and `shape`, padded with spaces to a line's end.
struct NumPyHeader {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// A structured type of thousands of fields stays below; NumPy itself refuses more than 10,000 bytes unasked.
    private static let maximumLength = 1 << 24

    /// The element type, or nil for one that stays as it is.
    let dtype: DType?
    /// The type as the file calls it.
    let typeName: String
    let shape: [Int]
    /// Whether the first index runs fastest.
    let isFortran: Bool
    /// Offset of the elements from the beginning of the array's file.
    let dataOffset: Int

    /// Reads the header of a whole `.npy` file.
    ///
    /// - Parameters:
    ///   - bytes: the file, or an archive's entry.
    ///   - path: for errors.
    ///   - part: what errors call it.
    init(_ bytes: UnsafeRawBufferPointer, path: String, part: String) throws(ModelFileError) {
        func malformed(_ expected: String, _ found: String) -> ModelFileError {
            .malformed(path: path, part: part, expected: expected, found: found)
        }
        guard bytes.starts(with: Self.magic) else { throw malformed("a NumPy array's signature", "other bytes") }
        var reader = try ByteReader(bytes, at: Self.magic.count, path: path, part: part)
        let version = try reader.integer(UInt8.self)
        try reader.skip(1)
        guard (1...3).contains(version) else { throw malformed("NumPy format version 1 to 3", "\(version)") }
        let length = version == 1 ? Int(try reader.integer(UInt16.self)) : Int(try reader.integer(UInt32.self))
        guard length <= Self.maximumLength else {
            throw malformed("a header of at most \(Self.maximumLength) bytes", "\(length)")
        }
        let text = try reader.take(length)
        guard case .dictionary(let fields) = PythonLiteral.parse(text) else {
            throw malformed("the literal of a dictionary", String(decoding: text.prefix(120), as: UTF8.self))
        }
        func field(_ name: String) throws(ModelFileError) -> PythonLiteral {
            let values = fields.filter { $0.key == .string(name) }
            guard let value = values.first?.value, values.count == 1 else {
                throw malformed("one field \(quoted(name))", "\(values.count)")
            }
            return value
        }
        guard case .bool(let isFortran) = try field("fortran_order") else {
            throw malformed("fortran_order True or False", "another value")
        }
        guard case .sequence(let sizes) = try field("shape") else {
            throw malformed("a tuple as shape", "another value")
        }
        var shape: [Int] = []
        for size in sizes {
            guard case .int(let size) = size, size >= 0 else { throw malformed("sizes as shape", "another value") }
            shape.append(size)
        }
        if case .string(let name) = try field("descr") {
            (dtype, typeName) = (Self.dtype(name), name)
        } else {
            (dtype, typeName) = (nil, "structured")
        }
        self.isFortran = isFortran
        self.shape = shape
        dataOffset = reader.offset
    }

    /// The type of a type string such as `<f4`; nil for big-endian numbers, text, objects and everything else.
    private static func dtype(_ name: String) -> DType? {
        let kinds = [
            "b1": DType.bool, "i1": .i8, "u1": .u8, "i2": .i16, "u2": .u16, "i4": .i32, "u4": .u32, "i8": .i64,
            "u8": .u64, "f2": .f16, "f4": .f32, "f8": .f64, "c8": .c64, "c16": DType(rawValue: "C128"),
        ]
        guard let order = name.first, let dtype = kinds[String(name.dropFirst())] else { return nil }
        return order == "<" || order == "|" || (order == ">" && dtype.bitWidth == 8) ? dtype : nil
    }

    /// The tensor that the header describes; nil for one of a type that stays as it is.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - content: the array's file, header included.
    func record(named name: String, in content: Extent, path: String) throws(ModelFileError) -> TensorRecord? {
        guard let dtype, let bits = dtype.bitWidth else { return nil }
        let size = elementCount(shape).flatMap { byteCount($0, bits: bits) }
        guard let size, size <= content.length - dataOffset else {
            throw .invalidTensor(
                path: path, tensor: name,
                expected: (size.map { "\($0) bytes" } ?? "bytes") + " for \(described(dtype, shape))",
                found: "\(content.length - dataOffset): truncated")
        }
        let order = Array(shape.indices)
        return TensorRecord(
            name: name, dtype: dtype, shape: shape,
            extent: Extent(file: content.file, offset: content.offset + dataOffset, length: size),
            memoryOrder: isFortran ? order.reversed() : order)
    }

    /// What a person is told about an array that stays as it is.
    func note(on name: String) -> String {
        "array \(quoted(name)) of type \(shown(typeName)) is not read and stays as it is"
    }
}
