import FoundationEssentials
import ModelFiles

/// The file form of the representation, as `docs/graph.md` specifies it.
///
/// Source: claim 5 of CN110058936B.
extension Network {
    /// Name and version of the form.
    static let jsonFormat = "wcodec-graph"
    static let jsonVersion = 1

    /// Largest text that is read.
    package static let largestJSON = 1 << 28

    /// The representation as JSON, keys sorted.
    public func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Scales and the like may be infinite in a file of strangers.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return Array(try encoder.encode(NetworkDocument(self))) + [UInt8(ascii: "\n")]
    }

    /// Reads what ``json()`` writes.
    ///
    /// - Parameters:
    ///   - bytes: the text, in UTF-8.
    ///   - source: as errors name it.
    /// - Throws: `GraphError` for other JSON, and for graphs that do not hold together.
    public init(json bytes: [UInt8], source: String) throws(GraphError) {
        guard bytes.count <= Self.largestJSON else {
            throw .graph(
                source: source, part: "graph", expected: "at most \(Self.largestJSON) bytes of JSON",
                found: "\(bytes.count)")
        }
        let document: NetworkDocument = try decoded(bytes, source: source, part: "graph")
        guard document.format == Self.jsonFormat, document.version == Self.jsonVersion else {
            throw .graph(
                source: source, part: "graph", expected: "format \(Self.jsonFormat), version \(Self.jsonVersion)",
                found: "\(document.format), version \(document.version)")
        }
        let network = try Network(
            name: document.name ?? "", source: source, operatorSets: document.operatorSets ?? [:],
            graph: document.graph, notes: document.notes ?? []
        ).checked()
        try document.graph.compare(with: network.graph, source: source)
        self = network
    }
}

extension Graph {
    /// Refuses neighbors that are not those which the values say.
    fileprivate func compare(with connected: Graph, source: String) throws(GraphError) {
        let known = Dictionary(connected.layers.map { ($0.identifier, $0) }) { first, _ in first }
        for layer in layers {
            guard let other = known[layer.identifier] else { continue }
            for (given, found, side) in [
                (layer.upstream, other.upstream, "upstream"), (layer.downstream, other.downstream, "downstream"),
            ] where !given.isEmpty && Set(given) != Set(found) {
                throw .node(
                    source: source, node: layer.identifier,
                    expected: "the layers \(side) that its values say: \(found.joined(separator: ", "))",
                    found: given.joined(separator: ", "))
            }
            for (name, graph) in layer.graphs {
                if let inner = other.graphs[name] { try graph.compare(with: inner, source: source) }
            }
        }
    }
}

/// Decodes JSON of a documented form.
///
/// - Throws: `GraphError.graph` that says where it is of another.
func decoded<T: Decodable>(_ bytes: [UInt8], source: String, part: String) throws(GraphError) -> T {
    do {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try decoder.decode(T.self, from: Data(bytes))
    } catch let error as DecodingError {
        throw .graph(source: source, part: part, expected: "JSON of the documented form", found: summary(of: error))
    } catch {
        throw .graph(source: source, part: part, expected: "JSON", found: "\(error)")
    }
}

private struct NetworkDocument: Codable {
    var format: String
    var version: Int
    var name: String?
    var operatorSets: [String: Int]?
    var notes: [String]?
    var graph: Graph

    init(_ network: Network) {
        format = Network.jsonFormat
        version = Network.jsonVersion
        name = network.name.isEmpty ? nil : network.name
        operatorSets = network.operatorSets
        notes = network.notes.isEmpty ? nil : network.notes
        graph = network.graph
    }
}

extension Graph: Codable {
    private enum CodingKeys: String, CodingKey {
        case inputs
        case outputs
        case weights
        case layers
        case values
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            inputs: try container.decode([String].self, forKey: .inputs),
            outputs: try container.decode([String].self, forKey: .outputs),
            weights: try container.decodeIfPresent([Weight].self, forKey: .weights) ?? [],
            layers: try container.decode([Layer].self, forKey: .layers),
            values: try container.decodeIfPresent([String: Value].self, forKey: .values) ?? [:])
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(inputs, forKey: .inputs)
        try container.encode(outputs, forKey: .outputs)
        if !weights.isEmpty { try container.encode(weights, forKey: .weights) }
        try container.encode(layers, forKey: .layers)
        try container.encode(values, forKey: .values)
    }
}

extension Layer: Codable {
    private enum CodingKeys: String, CodingKey {
        case identifier = "id"
        case type
        case domain
        case inputs
        case outputs
        case upstream
        case downstream
        case attributes
        case graphs
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            identifier: try container.decode(String.self, forKey: .identifier),
            type: try container.decode(String.self, forKey: .type),
            domain: try container.decodeIfPresent(String.self, forKey: .domain) ?? "",
            inputs: try container.decode([String].self, forKey: .inputs),
            outputs: try container.decode([String].self, forKey: .outputs),
            attributes: try container.decodeIfPresent([String: Attribute].self, forKey: .attributes) ?? [:],
            graphs: try container.decodeIfPresent([String: Graph].self, forKey: .graphs) ?? [:])
        upstream = try container.decodeIfPresent([String].self, forKey: .upstream) ?? []
        downstream = try container.decodeIfPresent([String].self, forKey: .downstream) ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(identifier, forKey: .identifier)
        try container.encode(type, forKey: .type)
        if !domain.isEmpty { try container.encode(domain, forKey: .domain) }
        try container.encode(inputs, forKey: .inputs)
        try container.encode(outputs, forKey: .outputs)
        try container.encode(upstream, forKey: .upstream)
        try container.encode(downstream, forKey: .downstream)
        if !attributes.isEmpty { try container.encode(attributes, forKey: .attributes) }
        if !graphs.isEmpty { try container.encode(graphs, forKey: .graphs) }
    }
}

extension Attribute: Codable {
    private enum CodingKeys: String, CodingKey {
        case integer
        case number
        case text
        case integers
        case numbers
        case texts
        case tensor
        case other
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard let key = container.allKeys.first, container.allKeys.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "expected one kind of attribute"))
        }
        self =
            switch key {
            case .integer: .integer(try container.decode(Int.self, forKey: key))
            case .number: .number(try container.decode(Double.self, forKey: key))
            case .text: .text(try container.decode(String.self, forKey: key))
            case .integers: .integers(try container.decode([Int].self, forKey: key))
            case .numbers: .numbers(try container.decode([Double].self, forKey: key))
            case .texts: .texts(try container.decode([String].self, forKey: key))
            case .tensor: .tensor(try container.decode(Value.self, forKey: key))
            case .other: .other(try container.decode(String.self, forKey: key))
            }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .integer(let value): try container.encode(value, forKey: .integer)
        case .number(let value): try container.encode(value, forKey: .number)
        case .text(let value): try container.encode(value, forKey: .text)
        case .integers(let value): try container.encode(value, forKey: .integers)
        case .numbers(let value): try container.encode(value, forKey: .numbers)
        case .texts(let value): try container.encode(value, forKey: .texts)
        case .tensor(let value): try container.encode(value, forKey: .tensor)
        case .other(let value): try container.encode(value, forKey: .other)
        }
    }
}

extension Dimension: Codable {
    /// A number, a name, or null.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .unknown
        } else if let size = try? container.decode(Int.self) {
            self = .size(size)
        } else {
            self = .symbol(try container.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .size(let size): try container.encode(size)
        case .symbol(let name): try container.encode(name)
        case .unknown: try container.encodeNil()
        }
    }
}
