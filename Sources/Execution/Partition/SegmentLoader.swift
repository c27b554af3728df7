import FoundationEssentials
import Glibc
import ModelFiles
import ModelGraph

/// Makes parts of a network ready to run, each from a file of its own that is gone afterwards: engines keep what they need of it.
final class SegmentLoader {
    private let path: String
    private let network: Network
    private let means: RunPlan.Means
    private let file: MappedFile
    private let folder: String

    /// - Parameters:
    ///   - path: an ONNX model.
    ///   - network: the same, its shapes inferred.
    /// - Throws: `ExecutionError.model` when no files can be made.
    init(_ path: String, _ network: Network, _ means: RunPlan.Means) throws(ExecutionError) {
        (self.path, self.network, self.means) = (path, network, means)
        do { file = try MappedFile(path) } catch { throw Self.failure(path, error.description) }
        folder = "\(FileManager.default.temporaryDirectory.path)/wcodec-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            try Self.linkExternalData(of: file, into: folder)
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw Self.failure(path, "\(error)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Makes a segment ready.
    ///
    /// - Throws: `ExecutionError.model` when its borders are of unknown types, or its target refuses it, with the node that it begins
    ///   with.
    func load(_ segment: Partition.Segment) throws(ExecutionError) -> any LoadedNetwork {
        let excerpt = ONNXExcerpt(
            nodes: Set(segment.layers.compactMap { network.graph.layers[$0].firstOutput }), weights: segment.weights,
            inputs: try ports(segment.inputs), outputs: try ports(segment.outputs))
        let part = "\(folder)/wcodec-segment.onnx"
        defer { unlink(part) }
        do { try excerpt.write(from: file, to: part) } catch { throw Self.failure(path, error.description) }
        do throws(ExecutionError) { return try means.load(part, mode: segment.mode) } catch {
            guard case .model(_, let engine, let reason) = error, let first = segment.layers.first else { throw error }
            let node = quoted(network.graph.layers[first].identifier)
            throw .model(path: path, engine: engine, reason: "\(reason) (in \(segment.mode) from node \(node) on)")
        }
    }

    private func ports(_ names: [String]) throws(ExecutionError) -> [ONNXExcerpt.Port] {
        var ports: [ONNXExcerpt.Port] = []
        for name in names {
            let value = network.graph.values[name]
            guard let type = value?.type, ONNXTensor.number(of: type) != nil else {
                throw Self.undivided(path, name, "whose type is not known")
            }
            ports.append(ONNXExcerpt.Port(name: name, type: type, shape: value?.shape?.map(\.size)))
        }
        return ports
    }

    /// The error for a value that cannot be handed from one segment to another.
    static func undivided(_ path: String, _ name: String, _ reason: String) -> ExecutionError {
        failure(path, "expected a value of known type between two run modes, found \(quoted(name)), \(reason)")
    }

    private static func failure(_ path: String, _ reason: String) -> ExecutionError {
        .model(path: path, engine: "dividing it", reason: reason)
    }

    /// Lays a model's external data beside its parts: the same bytes under a second name, or a copy on another disk.
    private static func linkExternalData(of model: MappedFile, into folder: String) throws {
        for source in try ONNXExternalFiles.sources(of: model) {
            let target = "\(folder)/\(source.name)"
            if let slash = target.lastIndex(of: "/") {
                try FileManager.default.createDirectory(
                    atPath: String(target[..<slash]), withIntermediateDirectories: true)
            }
            if link(source.file.path, target) != 0 {
                try FileManager.default.copyItem(atPath: source.file.path, toPath: target)
            }
        }
    }
}

extension Layer {
    /// The name of its first output that has one, which no other layer of the graph shares.
    var firstOutput: String? { outputs.first { !$0.isEmpty } }
}

extension RunPlan.Means {
    /// Makes some layers of a network ready to run by themselves.
    ///
    /// - Parameters:
    ///   - path: an ONNX model.
    ///   - network: the same, its shapes inferred.
    ///   - layers: places of layers of its main graph, in order.
    ///   - outputs: values to give, each the output of one of these layers.
    ///   - mode: how they are run.
    /// - Returns: a network whose inputs are what the layers take and neither give nor find among weights.
    /// - Throws: `ExecutionError.model`.
    public func load(
        _ path: String, _ network: Network, layers: [Int], outputs: [String], mode: RunMode
    ) throws(ExecutionError) -> any LoadedNetwork {
        let loader = try SegmentLoader(path, network, self)
        return try loader.load(Partition.Segment(network.graph, layers: layers, outputs: outputs, mode: mode))
    }
}
