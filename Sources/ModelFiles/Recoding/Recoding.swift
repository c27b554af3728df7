/// How a model's file is made of its plain form, in which every tensor is a run of bytes.
///
/// Files that compress their tensors are packed in a plain form: a temporary file with the tensors as they are. Restoring
/// writes the plain form with the restored tensors in it, and then the file itself by one of these steps.
public enum Recoding: Hashable, Sendable {
    /// The plain form is a ZIP of stored entries; those at these places of its directory are compressed with zlib's level, or
    /// each by the ZIP method at its place in `methods` (8 deflate, 12 bzip2, 14 LZMA).
    case deflate(entries: [Int], level: Int, methods: [UInt16]? = nil)
    /// The plain form is an HDF5 file without the chunks of some datasets, and behind it their elements.
    case chunks(HDF5Chunks)

    /// Whether the plain forms of a file and of its copy with other weights differ in nothing but these.
    public var keepsPlaces: Bool {
        switch self {
        case .deflate: true
        // The library may put chunks of other sizes elsewhere.
        case .chunks: false
        }
    }

    /// Writes the file that a plain form stands for.
    ///
    /// - Parameters:
    ///   - plain: the plain form.
    ///   - descriptor: a file opened for reading and writing, empty.
    ///   - path: the name of that file, for errors.
    /// - Throws: ``ModelFileError`` when the plain form is not one of this recoding, when the file cannot be written, or when
    ///   libhdf5 is needed and missing.
    public func restore(_ plain: MappedFile, to descriptor: Int32, path: String) throws(ModelFileError) {
        switch self {
        case .deflate(let entries, let level, let methods):
            try ZipCompression.compress(
                plain, entries: entries, level: level, methods: methods, to: descriptor, path: path)
        case .chunks(let chunks):
            try chunks.restore(plain, to: descriptor, path: path)
        }
    }
}

extension Recoding: Codable {
    private enum Key: String, CodingKey { case name, entries, level, methods }
    private enum Name: String, Codable {
        case deflate
        case chunks = "hdf5-chunks"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        switch try container.decode(Name.self, forKey: .name) {
        case .deflate:
            self = .deflate(
                entries: try container.decode([Int].self, forKey: .entries),
                level: try container.decode(Int.self, forKey: .level),
                methods: try container.decodeIfPresent([UInt16].self, forKey: .methods))
        case .chunks: self = .chunks(try HDF5Chunks(from: decoder))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .deflate(let entries, let level, let methods):
            try container.encode(Name.deflate, forKey: .name)
            try container.encode(entries, forKey: .entries)
            try container.encode(level, forKey: .level)
            try container.encodeIfPresent(methods, forKey: .methods)
        case .chunks(let chunks):
            try container.encode(Name.chunks, forKey: .name)
            try chunks.encode(to: encoder)
        }
    }
}
