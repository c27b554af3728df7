import FoundationEssentials

/// Text as HTML takes it, in an element or in an attribute with quotes; control characters are made visible.
func escaped(_ text: String) -> String {
    var result = ""
    for scalar in printable(text).unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "'": result += "&#39;"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// A value as JSON for a `script` element, which nothing in it can end.
func scriptJSON(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // By bytes: with an accent on it "<" is another Character.
    let bytes = try encoder.encode(value).flatMap { $0 == UInt8(ascii: "<") ? Array(#"\u003c"#.utf8) : [$0] }
    return String(decoding: bytes, as: UTF8.self)
}

/// A template whose `{{name}}` are replaced in one pass: what is put in may hold anything.
///
/// - Parameter value: what a name stands for.
func filled(_ template: String, _ value: (String) -> String) -> String {
    template.split(separator: "{{", omittingEmptySubsequences: false).enumerated().map { index, part in
        guard index > 0, let end = part.firstRange(of: "}}") else { return String(part) }
        return value(String(part[..<end.lowerBound])) + part[end.upperBound...]
    }.joined()
}

/// Bytes as base64, for `data:` addresses and texts.
func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

/// Levels 0...63 as one character each, a sixth of what JSON numbers take.
func digits64(_ levels: [Int]) -> String {
    String(decoding: levels.map { alphabet64[min(max($0, 0), 63)] }, as: UTF8.self)
}

private let alphabet64 = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_".utf8)

/// A length or place as an SVG attribute, in percent.
func percent(_ share: Double) -> String { fixed(share * 100, 2) + "%" }
