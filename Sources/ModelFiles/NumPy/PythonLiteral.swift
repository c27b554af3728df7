/// A value of Python's literal syntax, as NumPy's headers have it; nothing is evaluated.
indirect enum PythonLiteral: Equatable {
    case none
    case bool(Bool)
    case int(Int)
    case string(String)
    /// A tuple or a list.
    case sequence([PythonLiteral])
    /// A dictionary in its order.
    case dictionary([Item])

    /// A key of a dictionary with its value.
    struct Item: Equatable {
        let key: PythonLiteral
        let value: PythonLiteral
    }

    /// Nesting that is followed: headers of structured types in structured types aside, four levels do.
    private static let maximumDepth = 32

    /// Parses text that holds one literal and white space.
    ///
    /// - Returns: nil for anything else, also for integers beyond 64 bits and expressions.
    static func parse(_ text: some Sequence<UInt8>) -> PythonLiteral? {
        var parser = Parser(bytes: Array(text))
        guard let value = parser.value(depth: 0) else { return nil }
        parser.skipSpace()
        return parser.isAtEnd ? value : nil
    }

    private struct Parser {
        let bytes: [UInt8]
        var offset = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { offset == bytes.count }

        mutating func skipSpace() {
            while offset < bytes.count, [0x20, 0x09, 0x0a, 0x0d, 0x0c].contains(bytes[offset]) { offset += 1 }
        }

        /// Skips a byte after white space when it is this one.
        mutating func skip(_ character: Character) -> Bool {
            skipSpace()
            guard offset < bytes.count, bytes[offset] == character.asciiValue else { return false }
            offset += 1
            return true
        }

        mutating func value(depth: Int) -> PythonLiteral? {
            guard depth < maximumDepth else { return nil }
            skipSpace()
            guard offset < bytes.count else { return nil }
            switch bytes[offset] {
            case UInt8(ascii: "{"): return dictionary(depth: depth)
            case UInt8(ascii: "("): return sequence("(", ")", depth: depth)
            case UInt8(ascii: "["): return sequence("[", "]", depth: depth)
            case UInt8(ascii: "'"), UInt8(ascii: "\""): return string()
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): return integer()
            default: return word()
            }
        }

        private mutating func dictionary(depth: Int) -> PythonLiteral? {
            guard skip("{") else { return nil }
            var items: [Item] = []
            while !skip("}") {
                guard items.isEmpty || skip(",") else { return nil }
                if skip("}") { break }
                guard let key = value(depth: depth + 1), skip(":"), let value = value(depth: depth + 1) else {
                    return nil
                }
                items.append(Item(key: key, value: value))
            }
            return .dictionary(items)
        }

        private mutating func sequence(_ open: Character, _ close: Character, depth: Int) -> PythonLiteral? {
            guard skip(open) else { return nil }
            var items: [PythonLiteral] = []
            var hasComma = false
            while !skip(close) {
                if !items.isEmpty {
                    guard skip(",") else { return nil }
                    hasComma = true
                    if skip(close) { break }
                }
                guard let item = value(depth: depth + 1) else { return nil }
                items.append(item)
            }
            // (3) is the number 3.
            return open == "(" && items.count == 1 && !hasComma ? items[0] : .sequence(items)
        }

        private mutating func string() -> PythonLiteral? {
            let quote = bytes[offset]
            offset += 1
            var content: [UInt8] = []
            while offset < bytes.count {
                let byte = bytes[offset]
                offset += 1
                if byte == quote { return String(validating: content, as: UTF8.self).map(PythonLiteral.string) }
                guard byte == UInt8(ascii: "\\") else {
                    content.append(byte)
                    continue
                }
                // Only names of fields could hold other escapes, and those are not read.
                guard offset < bytes.count, [quote, byte].contains(bytes[offset]) else { return nil }
                content.append(bytes[offset])
                offset += 1
            }
            return nil
        }

        private mutating func integer() -> PythonLiteral? {
            let start = offset
            if bytes[offset] == UInt8(ascii: "-") { offset += 1 }
            while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
            let value = Int(String(decoding: bytes[start..<offset], as: UTF8.self))
            // Python 2 marked its long integers.
            if offset < bytes.count, bytes[offset] == UInt8(ascii: "L") { offset += 1 }
            return value.map(PythonLiteral.int)
        }

        private mutating func word() -> PythonLiteral? {
            for (word, value) in [("True", PythonLiteral.bool(true)), ("False", .bool(false)), ("None", .none)]
            where bytes[offset...].starts(with: word.utf8) {
                offset += word.utf8.count
                return value
            }
            return nil
        }
    }
}
