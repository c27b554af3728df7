/// A JSON text that was read: what `Decodable` types read themselves from.
///
/// Foundation's decoder needs an eighth of the time that decoding a small model takes, this one little more than half of that:
/// objects are short, so that a name is found by going through them.
enum JSONValue {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([(name: String, value: JSONValue)])

    /// Arrays and objects inside each other at most.
    fileprivate static let mostDepth = 128

    /// A text without anything before or behind it but white space.
    ///
    /// - Throws: `JSONFault` where it is no JSON.
    init(_ text: [UInt8]) throws(JSONFault) {
        var parser = JSONParser(text)
        self = try parser.value(depth: 0)
        try parser.end()
    }

    /// The value of a name; `nil` where there is none.
    func value(_ name: String) -> JSONValue? {
        guard case .object(let members) = self, let place = members.firstIndex(where: { $0.name == name }) else {
            return nil
        }
        return members[place].value
    }

    var isNull: Bool { if case .null = self { true } else { false } }
}

/// What is wrong with a JSON text, or missing in it.
struct JSONFault: Error, CustomStringConvertible {
    private let reason: String
    /// Names and numbers of the values that it lies in, outermost first.
    private var path: [String] = []

    init(_ reason: String) { self.reason = reason }

    var description: String { path.isEmpty ? reason : "\(path.joined(separator: ".")): \(reason)" }

    /// The same fault, found in a value of that name.
    func inside(_ name: String) -> JSONFault {
        var fault = self
        fault.path.insert(name, at: 0)
        return fault
    }
}

// MARK: - Reading

private struct JSONParser {
    private let text: [UInt8]
    private var place = 0

    init(_ text: [UInt8]) { self.text = text }

    private func fault(_ expected: String) -> JSONFault {
        JSONFault("expected \(expected) at byte \(place)")
    }

    private mutating func skipSpace() {
        while place < text.count {
            switch text[place] {
            case 0x20, 0x09, 0x0a, 0x0d: place += 1
            default: return
            }
        }
    }

    /// Goes past a character, and past white space before it, if it is the next one.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard place < text.count, text[place] == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    mutating func end() throws(JSONFault) {
        skipSpace()
        guard place == text.count else { throw fault("the end") }
    }

    mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
        guard depth < JSONValue.mostDepth else { throw fault("less than \(depth) values inside each other") }
        skipSpace()
        guard place < text.count else { throw fault("a value") }
        switch text[place] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        let end = place + word.utf8CodeUnitCount
        guard end <= text.count, word.withUTF8Buffer({ text[place..<end].elementsEqual($0) }) else {
            throw fault("a value")
        }
        place = end
        return value
    }

    private mutating func object(depth: Int) throws(JSONFault) -> JSONValue {
        place += 1
        var members: [(name: String, value: JSONValue)] = []
        guard !take("}") else { return .object([]) }
        repeat {
            skipSpace()
            guard place < text.count, text[place] == UInt8(ascii: "\"") else { throw fault("a name") }
            let name = try string()
            guard take(":") else { throw fault("':'") }
            members.append((name, try value(depth: depth + 1)))
        } while take(",")
        guard take("}") else { throw fault("',' or '}'") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONFault) -> JSONValue {
        place += 1
        var values: [JSONValue] = []
        guard !take("]") else { return .array([]) }
        repeat { values.append(try value(depth: depth + 1)) } while take(",")
        guard take("]") else { throw fault("',' or ']'") }
        return .array(values)
    }

    private mutating func string() throws(JSONFault) -> String {
        place += 1
        let start = place
        var isPlain = true
        while place < text.count, text[place] != UInt8(ascii: "\"") {
            guard text[place] >= 0x20 else { throw fault("no control character in a string") }
            if text[place] == UInt8(ascii: "\\") {
                isPlain = false
                place += 1
            }
            place += 1
        }
        guard place < text.count else { throw fault("the end of a string") }
        let bytes = text[start..<place]
        place += 1
        let read = isPlain ? String(validating: bytes, as: UTF8.self) : Self.unescaped(bytes)
        guard let read else { throw fault("a string of Unicode before") }
        return read
    }

    /// What escapes in a string stand for; `nil` where they stand for nothing.
    private static func unescaped(_ bytes: ArraySlice<UInt8>) -> String? {
        var units: [UInt8] = []
        var rest = bytes
        func unit() -> UInt16? {
            let digits = rest.prefix(4)
            rest = rest.dropFirst(4)
            guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
            return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        }
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else { units.append(byte); continue }
            switch rest.popFirst() {
            case UInt8(ascii: "\""): units.append(0x22)
            case UInt8(ascii: "\\"): units.append(0x5c)
            case UInt8(ascii: "/"): units.append(0x2f)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0c)
            case UInt8(ascii: "n"): units.append(0x0a)
            case UInt8(ascii: "r"): units.append(0x0d)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"):
                guard let first = unit() else { return nil }
                var code = [first]
                if UTF16.isLeadSurrogate(first) {
                    guard rest.starts(with: [0x5c, 0x75]) else { return nil }
                    rest = rest.dropFirst(2)
                    guard let second = unit() else { return nil }
                    code.append(second)
                }
                guard let text = String(validating: code, as: UTF16.self) else { return nil }
                units += text.utf8
            default: return nil
            }
        }
        return String(validating: units, as: UTF8.self)
    }

    private mutating func number() throws(JSONFault) -> JSONValue {
        let start = place
        func digits() -> Int {
            let first = place
            while place < text.count, (0x30...0x39).contains(text[place]) { place += 1 }
            return place - first
        }
        func next(_ characters: String) -> Bool {
            guard place < text.count, characters.utf8.contains(text[place]) else { return false }
            place += 1
            return true
        }
        let isNegative = next("-")
        let first = place
        let count = digits()
        guard count > 0, count == 1 || text[first] != 0x30 else { throw fault("a value") }
        let last = place
        var isWhole = true
        if next(".") {
            isWhole = false
            guard digits() > 0 else { throw fault("a digit") }
        }
        if next("eE") {
            isWhole = false
            _ = next("+-")
            guard digits() > 0 else { throw fault("a digit") }
        }
        if isWhole, count <= 18 {
            let value = text[first..<last].reduce(0) { 10 * $0 + Int($1 - 0x30) }
            return .integer(isNegative ? -value : value)
        }
        let spelled = String(decoding: text[start..<place], as: UTF8.self)
        if isWhole, let value = Int(spelled) { return .integer(value) }
        guard let value = Double(spelled), value.isFinite else { throw fault("a number that can be represented") }
        return .number(value)
    }
}
