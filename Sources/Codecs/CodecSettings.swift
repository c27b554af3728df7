/// The parameters given to a codec, checked against those it has.
struct CodecSettings: Sendable, Equatable {
    /// The codec's name.
    let codec: String
    private let parameters: [CodecParameter]
    private let given: [String: String]

    /// Checks `name=value` texts.
    ///
    /// - Throws: `CodecError.unknownParameter` or `.badValue`.
    init(codec: String, parameters: [CodecParameter], assignments: [Substring]) throws(CodecError) {
        self.codec = codec
        self.parameters = parameters
        var given: [String: String] = [:]
        for assignment in assignments {
            let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard let parameter = parameters.first(where: { $0.name == name }) else {
                throw .unknownParameter(codec: codec, parameter: name, known: parameters.map(\.name))
            }
            let value = try parameter.canonical(parts.count == 2 ? String(parts[1]) : "", codec: codec)
            guard given.updateValue(value, forKey: name) == nil else {
                throw .badValue(codec: codec, parameter: name, expected: "one value", found: "several")
            }
        }
        self.given = given
    }

    /// The name and what differs from the defaults, in the order in which the codec lists its parameters.
    var specification: String {
        let changed = parameters.compactMap { parameter in
            given[parameter.name].flatMap { $0 == parameter.defaultValue ? nil : "\(parameter.name)=\($0)" }
        }
        return changed.isEmpty ? codec : "\(codec):\(changed.joined(separator: ","))"
    }

    /// The value of a parameter or its default; nil when it has neither.
    func text(_ name: String) -> String? {
        given[name] ?? parameters.first { $0.name == name }?.defaultValue
    }

    func integer(_ name: String) -> Int? { text(name).flatMap { Int($0) } }

    func real(_ name: String) -> Double? { text(name).flatMap { Double($0) } }
}

extension CodecParameter {
    /// The value in the one spelling that specifications use.
    fileprivate func canonical(_ value: String, codec: String) throws(CodecError) -> String {
        switch values {
        case .integer(let range):
            if let number = Int(value), range.contains(number) { return String(number) }
        case .real(let range):
            if let number = Double(value), range.contains(number) { return String(number) }
        case .choice(let names):
            if names.contains(value) { return value }
        }
        throw .badValue(codec: codec, parameter: name, expected: "\(values)", found: value)
    }
}
