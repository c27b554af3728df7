import ModelFiles

/// What is wrong with a graph or what was asked of it: one line that names the file and the node, what was expected and found.
public enum GraphError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A node of the graph breaks a rule.
    case node(source: String, node: String, expected: String, found: String)
    /// The graph, or a part of the file that is no node, breaks a rule.
    case graph(source: String, part: String, expected: String, found: String)
    /// The model file itself cannot be read.
    case file(ModelFileError)
    /// An option does not fit the network.
    case option(String, expected: String, found: String)
    /// The application, command or device list that was asked did not answer as it should.
    case request(String, expected: String, found: String)

    public var description: String {
        switch self {
        case .node(let source, let node, let expected, let found):
            "\(shown(source)): node \(quoted(node)): expected \(shown(expected)), found \(shown(found))"
        case .graph(let source, let part, let expected, let found):
            "\(shown(source)): \(part): expected \(shown(expected)), found \(shown(found))"
        case .file(let error): error.description
        case .option(let option, let expected, let found):
            "\(shown(option)): expected \(shown(expected)), found \(shown(found))"
        case .request(let source, let expected, let found):
            "\(shown(source)): expected \(shown(expected)), found \(shown(found))"
        }
    }

    public static func == (a: GraphError, b: GraphError) -> Bool { a.description == b.description }

    public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}

/// Runs what reads a model file, so that its errors are errors of the graph.
func readingFile<Result>(_ body: () throws(ModelFileError) -> Result) throws(GraphError) -> Result {
    do { return try body() } catch { throw .file(error) }
}
