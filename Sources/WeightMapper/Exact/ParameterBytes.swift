// Whole numbers as stored parameters hold them: LEB128, seven bits a byte, the lowest first, the highest bit set in all but the last.

extension [UInt8] {
    /// Appends a number, 0 or more, in as many bytes as it needs.
    mutating func append(number: Int) {
        var rest = UInt64(number)
        while rest > 127 {
            append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        append(UInt8(rest))
    }
}

/// Reads stored parameters, which may be anybody's bytes, from the front.
struct ParameterReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Reads a number.
    ///
    /// - Throws: `MapperError.parameters` when it is not in `range`, named `what`, or bytes are missing.
    mutating func number(_ what: String, in range: ClosedRange<Int>) throws(MapperError) -> Int {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 56, by: 7) {
            let byte = try self.bytes(1)[0]
            value |= UInt64(byte & 127) << shift
            guard byte & 128 != 0 else {
                guard range.contains(Int(value)) else { throw Self.unexpected(what, range, "\(value)") }
                return Int(value)
            }
        }
        throw Self.unexpected(what, range, "more than 63 bits")
    }

    private static func unexpected(_ what: String, _ range: ClosedRange<Int>, _ found: String) -> MapperError {
        .parameters(expected: "\(what) from \(range.lowerBound) to \(range.upperBound)", found: found)
    }

    /// Reads `count` bytes.
    ///
    /// - Throws: `MapperError.parameters` when fewer are left.
    mutating func bytes(_ count: Int) throws(MapperError) -> [UInt8] {
        guard count <= bytes.count - position else {
            throw .parameters(expected: "\(count) more bytes", found: "\(bytes.count - position)")
        }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// Checks that nothing is left.
    ///
    /// - Throws: `MapperError.parameters` when bytes are left.
    func end() throws(MapperError) {
        guard position == bytes.count else {
            throw .parameters(expected: "\(position) bytes", found: "\(bytes.count)")
        }
    }
}
