/// Reads tables of a FlatBuffer, each field checked against the end.
///
/// There is no Swift package of FlatBuffers to be had, and few fields are needed: a table begins with the signed distance
/// back to its vtable, which lists where in the table each field lies, 0 for an absent one; vectors and strings begin with
/// their length. Source: "FlatBuffer Internals" in the documentation of google/flatbuffers.
struct FlatBuffer {
    private let reader: ByteReader
    /// How many more bytes may be read: tables may be shared, but not so that what is read multiplies.
    private var bytesLeft: Int

    /// A table: the offset of its first byte, and where its fields lie.
    struct Table {
        fileprivate let start: Int
        fileprivate let vtable: Int
        fileprivate let vtableSize: Int
    }

    /// A vector: the offset of its first element and their number.
    struct Vector {
        let start: Int
        let count: Int
    }

    init(_ bytes: UnsafeRawBufferPointer, path: String, part: String) throws(ModelFileError) {
        reader = try ByteReader(bytes, path: path, part: part)
        let (limit, overflow) = bytes.count.multipliedReportingOverflow(by: 8)
        bytesLeft = overflow ? .max : limit + 1 << 16
    }

    /// The root table.
    mutating func root() throws(ModelFileError) -> Table {
        try table(at: Int(try integer(UInt32.self, at: 0)))
    }

    /// A number in a table, or nil when it is absent and so has its default.
    mutating func integer<T: FixedWidthInteger>(
        _ type: T.Type, _ field: Int, of table: Table
    ) throws(ModelFileError) -> T? {
        guard let offset = try offset(of: field, in: table) else { return nil }
        return try integer(type, at: offset)
    }

    /// A table that a table refers to.
    mutating func table(_ field: Int, of table: Table) throws(ModelFileError) -> Table? {
        guard let offset = try reference(field, of: table) else { return nil }
        return try self.table(at: offset)
    }

    /// A vector of elements of `stride` bytes; empty when absent.
    mutating func vector(_ field: Int, of table: Table, stride: Int) throws(ModelFileError) -> Vector {
        guard let offset = try reference(field, of: table) else { return Vector(start: 0, count: 0) }
        let count = Int(try integer(UInt32.self, at: offset))
        guard count <= (reader.bytes.count - offset - 4) / stride else {
            throw problem(at: offset, expected: "a vector within the file", found: "\(count) elements")
        }
        return Vector(start: offset + 4, count: count)
    }

    /// A vector of 32-bit numbers; empty when absent.
    mutating func integers(_ field: Int, of table: Table) throws(ModelFileError) -> [Int32] {
        let vector = try vector(field, of: table, stride: 4)
        var integers: [Int32] = []
        for index in 0..<vector.count { integers.append(try integer(Int32.self, at: vector.start + 4 * index)) }
        return integers
    }

    /// The tables of a vector; none when absent.
    mutating func tables(_ field: Int, of table: Table) throws(ModelFileError) -> [Table] {
        let vector = try vector(field, of: table, stride: 4)
        var tables: [Table] = []
        for index in 0..<vector.count {
            let place = vector.start + 4 * index
            tables.append(try self.table(at: place + Int(try integer(UInt32.self, at: place))))
        }
        return tables
    }

    /// A string, what is not UTF-8 in it replaced; empty when absent.
    mutating func string(_ field: Int, of table: Table) throws(ModelFileError) -> String {
        let vector = try vector(field, of: table, stride: 1)
        try spend(vector.count)
        return String(decoding: reader.bytes[vector.start..<(vector.start + vector.count)], as: UTF8.self)
    }

    private mutating func table(at start: Int) throws(ModelFileError) -> Table {
        // A distance of 32 bits from an offset below twice the largest 32-bit number: no overflow.
        let vtable = start - Int(try integer(Int32.self, at: start))
        let size = Int(try integer(UInt16.self, at: vtable))
        guard size >= 4, size <= reader.bytes.count - vtable else {
            throw problem(at: start, expected: "a table with a vtable", found: "one of \(size) bytes")
        }
        return Table(start: start, vtable: vtable, vtableSize: size)
    }

    private mutating func offset(of field: Int, in table: Table) throws(ModelFileError) -> Int? {
        let entry = 4 + 2 * field
        guard entry + 2 <= table.vtableSize else { return nil }
        let distance = Int(try integer(UInt16.self, at: table.vtable + entry))
        return distance == 0 ? nil : table.start + distance
    }

    private mutating func reference(_ field: Int, of table: Table) throws(ModelFileError) -> Int? {
        guard let offset = try offset(of: field, in: table) else { return nil }
        return offset + Int(try integer(UInt32.self, at: offset))
    }

    private mutating func integer<T: FixedWidthInteger>(_: T.Type, at offset: Int) throws(ModelFileError) -> T {
        try spend(MemoryLayout<T>.size)
        guard offset >= 0, offset <= reader.bytes.count - MemoryLayout<T>.size else {
            throw problem(
                at: offset, expected: "\(MemoryLayout<T>.size) bytes", found: "the end of the file: truncated")
        }
        return T(littleEndian: reader.bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    private mutating func spend(_ count: Int) throws(ModelFileError) {
        bytesLeft -= count
        guard bytesLeft >= 0 else {
            throw problem(at: 0, expected: "tables shared a few times over", found: "more than the file can hold")
        }
    }

    private func problem(at offset: Int, expected: String, found: String) -> ModelFileError {
        .malformed(path: reader.path, part: "\(reader.part) at byte \(offset)", expected: expected, found: found)
    }
}
