import Evaluation
import Execution
import ModelFiles
import WeightArchive

/// An ONNX model that can be run: the file itself, or one that is made of a packed file for as long as it is needed.
struct ExecutableModel {
    /// The ONNX file; of a packed one what is around the layers, until all of it is restored.
    private(set) var path: String
    /// The file that was named.
    private let name: String
    /// The packed file, its temporary folder, and what gives its layers.
    private let packed: (model: PackedModel, folder: TemporaryFolder, source: LayerSource?)?
    private var isRestored = false

    /// - Parameters:
    ///   - path: an ONNX model or a packed file.
    ///   - delta: the model that it was packed against.
    /// - Throws: `DataError` when either holds another kind of model, and what restoring throws.
    init(_ path: String, delta: String?) throws {
        name = path
        guard try PackedModel.recognizes(path) else {
            guard delta == nil else { throw ArchiveError.option("--delta: expected with a packed file") }
            try Self.checkFormat(of: path, named: path)
            self.path = path
            packed = nil
            return
        }
        let model = try PackedModel(path, base: try openBase(delta))
        let folder = try TemporaryFolder()
        let source = LayerSource(model)
        do {
            let target = "\(folder.path)/surroundings"
            try source?.writeSurroundings(to: target)
            self.path = model.modelPath(in: target)
            packed = (model, folder, source)
            if source != nil { try Self.checkFormat(of: self.path, named: path) }
        } catch {
            folder.remove()
            throw error
        }
    }

    /// What the weights of layers should lie in, where a target can have it so.
    var weights: RunMode.Weights { packed?.source == nil ? .plain : .packed }

    /// Restores a packed model as far as a plan needs it: all of it where weights of some layers are to be plain.
    ///
    /// - Throws: `DataError` for plans of packed weights where there are none, and what restoring throws.
    mutating func prepare(for plan: RunPlan, _ options: RunOptions) async throws {
        if packed?.source == nil, let mode = plan.modes.first(where: { $0.weights == .packed }) {
            throw DataError.file(
                path: name, part: "model", expected: "a packed file to run as \(mode)", found: "an ONNX model")
        }
        guard let packed, !isRestored, plan.modes.contains(where: { $0.weights == .plain }) else { return }
        path = try await packed.folder.restore(packed.model, options)
        try Self.checkFormat(of: path, named: name)
        isRestored = true
    }

    /// What runs it.
    ///
    /// - Parameter targets: by name.
    func means(_ targets: [String: any ExecutionTarget], threads: Int) -> RunPlan.Means {
        guard let source = packed?.source else { return RunPlan.Means(targets: targets, threads: threads) }
        return RunPlan.Means(targets: targets, source: Self.weightSource(source), threads: threads)
    }

    /// Layers of a packed file as a target asks for them.
    static func weightSource(_ source: LayerSource) -> WeightSource {
        { name in try source.tensor(name).flatMap { TensorValue(type: $0.dtype, shape: $0.shape, bytes: $0.bytes) } }
    }

    /// Removes what was restored.
    func remove() { packed?.folder.remove() }

    /// Refuses what is no ONNX model.
    ///
    /// - Parameter name: of the file that holds it, as a person knows it.
    static func checkFormat(of path: String, named name: String) throws {
        // A network may have no weights at all.
        if let file = try? MappedFile(path), ModelFiles.isONNX(file) { return }
        let format = try ModelFiles.open(path).format
        guard format == .onnx else {
            throw DataError.file(path: name, part: "model", expected: "an ONNX model", found: format.title)
        }
    }
}
