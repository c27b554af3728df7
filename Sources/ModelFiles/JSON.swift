import FoundationEssentials

/// A JSON object's key as it stands.
struct NameKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}

/// Decodes JSON out of a mapped file.
///
/// - Throws: ``ModelFileError/malformed(path:part:expected:found:)`` naming `part` for anything else than such JSON in UTF-8.
func decodeJSON<T: Decodable>(
    _ bytes: UnsafeRawBufferPointer, path: String, part: String
) throws(ModelFileError) -> T {
    guard bytes.first == UInt8(ascii: "{") || bytes.first == UInt8(ascii: "[") else {
        throw .malformed(path: path, part: part, expected: "JSON in UTF-8", found: "other bytes")
    }
    do throws(JSONFault) {
        try checkJSON(bytes)
    } catch {
        throw .malformed(path: path, part: part, expected: error.expected, found: error.found)
    }
    do {
        return try JSONDecoder().decode(T.self, from: Data(bytes))
    } catch let error as DecodingError {
        throw .malformed(path: path, part: part, expected: "JSON of the documented form", found: summary(of: error))
    } catch {
        throw .malformed(path: path, part: part, expected: "JSON", found: "\(error)")
    }
}

/// What is wrong with some JSON, and where.
package func summary(of error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
        .dataCorrupted(let context):
        let place = context.codingPath.map(\.stringValue).joined(separator: ".")
        return (place.isEmpty ? "" : "at \(quoted(place)) ") + context.debugDescription
    @unknown default:
        return "\(error)"
    }
}

/// Counts the keys of a valid JSON text's objects by nesting depth; the outermost object's keys are at depth 1.
///
/// Outside of strings a colon stands after each key and nowhere else.
func countKeys(_ json: UnsafeRawBufferPointer, depth maximum: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: maximum + 1)
    var depth = 0
    var inString = false
    var escaped = false
    for byte in json {
        if inString {
            if escaped {
                escaped = false
            } else if byte == UInt8(ascii: "\\") {
                escaped = true
            } else if byte == UInt8(ascii: "\"") {
                inString = false
            }
            continue
        }
        switch byte {
        case UInt8(ascii: "\""): inString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        case UInt8(ascii: ":") where depth <= maximum: counts[depth] += 1
        default: break
        }
    }
    return counts
}
