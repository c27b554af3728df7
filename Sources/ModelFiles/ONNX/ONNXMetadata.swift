import SwiftProtobuf

/// What an ONNX model says of itself in pairs of a key and a text (`metadata_props`).
package enum ONNXMetadata {
    /// Longest text that is read.
    private static let longest = 1 << 26

    /// The text of a key, the last where there are several; `nil` without one.
    ///
    /// - Throws: ``ModelFileError`` where the file breaks the rules of protocol buffers.
    package static func value(of key: String, in file: MappedFile) throws(ModelFileError) -> String? {
        var value: String?
        try forEachField(of: file, key) { value = $1 ?? value }
        return value
    }

    /// Writes a model with a text for a key, in the place of one that it had.
    ///
    /// - Parameters:
    ///   - file: an ONNX model, which stays as it is.
    ///   - path: of what is written, which must not exist; external data are looked for beside it.
    /// - Throws: ``ModelFileError`` for a damaged model, and when the file cannot be written.
    package static func write(
        _ value: String, for key: String, to file: MappedFile, as path: String
    ) throws(ModelFileError) {
        var pieces: [ModelPiece] = []
        try forEachField(of: file, key) { if $1 == nil { pieces.append(.range($0)) } }
        pieces.append(.bytes(field(value, for: key)))
        try writeModel(pieces, of: file, to: path)
    }

    /// Bytes at the end of a model that hold the text of a key; 0 when it has none.
    ///
    /// - Throws: ``ModelFileError`` where the text is not at the end.
    package static func lengthAtEnd(of key: String, in file: MappedFile) throws(ModelFileError) -> Int {
        var length = 0
        try forEachField(of: file, key) { (range, text) throws(ModelFileError) in
            guard text == nil else { return length += range.count }
            guard length == 0 else {
                throw .malformed(
                    path: file.path, part: "metadata", expected: "\(key) at the end", found: "other fields after it")
            }
        }
        return length
    }

    /// The field that holds a text, which makes a model with that text of one without when it follows.
    package static func field(_ value: String, for key: String) -> [UInt8] {
        var entry = ONNXStringStringEntryProto()
        (entry.key, entry.value) = (key, value)
        let bytes: [UInt8] = (try? entry.serializedBytes()) ?? []
        return delimitedHeader(ModelField.metadata, length: bytes.count) + bytes
    }

    /// Calls `body` with where each field of a model lies, and the text of the key in those that hold one.
    private static func forEachField(
        of file: MappedFile, _ key: String, _ body: (Range<Int>, String?) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            var fields = ProtobufFields(bytes, 0..<bytes.count, path: file.path)
            while let field = try fields.next() {
                var text: String?
                if field.number == ModelField.metadata, field.isDelimited, field.content.count <= longest {
                    let entry: ONNXStringStringEntryProto = try decodeMessage(bytes, field.content, path: file.path)
                    text = entry.key == key ? entry.value : nil
                }
                try body(field.range, text)
            }
        }
    }
}
