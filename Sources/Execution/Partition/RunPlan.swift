import ModelFiles
import ModelGraph

/// How the layers of a network are run: all in one mode, or each in its own.
public enum RunPlan: Sendable {
    case all(RunMode)
    /// A mode for each layer of the main graph of a network whose shapes are inferred.
    case each(Network, [RunMode])

    /// What runs networks, and from where.
    public struct Means: Sendable {
        /// Targets by name.
        public var targets: [String: any ExecutionTarget]
        /// Gives weights for modes whose weights are packed.
        public var source: WeightSource?
        /// Threads that one run may use.
        public var threads: Int

        public init(targets: [String: any ExecutionTarget], source: WeightSource? = nil, threads: Int) {
            (self.targets, self.source, self.threads) = (targets, source, threads)
        }

        /// Makes a network ready that is run in one mode.
        func load(_ path: String, mode: RunMode) throws(ExecutionError) -> any LoadedNetwork {
            guard let target = targets[mode.target] else {
                throw .unknownTarget(mode.target, known: targets.keys.sorted())
            }
            if mode.weights == .packed, let source, let layerwise = target as? any LayerwiseTarget {
                return try layerwise.load(path, source: source, mode: mode, threads: threads)
            }
            return try target.load(path, weights: [:], mode: mode, threads: threads)
        }
    }

    /// The plan that a model itself holds; `nil` when it holds none.
    ///
    /// - Parameter path: an ONNX model.
    /// - Throws: `ExecutionError.model` for one that does not fit its network.
    public init?(heldBy path: String) throws(ExecutionError) {
        guard let map = try RunModeMap(of: path) else { return nil }
        let network = try Self.network(path)
        self = .each(network, try map.modes(of: network.graph, path: path))
    }

    /// The plan that a configuration makes: each layer goes to the first target that takes it, in its type and layout, and what none
    /// takes to the default target.
    ///
    /// - Parameters:
    ///   - configuration: of one or more targets.
    ///   - path: an ONNX model.
    ///   - weights: what weights lie in, for targets that can have it so.
    /// - Throws: `ExecutionError.model` when the network cannot be read, `.unknownTarget` and `.unknownMode` for targets that there are
    ///   not, and types and layouts that they do not have.
    public init(
        _ configuration: TargetConfiguration, of path: String, weights: RunMode.Weights
    ) throws(ExecutionError) {
        var configuration = configuration
        configuration.targets.append(.init(name: ExecutionTargets.all[0].name, operators: ["*"]))
        let modes = try configuration.targets.map { (target) throws(ExecutionError) in
            let usual = try ExecutionTargets.named(target.name).mode
            let (layout, type) = (target.layout ?? usual.layout, target.type ?? usual.type)
            return try RunMode(parsing: "\(target.name)/\(layout)/\(type)", preferring: weights)
        }
        let network = try Self.network(path)
        let subgraphs: [SubgraphOperator]
        do throws(GraphError) { subgraphs = try network.graph.subgraphs(configuration, source: path) } catch {
            throw .model(path: path, engine: "its configuration", reason: error.description)
        }
        var result = [RunMode?](repeating: nil, count: network.graph.layers.count)
        for subgraph in subgraphs {
            // A target may be there twice, in other modes.
            let place = configuration.targets.firstIndex {
                ($0.name, $0.layout, $0.type) == (subgraph.target, subgraph.layout, subgraph.type)
            }
            for layer in subgraph.layers { result[layer] = modes[place ?? 0] }
        }
        self = .each(network, result.compactMap(\.self))
    }

    /// The modes that it has.
    public var modes: Set<RunMode> {
        switch self {
        case .all(let mode): [mode]
        case .each(_, let modes): Set(modes)
        }
    }

    /// Makes a network ready to run, undivided where all layers have one mode.
    ///
    /// - Parameter path: an ONNX model, of whose network the plan is.
    /// - Throws: `ExecutionError.model` when it cannot be divided so, or a target refuses its segment, which it names.
    public func load(_ path: String, by means: Means) throws(ExecutionError) -> any LoadedNetwork {
        switch self {
        case .all(let mode): return try means.load(path, mode: mode)
        case .each(let network, let modes):
            if let mode = modes.first, modes.allSatisfy({ $0 == mode }) { return try means.load(path, mode: mode) }
            return try PartitionedNetwork(path, network, Partition(network.graph, modes: modes), means)
        }
    }

    /// The network of an ONNX model, its shapes inferred as far as they can be.
    ///
    /// - Throws: `ExecutionError.model`.
    public static func network(_ path: String) throws(ExecutionError) -> Network {
        do throws(GraphError) { return try Network.open(path) { _, _ in nil }.inferringShapes() } catch {
            throw .model(path: path, engine: "reading its graph", reason: error.description)
        }
    }
}
