/// Writes ONNX models field by field, with whatever is to be wrong with them.
enum ONNXBytes {
    static func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f) | 0x80] + varint(value >> 7)
    }

    /// A field with a number.
    static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { varint(field << 3) + varint(value) }

    /// A field with a length: a message, text or bytes.
    static func field(_ field: UInt64, _ content: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(UInt64(content.count)) + content
    }

    static func text(_ field: UInt64, _ text: String) -> [UInt8] { self.field(field, Array(text.utf8)) }

    /// A float32 tensor of `dims` with further fields.
    static func tensor(_ name: String, _ dims: [UInt64], _ rest: [UInt8]) -> [UInt8] {
        dims.flatMap { number(1, $0) } + number(2, 1) + text(8, name) + rest
    }

    static func node(_ operation: String, _ inputs: [String], _ outputs: [String], _ rest: [UInt8] = []) -> [UInt8] {
        field(
            1,
            inputs.flatMap { text(1, $0) } + outputs.flatMap { text(2, $0) } + text(3, "n") + text(4, operation) + rest)
    }

    /// An attribute that is a number, or a list of numbers.
    static func attribute(_ name: String, _ value: Int64) -> [UInt8] {
        field(5, text(1, name) + number(3, UInt64(bitPattern: value)))
    }

    static func attribute(_ name: String, _ values: [Int64]) -> [UInt8] {
        field(5, text(1, name) + field(8, values.flatMap { varint(UInt64(bitPattern: $0)) }))
    }

    /// A model around the fields of a graph.
    static func model(graph: [UInt8]) -> [UInt8] { number(1, 8) + field(7, graph) + field(8, number(2, 17)) }

    /// A model with one float32 tensor "w" [4, 4] in an external file.
    static func model(external entries: [(String, String)]) -> [UInt8] {
        let data = entries.flatMap { field(13, text(1, $0.0) + text(2, $0.1)) }
        return model(graph: field(5, tensor("w", [4, 4], data + number(14, 1))))
    }

    /// A model with one float32 tensor "w" [4, 4] inside and further fields of its graph.
    static func model(beside rest: [UInt8]) -> [UInt8] {
        model(graph: rest + field(5, tensor("w", [4, 4], field(9, [UInt8](repeating: 1, count: 64)))))
    }
}
