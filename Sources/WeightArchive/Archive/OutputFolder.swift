import Glibc

/// A folder of files that appears whole under its name or not at all.
///
/// An existing one is written into when that is allowed: there each file appears whole, one after the other.
final class OutputFolder {
    /// Where each file is written and how an error names it.
    private(set) var files: RestoredFiles
    private let path: String
    /// The name it has until it is complete; `nil` for a folder that exists.
    private let temporary: String?
    /// Files in an existing folder.
    private var outputs: [AtomicFile] = []
    /// Folders that were made here, outermost first.
    private var made: [String] = []
    private let isLasting: Bool
    private var isCommitted = false

    /// Makes the folder under a temporary name, and in it the folders that the files lie in.
    ///
    /// - Parameters:
    ///   - path: the name it will have.
    ///   - names: relative names of its files, checked before.
    ///   - force: whether an existing folder is written into.
    ///   - inputs: files that the work reads, which it must not replace.
    ///   - isLasting: whether the files are to outlive a power failure, as those of `AtomicFile`.
    /// - Throws: `ArchiveError.exists` when the path exists and `force` is false, `.cannotWrite`.
    init(
        _ path: String, names: [String], force: Bool, inputs: [String], isLasting: Bool = true
    ) throws(ArchiveError) {
        self.isLasting = isLasting
        let slash = UInt8(ascii: "/")
        let end = path.utf8.lastIndex { $0 != slash }
        self.path = end.map { String(path[...$0]) } ?? path
        files = RestoredFiles([])
        var status = stat()
        if lstat(self.path, &status) == 0 {
            guard force else { throw .exists(path: self.path) }
            temporary = nil
        } else {
            let output = try AtomicFile(self.path, force: false)
            TemporaryName.removeLeftovers(in: output.folder)
            temporary = output.temporary
        }
        let root = temporary ?? self.path
        try makeFolder(root, isOutput: true)
        for folder in RelativeName.folders(of: names) { try makeFolder("\(root)/\(folder)", isOutput: false) }
        if temporary == nil {
            outputs = try names.map { name throws(ArchiveError) in
                // A link could lead out of the folder, which nobody asked for.
                try AtomicFile(
                    "\(self.path)/\(name)", force: true, inputs: inputs, followsLinks: false, isLasting: isLasting)
            }
            files = RestoredFiles(outputs.map { ($0.temporary, $0.path) })
        } else {
            files = RestoredFiles(names.map { ("\(root)/\($0)", "\(self.path)/\($0)") })
        }
    }

    /// Makes a folder, or takes one that is there, which in a new folder none is.
    private func makeFolder(_ folder: String, isOutput: Bool) throws(ArchiveError) {
        if mkdir(folder, 0o777) == 0 {
            made.append(folder)
            return
        }
        let reason = systemMessage()
        var status = stat()
        // Only the folder that was asked for may be a link: others could lead out of it.
        let found = isOutput ? stat(folder, &status) : lstat(folder, &status)
        guard temporary == nil, found == 0 else { throw .cannotWrite(path: path, reason: reason) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .cannotWrite(path: folder, reason: "expected a folder, found a file or link")
        }
        TemporaryName.removeLeftovers(in: folder)
    }

    /// Gives the folder, or each file, its name, once the disk has all of it.
    func commit() throws(ArchiveError) {
        if isLasting { try files.synchronize() }
        for output in outputs { try output.takeName() }
        if isLasting { for folder in Set(outputs.map(\.folder) + made) { try synchronize(folder: folder) } }
        if let temporary, rename(temporary, path) != 0 { throw .cannotWrite(path: path, reason: systemMessage()) }
        isCommitted = true
        // Where new names are: the folder's own, or those of folders in it.
        if isLasting { for folder in Set(made.map(parentFolder)) { try synchronize(folder: folder) } }
    }

    deinit {
        guard !isCommitted else { return }
        if temporary != nil { files.remove() }
        outputs = []
        // Folders that hold a file, which a failed commit into an existing folder may leave, stay.
        for folder in made.reversed() { rmdir(folder) }
    }
}
