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

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
