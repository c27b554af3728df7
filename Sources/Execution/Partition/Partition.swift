import ModelFiles
import ModelGraph

/// A network divided into segments, each of layers that one run mode runs together.
///
/// Layers of a mode are gathered as far as what they take allows, so that values cross as few borders as a single pass finds.
public struct Partition: Sendable {
    /// Layers that are run as one network.
    public struct Segment: Sendable {
        public let mode: RunMode
        /// Places of its layers among those of the graph, in order.
        public let layers: [Int]
        /// Values that it takes from outside: inputs of the network, and what earlier segments give.
        public let inputs: [String]
        /// Values that later segments take or the network gives.
        public let outputs: [String]
        /// Weights that its layers take.
        public let weights: Set<String>
    }

    /// In the order in which they run.
    public let segments: [Segment]

    /// Divides a graph.
    ///
    /// - Parameter modes: for each layer of the graph, in its order. Complexity: linear in layers and values.
    public init(_ graph: Graph, modes: [RunMode]) {
        let givers = graph.layers.givers
        let reads = graph.layers.map(\.reads)
        var waits = [Int](repeating: 0, count: graph.layers.count)
        var followers = [[Int]](repeating: [], count: graph.layers.count)
        for (index, names) in reads.enumerated() {
            for giver in Set(names.compactMap { givers[$0] }) {
                followers[giver].append(index)
                waits[index] += 1
            }
        }
        var ready: [RunMode: [Int]] = [:]
        for index in graph.layers.indices where waits[index] == 0 { ready[modes[index], default: []].append(index) }
        var groups: [(mode: RunMode, layers: [Int])] = []
        // The mode whose first layer comes first: never the one before, which has none left.
        while let mode = ready.min(by: { ($0.value.min() ?? .max) < ($1.value.min() ?? .max) })?.key {
            var layers: [Int] = []
            while let next = ready[mode]?.popLast() {
                layers.append(next)
                for follower in followers[next] {
                    waits[follower] -= 1
                    if waits[follower] == 0 { ready[modes[follower], default: []].append(follower) }
                }
            }
            ready[mode] = nil
            groups.append((mode, layers.sorted()))
        }
        // The last group that takes each value, after all for what the network gives.
        var last: [String: Int] = [:]
        for (number, group) in groups.enumerated() {
            for name in group.layers.flatMap({ reads[$0] }) { last[name] = number }
        }
        for name in graph.outputs { last[name] = groups.count }
        segments = groups.enumerated().map { number, group in
            let given = group.layers.flatMap { graph.layers[$0].outputs }
            return Segment(
                graph, layers: group.layers, outputs: given.filter { (last[$0] ?? number) > number }, mode: group.mode)
        }
    }
}

extension Partition.Segment {
    /// - Parameters:
    ///   - layers: places of its layers among those of the graph, in order.
    ///   - outputs: values to give, each the output of one of these layers.
    init(_ graph: Graph, layers: [Int], outputs: [String], mode: RunMode) {
        let weights = Set(graph.weights.map(\.value))
        let own = Set(layers.flatMap { graph.layers[$0].outputs })
        var seen: Set<String> = []
        let taken = layers.flatMap { graph.layers[$0].reads }.filter { !own.contains($0) && seen.insert($0).inserted }
        self.mode = mode
        self.layers = layers
        self.inputs = taken.filter { !weights.contains($0) }
        self.outputs = outputs
        self.weights = Set(taken.filter(weights.contains))
    }
}
