/// What can go wrong between a model file and a packed file: one line that says where, what was expected, what was found.
public enum ArchiveError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file could not be read.
    case io(path: String, reason: String)
    /// A file could not be written.
    case cannotWrite(path: String, reason: String)
    /// The output exists and may not be replaced.
    case exists(path: String)
    /// Another process packs to the same output.
    case busy(path: String, partial: String)
    /// The file is no packed file, or of a version that this program does not know.
    case notAnArchive(path: String, found: String)
    /// A part of a packed file is not what its hash, or the format, says it must be.
    case damaged(path: String, part: String, expected: String, found: String)
    /// A layer could not be packed or restored.
    case layer(tensor: String, reason: String)
    /// A file cannot be made of its plain form.
    case recoding(path: String, reason: String)
    /// Another format cannot hold tensors of these names, out of so many.
    case unconvertible(path: String, format: String, names: [String], count: Int, reasons: String)
    /// An encoder that calls itself lossless gave other bins back.
    case notExact(codec: String, tensor: String)
    /// A pattern that selects tensors by name is malformed or selects none.
    case pattern(option: String, pattern: String, reason: String)
    /// An option contradicts another one or the model.
    case option(String)
    /// The work was given up on request.
    case cancelled
    /// Packing was stopped on request, and what was done kept in a file.
    case stopped(percent: Int, partial: String)

    public var description: String {
        switch self {
        case .io(let path, let reason), .cannotWrite(let path, let reason): "\(path): \(reason)"
        case .exists(let path): "\(path): exists already, expected a new name (--force replaces it)"
        case .busy(let path, let partial): "\(path): another process is packing to it, and holds \(partial)"
        case .notAnArchive(let path, let found): "\(path): expected a packed file (.wcz), found \(found)"
        case .damaged(let path, let part, let expected, let found):
            "\(path): damaged: \(part): expected \(expected), found \(found)"
        case .recoding(let path, let reason): "\(path): expected a file that can be made of its plain form: \(reason)"
        case .unconvertible(let path, let format, let names, let count, let reasons):
            "\(path): expected tensors that \(format) can hold, found \(names.count) of \(count) that it cannot (\(reasons)): "
                + names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
                + (names.count < count ? "; --skip-unconvertible leaves them out" : "")
        case .layer(let tensor, let reason): "tensor \(tensor): \(reason)"
        case .notExact(let codec, let tensor):
            "tensor \(tensor): codec \(codec) is lossless but gave other bins back; choose another codec"
        case .pattern(let option, let pattern, let reason): "\(option) '\(pattern)': \(reason)"
        case .option(let reason): reason
        case .cancelled: "stopped; nothing was written"
        case .stopped(let percent, let partial):
            "stopped at \(percent) %; the same command goes on from there (to give up, delete \(partial))"
        }
    }
}
