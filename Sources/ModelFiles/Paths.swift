import Glibc

/// The last component of a path.
package func fileName(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
}

/// The folder that a path's file lies in, as the path has it; `.` where it has none.
func parentFolder(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The absolute path of a file or folder, without links in it.
///
/// - Throws: ``ModelFileError/unreadable(path:reason:)``.
func resolvedPath(_ path: String) throws(ModelFileError) -> String {
    guard let resolved = realpath(path, nil) else { throw .unreadable(path: path, reason: systemMessage()) }
    defer { free(resolved) }
    return String(cString: resolved)
}

/// The path of a file that a model refers to by a name relative to its own folder, once it is known to lie there.
///
/// Links are followed as far as the model itself is a link: model caches keep all files of a model in one folder of blobs and
/// link to them.
///
/// - Parameters:
///   - name: a relative name without `..`.
///   - model: the path of the file that refers to it.
/// - Returns: nil when a link leads out of the model's folder, or to the model itself.
/// - Throws: ``ModelFileError/unreadable(path:reason:)`` for a file that is not there.
func path(of name: String, beside model: String) throws(ModelFileError) -> String? {
    let folder = parentFolder(model)
    let path = folder == "." && !model.hasPrefix("./") ? name : folder == "/" ? "/\(name)" : "\(folder)/\(name)"
    let (target, own, root) = (try resolvedPath(path), try resolvedPath(model), try resolvedPath(folder))
    // By bytes: to Swift, an accent behind the slash would make it another Character.
    let isInside = target.utf8.starts(with: (root == "/" ? root : "\(root)/").utf8)
    return (isInside || parentFolder(target) == parentFolder(own)) && target != own ? path : nil
}
