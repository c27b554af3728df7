/// Reads little-endian fields out of bytes, each checked against the end.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    /// Offset of the next byte; never beyond the end.
    private(set) var offset: Int
    let path: String
    let part: String

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0, path: String, part: String) throws(ModelFileError) {
        self.bytes = bytes
        self.path = path
        self.part = part
        self.offset = 0
        try skip(offset)
    }

    var remaining: Int { bytes.count - offset }

    mutating func skip(_ count: Int) throws(ModelFileError) {
        guard count >= 0, count <= remaining else {
            throw .malformed(
                path: path, part: part, expected: "\(count) bytes at offset \(offset)",
                found: "\(remaining) up to the end: truncated")
        }
        offset += count
    }

    mutating func take(_ count: Int) throws(ModelFileError) -> UnsafeRawBufferPointer {
        let start = offset
        try skip(count)
        return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type) throws(ModelFileError) -> T {
        let start = offset
        try skip(MemoryLayout<T>.size)
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: T.self))
    }

    /// A 64-bit size or offset; one beyond Int's range cannot lie in any file.
    mutating func size() throws(ModelFileError) -> Int {
        let start = offset
        let value = try integer(UInt64.self)
        guard let size = Int(exactly: value) else {
            throw .malformed(
                path: path, part: part, expected: "a size below 2^63 at offset \(start)", found: "\(value)")
        }
        return size
    }
}

extension UnsafeRawBufferPointer {
    func starts(with signature: [UInt8], at offset: Int = 0) -> Bool {
        guard offset >= 0, signature.count <= count, offset <= count - signature.count else { return false }
        return self[offset..<(offset + signature.count)].elementsEqual(signature)
    }
}
