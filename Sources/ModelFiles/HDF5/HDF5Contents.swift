import Glibc

/// The datasets that an HDF5 file links to.
struct HDF5Contents {
    /// In the order of their names, a dataset under each of its names.
    var datasets: [HDF5Dataset] = []
    /// Whether Keras wrote the file.
    private(set) var isKeras = false

    /// Shapes of the datasets by path.
    var shapes: [String: [Int]] {
        Dictionary(datasets.map { ($0.path, $0.shape) }, uniquingKeysWith: { first, _ in first })
    }

    static let signature: [UInt8] = [0x89] + Array("HDF\r\n".utf8) + [0x1a, 0x0a]
    /// Links that are followed at most, and groups in groups.
    private static let (maximumLinks, maximumDepth) = (1 << 20, 64)

    /// Whether bytes begin an HDF5 file; a user block of another program's may come before.
    static func isPresent(in bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset < bytes.count {
            if bytes.starts(with: signature, at: offset) { return true }
            offset = max(2 * offset, 512)
        }
        return false
    }

    /// The size that a file's superblock says it has; nil where it is damaged, or a user block comes first.
    static func recordedSize(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.starts(with: signature), bytes.count >= 64, bytes[8] <= 3 else { return nil }
        // Superblocks of version 0 and 1, and of version 2 and 3, each with addresses of 8 bytes.
        let (sizeOfAddresses, offset) = bytes[8] == 0 ? (13, 40) : bytes[8] == 1 ? (13, 44) : (9, 28)
        guard bytes[sizeOfAddresses] == 8 else { return nil }
        return Int(exactly: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    }

    /// Reads what is in a file; no data, no soft or external link.
    ///
    /// - Parameters:
    ///   - file: the file's name for the system.
    ///   - size: its size in bytes.
    ///   - library: libhdf5.
    ///   - path: the file's name for errors.
    ///   - whenOpen: called when the file is open and needs its name no more.
    init(
        _ file: String, size: Int, _ library: HDF5Library, path: String, whenOpen: () -> Void = {}
    ) throws(ModelFileError) {
        let handle = try HDF5Handle(library.openFile(file, 0, 0), library.closeFile, path: path, part: "HDF5 file")
        whenOpen()
        let root = try HDF5Handle(library.openObject(handle.id, "/", 0), library.closeObject, path: path, part: "root")
        var walk = Walk(library: library, size: size, path: path)
        try walk.descend(into: root.id, "", depth: 0)
        datasets = walk.datasets
        isKeras =
            library.attributeExists(root.id, "layer_names") > 0 || library.attributeExists(root.id, "keras_version") > 0
            || library.linkExists(root.id, "model_weights", 0) > 0 || datasets.contains { $0.path.contains("/vars/") }
    }

    private struct Walk {
        let library: HDF5Library
        let size: Int
        let path: String
        var datasets: [HDF5Dataset] = []
        /// Addresses of the groups that were entered: hard links may lead back.
        var entered: Set<UInt64> = []
        var links = 0

        mutating func descend(into group: Int64, _ prefix: String, depth: Int) throws(ModelFileError) {
            let part = prefix.isEmpty ? "root" : "group \(quoted(prefix))"
            // The information is at most 160 bytes, of which the second word is the address.
            var information = [UInt64](repeating: 0, count: 64)
            guard library.objectInfo(group, &information, 1) >= 0 else {
                throw .malformed(path: path, part: part, expected: "what libhdf5 can read", found: "a damaged part")
            }
            guard entered.insert(information[1]).inserted else { return }
            guard depth < maximumDepth else {
                throw .malformed(
                    path: path, part: part, expected: "groups nested at most \(maximumDepth) deep", found: "deeper ones"
                )
            }
            for name in try names(in: group, part) {
                let text = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                let full = prefix.isEmpty ? text : "\(prefix)/\(text)"
                let object = try HDF5Handle(
                    library.openObject(group, name, 0), library.closeObject, path: path, part: "object \(quoted(full))")
                switch library.kindOfObject(object.id) {
                case 2: try descend(into: object.id, full, depth: depth + 1)
                case 5: datasets.append(try library.describe(object.id, full, fileSize: size, path: path))
                default: break
                }
            }
        }

        /// Names of the hard links in a group, each with its zero byte.
        private mutating func names(in group: Int64, _ part: String) throws(ModelFileError) -> [[CChar]] {
            final class Names {
                var names: [[CChar]] = []
                var room: Int
                init(room: Int) { self.room = room }
            }
            let found = Names(room: maximumLinks - links)
            let status = library.visitLinks(
                // By name in the file's own order: sorting in libhdf5 frees what it never allocated when links are damaged.
                group, 0, 2, nil,
                { _, name, information, context in
                    guard let name, let information, let context else { return -1 }
                    let found = Unmanaged<Names>.fromOpaque(context).takeUnretainedValue()
                    found.room -= 1
                    guard found.room >= 0 else { return -1 }
                    let isHard = information.load(as: Int32.self) == 0
                    let text = Array(UnsafeBufferPointer(start: name, count: strlen(name) + 1))
                    // A name with a slash would be a path, which may lead anywhere.
                    let isPlain = !text.contains(0x2f) && text != [0x2e, 0] && text.count > 1
                    if isHard, isPlain { found.names.append(text) }
                    return 0
                }, Unmanaged.passUnretained(found).toOpaque())
            links = maximumLinks - found.room
            guard status >= 0 else {
                throw .malformed(
                    path: path, part: part, expected: "links that libhdf5 can read, at most \(maximumLinks)",
                    found: "others")
            }
            return withExtendedLifetime(found) {
                found.names.sorted {
                    $0.lexicographicallyPrecedes($1) { UInt8(bitPattern: $0) < UInt8(bitPattern: $1) }
                }
            }
        }
    }
}
