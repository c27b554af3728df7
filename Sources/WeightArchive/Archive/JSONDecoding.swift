// How `Decodable` types read themselves from a `JSONValue`.

extension JSONValue: Decoder {
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object = self else { throw JSONFault("expected an object, found another value") }
        return KeyedDecodingContainer(JSONMembers<Key>(object: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let values) = self else {
            throw JSONFault("expected an array, found another value")
        }
        return JSONElements(values: values)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { JSONSingle(value: self) }

    /// The value of that name as one of a type, which reads itself unless it is a simple one.
    fileprivate func decode<T: Decodable>(_ type: T.Type, _ name: @autoclosure () -> String) throws -> T {
        do {
            return try decode(type)
        } catch let fault as JSONFault {
            throw fault.inside(name())
        }
    }

    fileprivate func decode<T: Decodable>(_ type: T.Type) throws -> T {
        var found: Any?
        switch (self, type) {
        case (.string(let text), is String.Type): found = text
        case (.integer(let number), is Int.Type): found = number
        case (.integer(let number), is Double.Type): found = Double(number)
        case (.number(let number), is Double.Type): found = number
        case (.bool(let flag), is Bool.Type): found = flag
        case (_, is String.Type), (_, is Int.Type), (_, is Double.Type), (_, is Bool.Type): break
        case (.integer(let number), let type as any FixedWidthInteger.Type): found = type.init(exactly: number)
        case (_, is any FixedWidthInteger.Type), (_, is Float.Type): break
        default: return try T(from: self)
        }
        guard let found = found as? T else { throw JSONFault("expected \(type), found another value") }
        return found
    }
}

private struct JSONMembers<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let object: JSONValue
    var codingPath: [any CodingKey] { [] }

    var allKeys: [Key] {
        guard case .object(let members) = object else { return [] }
        return members.compactMap { Key(stringValue: $0.name) }
    }

    func contains(_ key: Key) -> Bool {
        guard case .object(let members) = object else { return false }
        return members.contains { $0.name == key.stringValue }
    }

    func decodeNil(forKey key: Key) throws -> Bool { object.value(key.stringValue)?.isNull ?? true }

    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        try member(key).decode(type, key.stringValue)
    }

    func decodeIfPresent<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T? {
        guard let value = object.value(key.stringValue), !value.isNull else { return nil }
        return try value.decode(type, key.stringValue)
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
        -> KeyedDecodingContainer<Nested>
    { try member(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try member(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { object }
    func superDecoder(forKey key: Key) throws -> any Decoder { try member(key) }

    private func member(_ key: Key) throws -> JSONValue {
        guard let value = object.value(key.stringValue) else {
            throw JSONFault("expected \(key.stringValue), found none")
        }
        return value
    }
}

private struct JSONElements: UnkeyedDecodingContainer {
    let values: [JSONValue]
    var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex >= values.count }

    init(values: [JSONValue]) { self.values = values }

    private mutating func next() throws -> JSONValue {
        guard !isAtEnd else { throw JSONFault("expected more than \(values.count) values") }
        currentIndex += 1
        return values[currentIndex - 1]
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, values[currentIndex].isNull else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let value = try next()
        return try value.decode(type, "\(currentIndex - 1)")
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested>
    { try next().container(keyedBy: type) }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next().unkeyedContainer() }
    mutating func superDecoder() throws -> any Decoder { try next() }
}

private struct JSONSingle: SingleValueDecodingContainer {
    let value: JSONValue
    var codingPath: [any CodingKey] { [] }

    func decodeNil() -> Bool { value.isNull }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try value.decode(type) }
}
