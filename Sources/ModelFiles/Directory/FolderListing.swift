import Glibc

/// The regular files below a folder, by relative name.
///
/// Links to files count as the files that they lead to: a model cache's snapshot consists of such links. Links to folders are
/// not followed, so that no loop and no foreign tree is walked; a note names files that lie elsewhere, which someone who made the
/// folder might have wanted to get hold of.
struct FolderListing {
    /// Relative names with `/`, in order of their bytes.
    let files: [String]
    /// What was left out, a line each.
    let notes: [String]

    /// Each file is mapped, and the system bounds the number of mappings of a process to some 65,000.
    static let maximumFiles = 20_000
    /// Folders within folders.
    static let maximumDepth = 32
    /// Folders of tools, which are no part of the model: a repository's history, a downloader's records.
    private static let toolFolders: Set<String> = [".git", ".cache", "__pycache__"]

    /// Lists a folder.
    ///
    /// - Throws: ``ModelFileError/unreadable(path:reason:)`` for a folder that cannot be listed, a link that leads nowhere and a
    ///   name that is no text; ``ModelFileError/malformed(path:part:expected:found:)`` for more files or deeper folders than
    ///   the limits.
    init(_ root: String) throws(ModelFileError) {
        var files: [String] = []
        var leftOut: [String] = []
        var outside: [String] = []
        let own = try Self.ownFolders(root)
        var pending = [(folder: "", depth: 1)]
        while let (folder, depth) = pending.popLast() {
            guard depth <= Self.maximumDepth else {
                throw .malformed(
                    path: root, part: "folder", expected: "at most \(Self.maximumDepth) folders within each other",
                    found: "more in \(quoted(folder))")
            }
            for entry in try Self.entries(of: folder.isEmpty ? root : "\(root)/\(folder)") {
                let name = folder.isEmpty ? entry : "\(folder)/\(entry)"
                switch try Self.kind(of: "\(root)/\(name)") {
                case .file: files.append(name)
                case .linkToFile(let target):
                    files.append(name)
                    if !own.contains(where: target.hasPrefix) { outside.append(name) }
                case .folder where Self.toolFolders.contains(entry): leftOut.append("\(name) (a tool's folder)")
                case .folder: pending.append((name, depth + 1))
                case .linkToFolder: leftOut.append("\(name) (a link to a folder)")
                case .other: leftOut.append("\(name) (a device, pipe or socket)")
                }
                guard files.count <= Self.maximumFiles else {
                    throw .malformed(
                        path: root, part: "folder", expected: "at most \(Self.maximumFiles) files", found: "more")
                }
            }
        }
        self.files = files.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        notes =
            leftOut.sorted().map { "left out: \(shown($0))" }
            + outside.sorted().map { "carried along from outside the folder: \(shown($0)) (a link)" }
    }

    /// Where links may lead without a word: into the folder itself, and from a cache's snapshot to the cache's blobs.
    private static func ownFolders(_ root: String) throws(ModelFileError) -> [String] {
        let folder = try resolvedPath(root)
        let cache = folder.split(separator: "/", omittingEmptySubsequences: false)
        guard cache.count > 3, cache[cache.count - 2] == "snapshots" else { return ["\(folder)/"] }
        return ["\(folder)/", "\(cache.dropLast(2).joined(separator: "/"))/blobs/"]
    }

    private enum Kind {
        case file, folder, linkToFolder, other
        /// With the path of the file itself.
        case linkToFile(String)
    }

    private static func kind(of path: String) throws(ModelFileError) -> Kind {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .unreadable(path: path, reason: systemMessage()) }
        let isLink = status.st_mode & S_IFMT == S_IFLNK
        // Without the file that a link leads to the model is incomplete, as an interrupted download is.
        guard !isLink || stat(path, &status) == 0 else {
            throw .unreadable(path: path, reason: "a link: \(systemMessage())")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return isLink ? .linkToFile(try resolvedPath(path)) : .file
        case S_IFDIR: return isLink ? .linkToFolder : .folder
        default: return .other
        }
    }

    /// The names in a folder, without `.` and `..`, sorted.
    private static func entries(of folder: String) throws(ModelFileError) -> [String] {
        guard let directory = opendir(folder) else { throw .unreadable(path: folder, reason: systemMessage()) }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else {
                guard errno == 0 else { throw .unreadable(path: folder, reason: systemMessage()) }
                return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let name else {
                throw .unreadable(path: folder, reason: "expected file names in UTF-8, found another")
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }
}
