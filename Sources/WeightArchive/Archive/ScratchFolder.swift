import FoundationEssentials
import Glibc
import ModelFiles

/// A folder for files that are needed for a while; it goes with all that is in it.
final class ScratchFolder: Sendable {
    /// Where it is.
    let path: String
    /// The system's folder for temporary files, which it lies in.
    let parent = MappedFile.temporaryFolder

    /// - Throws: `ArchiveError.cannotWrite`.
    init() throws(ArchiveError) {
        TemporaryName.removeLeftovers(in: parent)
        path = "\(parent)/\(TemporaryName.make())"
        guard mkdir(path, 0o700) == 0 else { throw .cannotWrite(path: parent, reason: systemMessage()) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
