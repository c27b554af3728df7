import CMappings
import Glibc

/// What the system says of a file; while that stays the same, so do its bytes.
struct FileStatus: Hashable, Sendable {
    let size: Int
    /// Device and number of the file.
    private let identity: [UInt64]
    /// When its bytes changed, and when what is said of it did, which no program can set back: seconds and nanoseconds.
    private let times: [Int]

    init(_ status: stat) {
        size = Int(status.st_size)
        identity = [UInt64(status.st_dev), UInt64(status.st_ino)]
        times = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    }

    /// What a file that was of this status is now instead, with what was expected; `nil` when it is the same.
    ///
    /// - Parameter now: its status now; `nil` when it has none.
    func difference(from now: FileStatus?) -> (expected: String, found: String)? {
        guard let now else { return ("the file that was opened", "none") }
        if identity != now.identity { return ("the file that was opened", "another one of its name") }
        if size != now.size { return ("\(size) bytes", "\(now.size)") }
        if times != now.times { return ("the bytes that it had when it was opened", "a file written to since") }
        return nil
    }
}

extension MappedFile {
    /// Makes sure that the file is the one that was opened, and was not written to since.
    ///
    /// Of the plain form of a file it is the file itself that is looked at.
    ///
    /// - Throws: ``ModelFileError/changed(path:expected:found:)``.
    public func checkUnchanged() throws(ModelFileError) {
        var status = stat()
        let now = stat(path, &status) == 0 ? FileStatus(status) : nil
        if let (expected, found) = opened.difference(from: now) {
            throw .changed(path: path, expected: expected, found: found)
        }
        // It may have become longer again.
        if isTorn { throw .changed(path: path, expected: "\(size) bytes all the time", found: "fewer for a while") }
    }

    /// Makes sure that no file that this process mapped became shorter: what was read of one is not what it held.
    ///
    /// - Throws: ``ModelFileError/changed(path:expected:found:)``.
    public static func checkAllWhole() throws(ModelFileError) {
        guard let path = wc_torn_path() else { return }
        throw .changed(
            path: String(cString: path), expected: "the bytes that it had when it was opened", found: "fewer")
    }
}

extension ModelFile {
    /// Makes sure that every file of the model is the one that was opened, and was not written to since.
    ///
    /// - Throws: ``ModelFileError/changed(path:expected:found:)``, which names the first that is not.
    public func checkUnchanged() throws(ModelFileError) {
        for source in files { try source.file.checkUnchanged() }
    }
}
