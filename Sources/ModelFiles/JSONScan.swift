/// Why a JSON text is not decoded.
package struct JSONFault: Error {
    /// What the text should have been.
    package let expected: String
    /// What it is.
    package let found: String
}

/// Checks a JSON text of a file that may be forged, before it is decoded.
///
/// JSONDecoder takes one of two equal keys, guesses UTF-16 from a byte order mark, and needs a hundred bytes or more for a value of
/// two. The rest of JSON's grammar is for it to check.
///
/// - Parameters:
///   - json: the text.
///   - mostItems: keys and values that it may have.
/// - Throws: `JSONFault` unless it is UTF-8 without a byte order mark, has no key twice in an object, and is within the limits.
/// - Complexity: linear in the text; 16 bytes of memory for each key of the objects around a place.
package func checkJSON(_ json: UnsafeRawBufferPointer, mostItems: Int = .max) throws(JSONFault) {
    guard !json.starts(with: [0xef, 0xbb, 0xbf]) else {
        throw JSONFault(expected: "UTF-8 without a byte order mark", found: "one")
    }
    guard !json.contains(0), (try? UTF8Span(validating: json.bindMemory(to: UInt8.self).span)) != nil else {
        throw JSONFault(expected: "JSON in UTF-8", found: "other bytes")
    }
    var scan = JSONScan(json, mostItems: mostItems)
    try scan.run()
}

/// One pass over a JSON text.
private struct JSONScan {
    /// Deepest nesting of arrays and objects.
    private static let deepest = 64

    private let json: UnsafeRawBufferPointer
    private let mostItems: Int
    private var at = 0
    private var items = 1
    /// The keys of the open objects, as hashes of their bytes without escapes, and where they begin in the text.
    ///
    /// Forged keys of equal hash are refused too, which harms nobody.
    private var keys: [(hash: UInt64, place: Int)] = []
    /// For each open object the number of keys before its own; for each open array -1.
    private var open: [Int] = []

    init(_ json: UnsafeRawBufferPointer, mostItems: Int) {
        self.json = json
        self.mostItems = mostItems
    }

    mutating func run() throws(JSONFault) {
        var expectsKey = false
        while at < json.count {
            let byte = json[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                if expectsKey {
                    let place = at
                    keys.append((passKey(), place))
                    expectsKey = false
                } else {
                    passString()
                }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                expectsKey = byte == UInt8(ascii: "{")
                open.append(expectsKey ? keys.count : -1)
                guard open.count <= Self.deepest else {
                    throw JSONFault(expected: "nesting of at most \(Self.deepest)", found: "deeper nesting")
                }
                try countItem()
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if let first = open.popLast(), first >= 0 { try close(from: first) }
                expectsKey = false
            case UInt8(ascii: ","):
                expectsKey = open.last ?? -1 >= 0
                try countItem()
            case UInt8(ascii: ":"):
                try countItem()
            default: break
            }
        }
    }

    /// Counts what follows a bracket, a comma or a colon.
    private mutating func countItem() throws(JSONFault) {
        items += 1
        guard items <= mostItems else {
            throw JSONFault(expected: "at most \(mostItems) keys and values", found: "more")
        }
    }

    /// Ends an object, whose keys must differ.
    private mutating func close(from first: Int) throws(JSONFault) {
        defer { keys.removeSubrange(first...) }
        let count = keys.count - first
        // Nearly all objects are small.
        if count <= 16 {
            for i in keys.indices[first...].dropFirst() {
                for j in first..<i where keys[i].hash == keys[j].hash { throw twice(keys[i].place) }
            }
        } else {
            keys[first...].sort { ($0.hash, $0.place) < ($1.hash, $1.place) }
            for i in keys.indices[first...].dropFirst() where keys[i].hash == keys[i - 1].hash {
                throw twice(keys[i].place)
            }
        }
    }

    private func twice(_ place: Int) -> JSONFault {
        let key = json[place...].prefix { $0 != UInt8(ascii: "\"") }
        return JSONFault(expected: "distinct keys", found: "\(quoted(String(decoding: key, as: UTF8.self))) twice")
    }

    /// Passes the rest of a string.
    private mutating func passString() {
        while at < json.count {
            let byte = json[at]
            at += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
    }

    /// Passes the rest of a key.
    ///
    /// - Returns: the FNV-1a hash of the bytes that it stands for.
    private mutating func passKey() -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        while at < json.count {
            let byte = json[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return hash
            case UInt8(ascii: "\\"):
                for byte in UTF8.encode(passEscape()) ?? UTF8.encodedReplacementCharacter { add(byte) }
            default: add(byte)
            }
        }
        return hash
    }

    /// Passes what follows a backslash.
    ///
    /// - Returns: the character that it stands for; for what JSON does not have, which the decoder refuses, another one.
    private mutating func passEscape() -> Unicode.Scalar {
        guard at < json.count else { return "\u{fffd}" }
        let byte = json[at]
        at += 1
        switch byte {
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let first = passUnit()
            guard UTF16.isLeadSurrogate(first), json[min(at, json.count)...].starts(with: [0x5c, 0x75]) else {
                return Unicode.Scalar(first) ?? "\u{fffd}"
            }
            at += 2
            let second = passUnit()
            let high = (UInt32(first) & 0x3ff) << 10
            return UTF16.isTrailSurrogate(second)
                ? Unicode.Scalar(0x1_0000 + high + (UInt32(second) & 0x3ff)) ?? "\u{fffd}" : "\u{fffd}"
        default: return Unicode.Scalar(byte)
        }
    }

    /// Passes four hexadecimal digits.
    private mutating func passUnit() -> UInt16 {
        let digits = json[at..<min(at + 4, json.count)]
        at += digits.count
        return UInt16(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0xfffd
    }
}
