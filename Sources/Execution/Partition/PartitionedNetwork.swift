import ModelFiles
import ModelGraph

/// A network whose layers are run in several modes: each segment is a network of its own, of the target of its mode.
final class PartitionedNetwork: LoadedNetwork {
    let inputs: [NetworkPort]
    let outputs: [NetworkPort]
    let loadTime: Duration
    private let path: String
    /// With the values that nothing needs after each.
    private let segments: [(segment: Partition.Segment, network: any LoadedNetwork, drops: [String])]

    /// - Throws: `ExecutionError.model` when the network cannot be divided so or a target refuses its segment, which it names.
    init(
        _ path: String, _ network: Network, _ partition: Partition, _ means: RunPlan.Means
    ) throws(ExecutionError) {
        let start = ContinuousClock.now
        self.path = path
        inputs = network.graph.inputs.map { NetworkPort($0, of: network.graph) }
        outputs = network.graph.outputs.map { NetworkPort($0, of: network.graph) }
        let given = Set(partition.segments.flatMap(\.outputs) + network.graph.inputs)
        if let constant = network.graph.outputs.first(where: { !given.contains($0) }) {
            throw SegmentLoader.undivided(path, constant, "which no layer gives")
        }
        let loader = try SegmentLoader(path, network, means)
        var last: [String: Int] = [:]
        for (number, segment) in partition.segments.enumerated() {
            for name in segment.inputs + segment.outputs { last[name] = number }
        }
        for name in network.graph.outputs { last[name] = nil }
        var loaded: [(Partition.Segment, any LoadedNetwork, [String])] = []
        for (number, segment) in partition.segments.enumerated() {
            let drops = last.filter { $0.value == number }.map(\.key)
            loaded.append((segment, try loader.load(segment), drops))
        }
        segments = loaded
        loadTime = .now - start
    }

    func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue] {
        try check(values, model: path)
        var values = values
        for (segment, network, drops) in segments {
            var given: [String: TensorValue] = [:]
            for name in segment.inputs { given[name] = values[name] }
            for name in drops where !segment.outputs.contains(name) { values[name] = nil }
            values.merge(try network.run(given)) { $1 }
        }
        return values.filter { name, _ in outputs.contains { $0.name == name } }
    }
}
