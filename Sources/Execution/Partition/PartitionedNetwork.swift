import FoundationEssentials
import Glibc
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
        func port(_ name: String) -> NetworkPort {
            NetworkPort(name: name, type: network.graph.values[name]?.type, shape: network.graph.values[name]?.shape)
        }
        inputs = network.graph.inputs.map(port)
        outputs = network.graph.outputs.map(port)
        let given = Set(partition.segments.flatMap(\.outputs) + network.graph.inputs)
        if let constant = network.graph.outputs.first(where: { !given.contains($0) }) {
            throw Self.undivided(path, constant, "which no layer gives")
        }
        let file: MappedFile
        do { file = try MappedFile(path) } catch { throw Self.failure(path, error) }
        let folder = try SegmentFolder(for: file)
        // Engines keep what they need of files that they have opened.
        defer { folder.remove() }
        var last: [String: Int] = [:]
        for (number, segment) in partition.segments.enumerated() {
            for name in segment.inputs + segment.outputs { last[name] = number }
        }
        for name in network.graph.outputs { last[name] = nil }
        var loaded: [(Partition.Segment, any LoadedNetwork, [String])] = []
        for (number, segment) in partition.segments.enumerated() {
            let segmentPath = folder.path("wcodec-segment-\(number).onnx")
            let excerpt = ONNXExcerpt(
                nodes: Set(segment.layers.compactMap { network.graph.layers[$0].firstOutput }),
                weights: segment.weights,
                inputs: try Self.ports(segment.inputs, network, path),
                outputs: try Self.ports(segment.outputs, network, path))
            do { try excerpt.write(from: file, to: segmentPath) } catch { throw Self.failure(path, error) }
            do throws(ExecutionError) {
                let drops = last.filter { $0.value == number }.map(\.key)
                loaded.append((segment, try means.load(segmentPath, mode: segment.mode), drops))
            } catch {
                throw Self.named(error, path, segment, network)
            }
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

    private static func ports(
        _ names: [String], _ network: Network, _ path: String
    ) throws(ExecutionError) -> [ONNXExcerpt.Port] {
        var ports: [ONNXExcerpt.Port] = []
        for name in names {
            let value = network.graph.values[name]
            guard let type = value?.type, ONNXTensor.number(of: type) != nil else {
                throw undivided(path, name, "whose type is not known")
            }
            ports.append(ONNXExcerpt.Port(name: name, type: type, shape: value?.shape?.map(\.size)))
        }
        return ports
    }

    private static func undivided(_ path: String, _ name: String, _ reason: String) -> ExecutionError {
        .model(
            path: path, engine: "dividing it",
            reason: "expected a value of known type between two run modes, found \(quoted(name)), \(reason)")
    }

    private static func failure(_ path: String, _ error: ModelFileError) -> ExecutionError {
        .model(path: path, engine: "dividing it", reason: error.description)
    }

    /// A segment's error as one of the network, which says where the segment begins.
    private static func named(
        _ error: ExecutionError, _ path: String, _ segment: Partition.Segment, _ network: Network
    ) -> ExecutionError {
        guard case .model(_, let engine, let reason) = error, let first = segment.layers.first else { return error }
        return .model(
            path: path, engine: engine,
            reason:
                "\(reason) (the segment of \(segment.mode) from node \(quoted(network.graph.layers[first].identifier)))"
        )
    }
}

extension Layer {
    /// The name of its first output that has one, which no other layer of the graph shares.
    var firstOutput: String? { outputs.first { !$0.isEmpty } }
}

/// A folder for the files of segments, beside which a model's external data lie.
private struct SegmentFolder {
    private let folder: String

    /// - Throws: `ExecutionError.model` when it cannot be made.
    init(for model: MappedFile) throws(ExecutionError) {
        let parent = FileManager.default.temporaryDirectory.path
        folder = "\(parent)/wcodec-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            let isExternal = try model.withAllBytes { (bytes) throws(ModelFileError) in
                try ONNXGraphs(bytes, path: model.path).tensors.contains {
                    if case .external = $0.values { true } else { false }
                }
            }
            guard isExternal else { return }
            for source in try ModelFiles.open(model.path).files.dropFirst() {
                let target = path(source.name)
                if let slash = source.name.lastIndex(of: "/") {
                    try FileManager.default.createDirectory(
                        atPath: path(String(source.name[..<slash])), withIntermediateDirectories: true)
                }
                // The same bytes under a second name, or a copy on another disk.
                if link(source.file.path, target) != 0 {
                    try FileManager.default.copyItem(atPath: source.file.path, toPath: target)
                }
            }
        } catch {
            remove()
            throw .model(path: model.path, engine: "dividing it", reason: "\(error)")
        }
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
