/// Named arrays as `numpy.savez` writes them: a ZIP with a `.npy` file for each.
enum NumPyArchive: ModelFormat {
    static let name = ModelFormatName.npz

    static func recognizes(_ file: MappedFile) -> Bool {
        let names = ZipDirectory.entryNames(of: file)
        // A checkpoint may carry arrays beside its tensors.
        return names.contains { $0.hasSuffix(".npy") } && !names.contains { $0.hasSuffix("/data.pkl") }
    }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            let entries = try ZipDirectory(bytes, path: file.path).storedEntries(bytes, path: file.path)
            var tensors: [TensorRecord] = []
            var checksums: [ChecksumField] = []
            var notes: [String] = []
            for entry in entries {
                guard entry.name.hasSuffix(".npy") else {
                    notes.append("entry \(quoted(entry.name)) is no array and stays as it is")
                    continue
                }
                let name = String(entry.name.dropLast(4))
                let content = UnsafeRawBufferPointer(rebasing: bytes[entry.extent.range])
                let header = try NumPyHeader(content, path: file.path, part: "array \(quoted(name))")
                guard let tensor = try header.record(named: name, in: entry.extent, path: file.path) else {
                    notes.append(header.note(on: name))
                    continue
                }
                tensors.append(tensor)
                checksums.append(ChecksumField(covered: entry.extent, fields: entry.crcFields))
            }
            guard !tensors.isEmpty else { throw .noTensors(path: file.path) }
            return ModelFile(
                format: self.name, path: file.path, files: [.init(name: fileName(file.path), file: file)],
                tensors: tensors, checksums: checksums, notes: notes)
        }
    }
}
