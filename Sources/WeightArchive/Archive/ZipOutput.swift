import CZip
import Glibc

/// A ZIP that is written under the temporary name of an output when it is closed, or else not at all.
final class ZipOutput {
    private let path: String
    /// `nil` when it is written.
    private var archive: OpaquePointer?
    /// What entries are read from, which libzip does not keep.
    private var owners: [AnyObject] = []

    /// - Throws: `ArchiveError.cannotWrite`.
    init(_ output: AtomicFile) throws(ArchiveError) {
        path = output.path
        var code: Int32 = 0
        archive = zip_open(output.temporary, ZIP_CREATE | ZIP_EXCL, &code)
        guard archive != nil else { throw .cannotWrite(path: path, reason: zipMessage(code)) }
    }

    deinit {
        if let archive { zip_discard(archive) }
    }

    /// Adds an entry.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - owner: what `source` refers to, kept as long as libzip may read from it.
    ///   - isDeflated: whether it is compressed.
    ///   - source: makes libzip's source of the entry's bytes, which are read when the archive is closed.
    func add(
        _ name: String, of owner: AnyObject, isDeflated: Bool = false, _ source: (OpaquePointer) -> OpaquePointer?
    ) throws(ArchiveError) {
        owners.append(owner)
        guard let archive, let source = source(archive) else { throw failure }
        let index = zip_file_add(archive, name, source, ZIP_FL_ENC_UTF_8)
        guard index >= 0 else {
            zip_source_free(source)
            throw failure
        }
        // 1980-01-01, the earliest date that ZIP knows, and a file's common permissions: the bytes must not depend on when they
        // were made, nor on the file that they were kept in.
        guard
            zip_set_file_compression(
                archive, UInt64(index), isDeflated ? Int32(ZIP_CM_DEFLATE) : ZIP_CM_STORE, isDeflated ? 9 : 0) == 0,
            zip_file_set_dostime(archive, UInt64(index), 0, 0x21, 0) == 0,
            zip_file_set_external_attributes(
                archive, UInt64(index), 0, UInt8(ZIP_OPSYS_UNIX), UInt32(S_IFREG | 0o644) << 16) == 0
        else { throw failure }
    }

    /// Writes the archive.
    func close(comment: String = "") throws(ArchiveError) {
        guard zip_set_archive_comment(archive, comment, UInt16(comment.utf8.count)) == 0, zip_close(archive) == 0 else {
            throw failure
        }
        archive = nil
    }

    private var failure: ArchiveError {
        .cannotWrite(path: path, reason: archive.map { String(cString: zip_strerror($0)) } ?? "is written already")
    }
}

/// What libzip says of an error code.
func zipMessage(_ code: Int32) -> String {
    var error = zip_error_t()
    zip_error_init_with_code(&error, code)
    defer { zip_error_fini(&error) }
    return String(cString: zip_error_strerror(&error)).lowercased()
}
