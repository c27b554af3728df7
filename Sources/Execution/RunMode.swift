import ModelFiles

/// How a layer is run: what computes it, the layout and the type in which it does, and what its weights lie in meanwhile.
///
/// As text it is "native/NHWC/I8/packed"; the end may be left out where the target's first mode with that beginning is meant.
///
/// Source: the run modes of CN113743598B: a compute unit and a storage format.
public struct RunMode: Hashable, Sendable, CustomStringConvertible {
    /// What the weights of a layer lie in from one run to the next.
    public enum Weights: String, Hashable, Sendable, CaseIterable {
        /// Memory.
        case plain
        /// The packed file, from which they are decoded each time that the layer runs.
        case packed
    }

    /// The execution target, by its name.
    public var target: String
    /// The order of dimensions of pictures: "NCHW", "NHWC", or "blocked" where channels lie together in vectors of the processor.
    public var layout: String
    /// The type of the products of conv and FC layers: "F32" or "I8".
    public var type: String
    public var weights: Weights

    public init(_ target: String, layout: String = "NCHW", type: String = "F32", weights: Weights = .plain) {
        self.target = target
        self.layout = layout
        self.type = type
        self.weights = weights
    }

    public var description: String { [target, layout, type, weights.rawValue].joined(separator: "/") }

    /// The shortest text with the layout that means this mode, as "native/NHWC".
    public var shortText: String {
        let parts = description.split(separator: "/")
        let texts = (2...parts.count).map { parts.prefix($0).joined(separator: "/") }
        return texts.first { (try? RunMode(parsing: $0)) == self } ?? description
    }

    /// The modes of a target that begin with what a text says, in the target's order.
    ///
    /// - Throws: `ExecutionError.unknownTarget`, and `.unknownMode` when there is none.
    public static func all(beginning text: String) throws(ExecutionError) -> [RunMode] {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let target = try ExecutionTargets.named(String(parts.first ?? ""))
        let modes = target.modes.filter { mode in
            mode.description.split(separator: "/").starts(with: parts) { $0.lowercased() == $1.lowercased() }
        }
        guard !modes.isEmpty else { throw .unknownMode(text, known: target.modes) }
        return modes
    }

    /// The mode that a text means: the first of the target's that begins with what it says.
    ///
    /// - Parameter weights: those that are preferred where the text does not say any.
    /// - Throws: `ExecutionError.unknownTarget`, `.unknownMode`.
    public init(parsing text: String, preferring weights: Weights = .plain) throws(ExecutionError) {
        let modes = try Self.all(beginning: text)
        self = modes[0]
        self.weights = weights
        if !modes.contains(self) { self = modes[0] }
    }
}
