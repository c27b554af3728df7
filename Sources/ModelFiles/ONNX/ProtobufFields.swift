import FoundationEssentials
import SwiftProtobuf

/// Walks the fields of one protocol buffer message where it lies, without reading what they hold.
///
/// Source: the "Encoding" chapter of the Protocol Buffers documentation.
package struct ProtobufFields {
    /// One field of a message.
    package struct Field {
        package let number: Int
        let wireType: UInt8
        /// The whole field, from its tag on.
        package let range: Range<Int>
        /// The length before the content; empty for the wire types that have none.
        let length: Range<Int>
        /// The content without tag and length.
        package let content: Range<Int>

        /// Whether the field has a length: messages, strings, bytes, packed numbers.
        package var isDelimited: Bool { wireType == 2 }
    }

    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private let end: Int
    /// Where the next field begins.
    private(set) var offset: Int

    /// Fields of the message that occupies `range` of `bytes`.
    package init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, path: String) {
        self.bytes = bytes
        self.path = path
        offset = range.lowerBound
        end = range.upperBound
    }

    /// The next field, or nil at the message's end.
    ///
    /// - Throws: ``ModelFileError/malformed(path:part:expected:found:)`` for what is no field or ends beyond the message.
    package mutating func next() throws(ModelFileError) -> Field? {
        guard offset < end else { return nil }
        let start = offset
        let (number, wireType) = try tag()
        switch wireType {
        case 2:
            let lengthStart = offset
            let length = try varint()
            let content = offset
            try skip(length, from: start)
            return Field(
                number: number, wireType: 2, range: start..<offset, length: lengthStart..<content,
                content: content..<offset)
        case 3:
            let content = offset
            let contentEnd = try skipGroup(number, from: start)
            return Field(
                number: number, wireType: 3, range: start..<offset, length: content..<content,
                content: content..<contentEnd)
        default:
            let content = offset
            try skipValue(wireType, from: start)
            return Field(
                number: number, wireType: wireType, range: start..<offset, length: content..<content,
                content: content..<offset)
        }
    }

    /// Reads a number of seven bits a byte.
    mutating func varint() throws(ModelFileError) -> UInt64 {
        let start = offset
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard offset < end else { throw damaged(start, "a number that ends within its message", "the end") }
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw damaged(start, "a number of at most 10 bytes", "a longer one")
    }

    private mutating func tag() throws(ModelFileError) -> (number: Int, wireType: UInt8) {
        let start = offset
        let tag = try varint()
        guard (1..<1 << 29).contains(tag >> 3) else { throw damaged(start, "a field number", "\(tag >> 3)") }
        return (Int(tag >> 3), UInt8(tag & 7))
    }

    private mutating func skip(_ length: UInt64, from start: Int) throws(ModelFileError) {
        guard length <= UInt64(end - offset) else {
            throw damaged(start, "a field of at most \(end - offset) bytes", "one of \(length)")
        }
        offset += Int(length)
    }

    private mutating func skipValue(_ wireType: UInt8, from start: Int) throws(ModelFileError) {
        switch wireType {
        case 0: _ = try varint()
        case 1: try skip(8, from: start)
        case 2: try skip(try varint(), from: start)
        case 5: try skip(4, from: start)
        default: throw damaged(start, "a wire type", "\(wireType)")
        }
    }

    /// Skips to the end of a group, whose nested groups are counted instead of descended into.
    ///
    /// - Returns: where its content ends.
    private mutating func skipGroup(_ number: Int, from start: Int) throws(ModelFileError) -> Int {
        var open = [number]
        while true {
            let contentEnd = offset
            guard offset < end else { throw damaged(start, "the end of group \(number)", "none") }
            let (inner, wireType) = try tag()
            switch wireType {
            case 3:
                guard open.count < 100 else { throw damaged(start, "at most 100 nested groups", "more") }
                open.append(inner)
            case 4:
                guard open.removeLast() == inner else {
                    throw damaged(contentEnd, "the end of the group that began", "that of group \(inner)")
                }
                if open.isEmpty { return contentEnd }
            default: try skipValue(wireType, from: contentEnd)
            }
        }
    }

    private func damaged(_ offset: Int, _ expected: String, _ found: String) -> ModelFileError {
        .malformed(path: path, part: "ONNX message at offset \(offset)", expected: expected, found: found)
    }
}

/// Decodes what the schema declares of the message at `range`; other fields are stepped over, not copied.
///
/// - Throws: ``ModelFileError/malformed(path:part:expected:found:)``.
package func decodeMessage<M: Message>(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, path: String
) throws(ModelFileError) -> M {
    guard let base = bytes.baseAddress, !range.isEmpty else { return M() }
    var options = BinaryDecodingOptions()
    options.discardUnknownFields = true
    // The decoder only reads, and is done with the bytes when it returns.
    let data = Data(
        bytesNoCopy: UnsafeMutableRawPointer(mutating: base + range.lowerBound), count: range.count, deallocator: .none)
    do {
        return try M(serializedBytes: data, options: options)
    } catch {
        throw .malformed(
            path: path, part: "ONNX message at offset \(range.lowerBound)", expected: "a \(M.protoMessageName)",
            found: "other bytes")
    }
}

/// Calls `body` with each number of a run of protocol buffer fields, packed or one a field, and the offset behind it.
package func forEachNumber(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, path: String,
    _ body: (UInt64, Int) throws(ModelFileError) -> Void
) throws(ModelFileError) {
    var fields = ProtobufFields(bytes, range, path: path)
    while let field = try fields.next() {
        var numbers = ProtobufFields(bytes, field.content, path: path)
        while numbers.offset < field.content.upperBound {
            let number = try numbers.varint()
            try body(number, numbers.offset)
        }
    }
}

/// The tag and the length of a field that has one.
func delimitedHeader(_ number: Int, length: Int) -> [UInt8] {
    varintBytes(UInt64(number << 3 | 2)) + varintBytes(UInt64(length))
}

/// A number of seven bits a byte, in as few bytes as it takes.
func varintBytes(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    return bytes + [UInt8(rest)]
}
