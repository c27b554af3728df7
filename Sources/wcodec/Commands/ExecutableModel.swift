import Evaluation
import Execution
import ModelFiles
import WeightArchive

/// An ONNX model that can be run: the file itself, or one restored from a packed file for as long as it is needed.
struct ExecutableModel {
    /// The ONNX file.
    let path: String
    private let folder: TemporaryFolder?
    /// Gives the layers that are not in the file.
    private let source: LayerSource?

    /// - Parameters:
    ///   - path: an ONNX model or a packed file.
    ///   - delta: the model that it was packed against.
    ///   - restoresLayers: whether all of a packed file is restored; what runs layers by themselves asks for each when it runs.
    /// - Throws: `DataError` when either holds another kind of model, and what restoring throws.
    init(_ path: String, delta: String?, restoresLayers: Bool = true, _ options: RunOptions) async throws {
        guard try PackedModel.recognizes(path) else {
            guard delta == nil else { throw ArchiveError.option("--delta: expected with a packed file") }
            try Self.checkFormat(of: path)
            self.path = path
            folder = nil
            source = nil
            return
        }
        let model = try PackedModel(path, base: try openBase(delta))
        let folder = try TemporaryFolder()
        source = restoresLayers ? nil : LayerSource(model)
        do {
            if let source {
                let target = folder.place(for: model)
                try source.writeSurroundings(to: target)
                self.path = model.modelPath(in: target)
            } else {
                self.path = try await folder.restore(model, options)
            }
            try Self.checkFormat(of: self.path)
        } catch {
            folder.remove()
            throw error
        }
        self.folder = folder
    }

    /// Makes it ready to run.
    func load(by target: any ExecutionTarget, _ mode: RunMode, threads: Int) throws -> any LoadedNetwork {
        guard let source, let layerwise = target as? any LayerwiseTarget else {
            return try target.load(path, weights: [:], mode: mode, threads: threads)
        }
        return try layerwise.load(
            path,
            source: { name in
                try source.tensor(name).flatMap { TensorValue(type: $0.dtype, shape: $0.shape, bytes: $0.bytes) }
            }, mode: mode, threads: threads)
    }

    /// Removes a restored model.
    func remove() { folder?.remove() }

    /// Refuses what is no ONNX model.
    static func checkFormat(of path: String) throws {
        // A network may have no weights at all.
        if let file = try? MappedFile(path), ModelFiles.isONNX(file) { return }
        let format = try ModelFiles.open(path).format
        guard format == .onnx else {
            throw DataError.file(path: path, part: "model", expected: "an ONNX model", found: format.title)
        }
    }
}
