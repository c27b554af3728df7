/// A model's weights in HDF5, as Keras' `.h5` files and h5py write them.
enum HDF5Model: ModelFormat {
    static let name = ModelFormatName.hdf5

    static func recognizes(_ file: MappedFile) -> Bool { file.withAllBytes(HDF5Contents.isPresent) }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        if let size = file.withAllBytes(HDF5Contents.recordedSize), size > file.size {
            throw .malformed(
                path: file.path, part: "HDF5 file", expected: "\(size) bytes, as its superblock says",
                found: "\(file.size): truncated")
        }
        return try HDF5Library.with(path: file.path) { (library) throws(ModelFileError) in
            var contents = try HDF5Contents(file.path, size: file.size, library, path: file.path)
            // Where a user block comes first, versions of libhdf5 disagree on what a chunk's address is.
            if file.withAllBytes({ $0.starts(with: HDF5Contents.signature) }) {
                try contents.locateChunks(of: file, named: file.path, library)
            }
            let plain = try HDF5Chunks.plainForm(of: file, contents.datasets, library)
            let offsets = plain?.offsets ?? [:]
            let shapes = contents.shapes
            let place = plain?.chunks.places ?? { $0 }
            var tensors: [TensorRecord] = []
            var notes: [String] = []
            for (index, dataset) in contents.datasets.enumerated() {
                if let offset = offsets[index] ?? dataset.offset(shift: place) {
                    try tensors.append(dataset.record(at: offset, among: shapes, path: file.path))
                } else {
                    notes.append(dataset.note)
                }
            }
            guard !tensors.isEmpty else { throw .noTensors(path: file.path) }
            let source =
                plain.map { plain in
                    ModelFile.Source(
                        name: fileName(file.path), file: plain.file, originalSize: file.size,
                        recoding: .chunks(plain.chunks))
                } ?? ModelFile.Source(name: fileName(file.path), file: file)
            return ModelFile(
                format: contents.isKeras ? .keras : .hdf5, path: file.path, files: [source], tensors: tensors,
                notes: notes)
        }
    }
}

extension HDF5Dataset {
    /// The offset of a contiguous dataset's elements, or nil for all others.
    func offset(shift: (Int) -> Int) -> Int? {
        guard case .contiguous(let offset) = storage, dtype != nil else { return nil }
        return shift(offset)
    }

    /// The dataset as a tensor whose elements begin at an offset.
    ///
    /// - Parameters:
    ///   - offset: in the model's file.
    ///   - shapes: those of all datasets by path.
    ///   - file: for errors.
    func record(at offset: Int, among shapes: [String: [Int]], path file: String) throws(ModelFileError) -> TensorRecord
    {
        guard let dtype, let length else {
            throw .invalidTensor(path: file, tensor: path, expected: "a known type", found: "another")
        }
        let hint = KerasLayer.hint(path: path, shapes: shapes)
        return TensorRecord(
            name: path, dtype: dtype, shape: shape,
            extent: Extent(file: 0, offset: length == 0 ? 0 : offset, length: length),
            memoryOrder: Array(shape.indices), kindHint: hint?.kind, conventionHint: hint?.convention)
    }

    /// What a person is told about a dataset that stays as it is.
    var note: String {
        let reason =
            switch storage {
            case .other(let reason): reason
            case .chunks: "in chunks"
            case .contiguous: "of a type that is not read"
            }
        return "dataset \(quoted(path)) \(reason) is not read and stays as it is"
    }
}
