import Glibc

extension Recoding {
    /// Reads a file that was made of a plain form, and makes sure that it holds what that does.
    ///
    /// - Parameters:
    ///   - descriptor: the file, opened for reading.
    ///   - plain: the plain form.
    ///   - path: the name of the file, for errors.
    /// - Throws: ``ModelFileError`` when the file cannot be read, or holds anything else.
    public func check(_ descriptor: Int32, isOf plain: MappedFile, path: String) throws(ModelFileError) {
        let file = try MappedFile(descriptor, path: path)
        switch self {
        case .deflate:
            let again = try ZipCompression.plainForm(of: file)?.file ?? file
            guard again.size == plain.size else {
                throw Self.difference("a plain form of \(plain.size) bytes", "\(again.size)", path: path)
            }
            try again.forEachPiece(of: 0..<plain.size) { (offset, bytes) throws(ModelFileError) in
                try Self.expect(bytes, in: plain, at: offset, "plain form", path: path)
            }
        case .chunks(let chunks):
            try chunks.check(file, named: "/proc/self/fd/\(descriptor)", isOf: plain, path: path)
        }
    }

    /// Compares bytes of a file with those that its plain form has at an offset.
    static func expect(
        _ bytes: UnsafeRawBufferPointer, in plain: MappedFile, at offset: Int, _ part: String, path: String
    ) throws(ModelFileError) {
        guard let found = bytes.baseAddress else { return }
        let range = offset..<offset + bytes.count
        let isEqual =
            offset >= 0 && range.upperBound <= plain.size
            && plain.withBytes(range) { $0.baseAddress.map { memcmp($0, found, bytes.count) } == 0 }
        guard isEqual else { throw difference("what was restored in \(part)", "other bytes", path: path) }
        plain.release(range)
    }

    static func difference(_ expected: String, _ found: String, path: String) -> ModelFileError {
        .malformed(path: path, part: "recoding", expected: expected, found: found)
    }
}

extension HDF5Chunks {
    /// Makes sure that every dataset of a file is that of its plain form.
    ///
    /// - Parameters:
    ///   - file: the file, and the name by which libhdf5 opens it.
    ///   - plain: the plain form.
    ///   - path: the name of the file, for errors.
    fileprivate func check(
        _ file: MappedFile, named name: String, isOf plain: MappedFile, path: String
    ) throws(ModelFileError) {
        try HDF5Library.with(path: path) { (library) throws(ModelFileError) in
            var contents = try HDF5Contents(name, size: file.size, library, path: path)
            try contents.locateChunks(of: file, named: name, library)
            let handle = try HDF5Handle(library.openFile(name, 0, 0), library.closeFile, path: path, part: "HDF5 file")
            var written = Dictionary(datasets.map { ($0.path, $0.at) }, uniquingKeysWith: { first, _ in first })
            /// Where the chunks of those begin: a dataset may have several names.
            var begins: Set<Int> = []
            for dataset in contents.datasets {
                guard let at = written.removeValue(forKey: dataset.path) else { continue }
                var end = at[0]
                try library.forEachSlab(of: dataset, in: handle.id, path: path) { (bytes) throws(ModelFileError) in
                    try Recoding.expect(bytes, in: plain, at: end, "dataset \(quoted(dataset.path))", path: path)
                    end += bytes.count
                }
                guard end == at[0] + at[1], case .chunks(let chunks, _) = dataset.storage, let first = chunks.first
                else {
                    throw Recoding.difference(
                        "\(at[1]) bytes in dataset \(quoted(dataset.path))", "\(end - at[0])", path: path)
                }
                begins.insert(first.offset)
            }
            if let missing = written.keys.min() {
                throw Recoding.difference("dataset \(quoted(missing))", "none", path: path)
            }
            // The others lie where they did; chunks that hold no floats were not looked up.
            let place = self.places
            for dataset in contents.datasets {
                var runs: [Range<Int>] = []
                switch dataset.storage {
                case .contiguous(let offset): runs = [offset..<offset + (dataset.length ?? 0)]
                case .chunks(let chunks, _) where chunks.first.map { !begins.contains($0.offset) } == true:
                    runs = chunks.map { $0.offset..<$0.offset + $0.length }
                case .chunks, .other: break
                }
                for run in runs {
                    try file.forEachPiece(of: run) { (offset, bytes) throws(ModelFileError) in
                        try Recoding.expect(
                            bytes, in: plain, at: place(offset), "dataset \(quoted(dataset.path))", path: path)
                    }
                }
            }
        }
    }
}
