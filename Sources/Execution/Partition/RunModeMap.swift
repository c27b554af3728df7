import FoundationEssentials
import ModelFiles
import ModelGraph

/// Which run mode each layer of a network has, as a model file holds it.
///
/// An ONNX model has it in its metadata under ``key``, as the JSON that docs/targets.md describes; everything else that reads the model
/// passes over it. Source: claim 5 of CN113743598B, whose network model file holds the network and the map from layer to run mode.
public struct RunModeMap: Hashable, Sendable {
    /// What the model's metadata call it.
    public static let key = "wcodec.run-modes"

    /// The modes of layers, each by the name of its first output.
    public let modes: [String: RunMode]

    /// - Parameters:
    ///   - graph: a network's main graph.
    ///   - modes: for each of its layers.
    public init(_ graph: Graph, _ modes: [RunMode]) {
        var map: [String: RunMode] = [:]
        for (layer, mode) in zip(graph.layers, modes) {
            if let output = layer.firstOutput { map[output] = mode }
        }
        self.modes = map
    }

    /// The map that a model holds; `nil` when it holds none.
    ///
    /// - Throws: `ExecutionError.model` for one that cannot be read, or names modes that no target has.
    public init?(of path: String) throws(ExecutionError) {
        let text: String?
        do throws(ModelFileError) { text = try ONNXMetadata.value(of: Self.key, in: try MappedFile(path)) } catch {
            throw .model(path: path, engine: "reading its run modes", reason: error.description)
        }
        guard let text else { return nil }
        guard let content = try? JSONDecoder().decode(Content.self, from: Data(text.utf8)),
            content.format == Content.name,
            content.version == 1, content.layers.values.allSatisfy(content.modes.indices.contains)
        else {
            throw .model(
                path: path, engine: "reading its run modes",
                reason: "expected the JSON of docs/targets.md, found other text")
        }
        var known: [RunMode] = []
        for mode in content.modes { known.append(try RunMode(parsing: mode)) }
        modes = content.layers.mapValues { known[$0] }
    }

    /// Writes a model that holds this map, in the place of one that it held.
    ///
    /// - Parameters:
    ///   - path: an ONNX model, which stays as it is.
    ///   - target: of what is written, which must not exist; external data are looked for beside it.
    /// - Throws: `ExecutionError.model`.
    public func write(_ path: String, to target: String) throws(ExecutionError) {
        do throws(ModelFileError) {
            try ONNXMetadata.write(text, for: Self.key, to: try MappedFile(path), as: target)
        } catch {
            throw .model(path: path, engine: "writing its run modes", reason: error.description)
        }
    }

    /// What takes the place of the end of a model file for it to hold this map.
    ///
    /// - Parameter path: an ONNX model, in which the bytes of weights count for nothing.
    /// - Returns: bytes to take away at its end, and those to put there.
    /// - Throws: `ExecutionError.model` for a model that holds a map elsewhere.
    public func ending(of path: String) throws(ExecutionError) -> (removed: Int, added: [UInt8]) {
        do throws(ModelFileError) {
            let length = try ONNXMetadata.lengthAtEnd(of: Self.key, in: try MappedFile(path))
            return (length, ONNXMetadata.field(text, for: Self.key))
        } catch {
            throw .model(path: path, engine: "writing its run modes", reason: error.description)
        }
    }

    /// The map as JSON: modes, and for each layer which of them it has.
    public var text: String {
        let known = Set(modes.values.map(\.description)).sorted()
        let places = Dictionary(uniqueKeysWithValues: known.enumerated().map { ($1, $0) })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let content = Content(modes: known, layers: modes.compactMapValues { places[$0.description] })
        return (try? encoder.encode(content)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The modes of a graph's layers, in its order.
    ///
    /// - Throws: `ExecutionError.model` for a layer that the map does not have: the network was changed since.
    public func modes(of graph: Graph, path: String) throws(ExecutionError) -> [RunMode] {
        var result: [RunMode] = []
        for layer in graph.layers {
            guard let mode = modes[layer.firstOutput ?? ""] else {
                throw .model(
                    path: path, engine: "reading its run modes",
                    reason: "expected a mode for node \(quoted(layer.identifier)), found none (--engine overrides them)"
                )
            }
            result.append(mode)
        }
        return result
    }

    private struct Content: Codable {
        static let name = "wcodec-run-modes"
        var format = name
        var version = 1
        let modes: [String]
        let layers: [String: Int]
    }
}
