import FoundationEssentials
import WeightArchive

/// A folder for files that nobody else is to see, beside nothing of the user's.
struct TemporaryFolder {
    let path: String

    init() throws {
        let parent = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        path = "\(parent)/wcodec-\(UInt64.random(in: 0 ... .max))"
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        } catch {
            throw ArchiveError.cannotWrite(path: path, reason: "cannot be created")
        }
    }

    /// Where a packed model is restored, by its own name: frameworks look at extensions.
    func place(for model: PackedModel) -> String { "\(path)/\(model.isFolder ? "model" : model.fileNames[0])" }

    /// Restores a packed model, with progress and a warning of what was rounded otherwise.
    ///
    /// - Returns: the path by which the restored model is opened.
    func restore(_ model: PackedModel, _ options: RunOptions) async throws -> String {
        let place = place(for: model)
        let progress = ProgressLine("restoring", quiet: options.quiet)
        defer { progress.clear() }
        let threads = options.threads
        let changed = try await withInterruption {
            try await Unpacker(model).unpack(to: place, threads: threads, force: false, isLasting: false) {
                progress.show($0)
            }
        }
        progress.clear()
        warn(ofRoundingIn: changed)
        return model.modelPath(in: place)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
