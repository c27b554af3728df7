import FoundationEssentials
import Glibc
import ModelFiles

extension Unpacker {
    /// Restores the model and writes its tensors in another format, under the names by which its own format opens them.
    ///
    /// The model is restored beside the output under a temporary name first. Elements follow each other in row-major order;
    /// tensors of several names (tied weights) are written under each.
    ///
    /// - Parameters:
    ///   - path: the file to write.
    ///   - format: its format.
    ///   - threads: jobs at the same time.
    ///   - force: whether an existing file is replaced.
    ///   - skipsUnconvertible: whether tensors that the format cannot hold are left out.
    ///   - progress: receives progress.
    /// - Throws: `ArchiveError`, `.unconvertible` when the format cannot hold a tensor and none may be left out, or none can be
    ///   held; then no output exists.
    public func unpack(
        to path: String, as format: ExportFormat, threads: Int, force: Bool, skipsUnconvertible: Bool = false,
        progress: ProgressHandler = { _ in }
    ) async throws -> ExportResult {
        let output = try AtomicFile(path, force: force, inputs: [packed.path])
        let work = output.temporary + ".model"
        defer { try? FileManager.default.removeItem(atPath: work) }
        guard mkdir(work, 0o700) == 0, packed.isFolder || mkdir("\(work)/model", 0o700) == 0 else {
            throw ArchiveError.cannotWrite(path: path, reason: systemMessage())
        }
        // Under its own name, from which a format may name its tensors.
        let restored = packed.isFolder ? "\(work)/model" : "\(work)/model/\(packed.fileNames[0])"
        let changed = try await unpack(
            to: restored, threads: threads, force: false, isLasting: false, progress: progress)
        let model = try ModelFiles.open(packed.modelPath(in: restored), layout: try writeLayout(in: work))
        let plan = ExportPlan(model, format)
        guard plan.leftOut.isEmpty || skipsUnconvertible && !plan.tensors.isEmpty else {
            throw ArchiveError.unconvertible(
                path: packed.path, format: format.rawValue, names: plan.leftOut.map(\.name),
                count: plan.leftOut.count + plan.tensors.count, reasons: plan.reasons)
        }
        switch format {
        case .safetensors: try SafetensorsExport.write(plan, metadata: model.safetensorsMetadata, to: output)
        case .npz: try NpzExport.write(plan, to: output)
        }
        let bytes = try output.commit()
        return ExportResult(tensorCount: plan.tensors.count, bytes: bytes, notes: plan.notes, changed: changed)
    }

    /// Writes the layout of raw weights, which do not say themselves what tensors they hold, from what the packed file knows.
    private func writeLayout(in folder: String) throws -> String? {
        struct Entry: Encodable {
            let name: String
            let dtype: String
            let shape: [Int]
            let offset: Int
        }
        let manifest = packed.valid.manifest
        guard manifest.source.format == ModelFormatName.raw.rawValue, !packed.isFolder else { return nil }
        let entries = manifest.tensors.flatMap { tensor in
            ([tensor.name] + (tensor.aliases ?? [])).map {
                Entry(name: $0, dtype: tensor.dtype, shape: tensor.shape, offset: tensor.at[1])
            }
        }
        let path = "\(folder)/layers.json"
        try writeAtomically(Array(try JSONEncoder().encode(entries)), to: path, force: false)
        return path
    }
}
