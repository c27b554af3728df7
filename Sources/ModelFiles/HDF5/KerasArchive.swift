import Glibc

/// A `.keras` file: a ZIP of the network's configuration and its weights in HDF5.
enum KerasArchive: ModelFormat {
    static let name = ModelFormatName.keras
    private static let weights = "model.weights.h5"

    static func recognizes(_ file: MappedFile) -> Bool { ZipDirectory.entryNames(of: file).contains(weights) }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let entries = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try ZipDirectory(bytes, path: file.path).storedEntries(bytes, path: file.path)
        }
        guard let entry = entries.first(where: { $0.name == weights }) else { throw .noTensors(path: file.path) }
        // libhdf5 reads files with a name, not parts of them: a copy serves to find out where things are.
        let contents = try MappedFile.withTemporaryFile(for: file.path) { (descriptor, name) throws(ModelFileError) in
            var copy = OutputFile(descriptor, path: file.path)
            try copy.append(entry.extent.range, of: file)
            return try HDF5Library.with(path: file.path) { (library) throws(ModelFileError) in
                try HDF5Contents(name, size: entry.extent.length, library, path: file.path) { unlink(name) }
            }
        }
        let shapes = contents.shapes
        var tensors: [TensorRecord] = []
        var notes: [String] = []
        for dataset in contents.datasets {
            if let offset = dataset.offset(shift: { $0 + entry.extent.offset }) {
                try tensors.append(dataset.record(at: offset, among: shapes, path: file.path))
            } else {
                notes.append(dataset.note)
            }
        }
        guard !tensors.isEmpty else { throw .noTensors(path: file.path) }
        return ModelFile(
            format: name, path: file.path, files: [.init(name: fileName(file.path), file: file)], tensors: tensors,
            checksums: [ChecksumField(covered: entry.extent, fields: entry.crcFields)], notes: notes)
    }
}
