import Glibc

/// Waits until the disk has the bytes of an open file, or the names in an open folder.
///
/// Without that a file could have its name after a power failure, but not its bytes.
///
/// - Throws: `ArchiveError.cannotWrite`.
func synchronize(_ descriptor: Int32, path: String) throws(ArchiveError) {
    while fsync(descriptor) != 0 {
        switch errno {
        case EINTR: continue
        // What this file system does not do.
        case EINVAL, EOPNOTSUPP, EROFS: return
        default: throw .cannotWrite(path: path, reason: systemMessage())
        }
    }
}

/// Waits until the disk has the names in a folder.
///
/// - Throws: `ArchiveError.cannotWrite`.
func synchronize(folder: String) throws(ArchiveError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    // Some may be written to but not read.
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    try synchronize(descriptor, path: folder)
}
