import FoundationEssentials
import ModelFiles

/// What execution targets take, and how operators fuse on each: the configuration that makes subgraph operators of a network.
///
/// Source: claim 1 of CN114186678B, whose configuration file gives each subgraph operator its attributes and its hardware type. The
/// JSON is specified in `docs/targets.md`.
public struct TargetConfiguration: Hashable, Sendable, Codable {
    /// Always "wcodec-targets".
    public var format = TargetConfiguration.formatName
    /// Version of the JSON, 1.
    public var version = 1
    /// The targets, in the order in which they are asked whether they take an operator.
    public var targets: [Target]

    static let formatName = "wcodec-targets"
    private static let largest = 1 << 24

    /// One target.
    public struct Target: Hashable, Sendable, Codable {
        /// As `--engine` calls it.
        public var name: String
        /// Types of operators that it takes; "*" stands for all.
        public var operators: [String]
        /// The type that it computes in; when left out, whichever it is told to.
        public var type: String?
        /// The order of dimensions that it keeps pictures in; when left out, whichever it is told to.
        public var layout: String?
        /// Chains of layers that it runs as one, those that are to be tried first in front.
        public var fusions: [Fusion]

        public init(
            name: String, operators: [String], type: String? = nil, layout: String? = nil, fusions: [Fusion] = []
        ) {
            self.name = name
            self.operators = operators
            self.type = type
            self.layout = layout
            self.fusions = fusions
        }

        /// Whether it takes operators of a type.
        public func takes(_ type: String) -> Bool { operators.contains(type) || operators.contains("*") }
    }

    /// A chain of layers, each taking what the one before gives to it alone.
    public struct Fusion: Hashable, Sendable, Codable {
        /// What the subgraph operator is called.
        public var name: String
        public var steps: [Step]

        public init(name: String, steps: [Step]) {
            self.name = name
            self.steps = steps
        }
    }

    /// A layer of a chain.
    public struct Step: Hashable, Sendable, Codable {
        /// Types of operators, of which it is one.
        public var types: [String]
        /// Whether it may be missing.
        public var optional: Bool?

        public init(_ types: [String], optional: Bool? = nil) {
            self.types = types
            self.optional = optional
        }
    }

    public init(targets: [Target]) { self.targets = targets }

    /// Reads a configuration.
    ///
    /// - Parameter source: as errors name it.
    /// - Throws: `GraphError.graph` for what is no configuration, and for chains without a beginning.
    public init(json: [UInt8], source: String) throws(GraphError) {
        do { self = try JSONDecoder().decode(TargetConfiguration.self, from: Data(json)) } catch {
            throw .graph(
                source: source, part: "configuration", expected: "the JSON of docs/targets.md", found: "other content")
        }
        guard format == Self.formatName, version == 1, !targets.isEmpty else {
            throw .graph(
                source: source, part: "configuration", expected: "\(Self.formatName) of version 1 with targets",
                found: "\(format) of version \(version) with \(targets.count)")
        }
        for fusion in targets.flatMap(\.fusions) {
            guard let first = fusion.steps.first, first.optional != true, fusion.steps.allSatisfy({ !$0.types.isEmpty })
            else {
                throw .graph(
                    source: source, part: "fusion \(quoted(fusion.name))",
                    expected: "steps of operators, the first not optional", found: "others")
            }
        }
    }

    /// Reads a configuration from a file.
    ///
    /// - Throws: `GraphError`, as ``init(json:source:)`` does and for a file that cannot be read.
    public init(path: String) throws(GraphError) {
        let file = try readingFile { () throws(ModelFileError) in try MappedFile(path) }
        guard file.size <= Self.largest else {
            throw .graph(
                source: path, part: "configuration", expected: "at most \(Self.largest) bytes", found: "\(file.size)")
        }
        try self.init(json: file.withAllBytes { Array($0) }, source: path)
    }

    /// The configuration as JSON.
    public func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return Array(try encoder.encode(self))
    }
}
