/// One array as `numpy.save` writes it.
enum NumPyArray: ModelFormat {
    static let name = ModelFormatName.npy
    /// What the array is called: the file has no name for it.
    static let tensorName = "array"

    static func recognizes(_ file: MappedFile) -> Bool { file.withAllBytes { $0.starts(with: NumPyHeader.magic) } }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let header = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try NumPyHeader(bytes, path: file.path, part: "header")
        }
        let content = Extent(file: 0, offset: 0, length: file.size)
        guard let tensor = try header.record(named: tensorName, in: content, path: file.path) else {
            throw .unsupported(
                path: file.path, found: "a NumPy array of type \(shown(header.typeName))",
                advice: "convert it to little-endian floats")
        }
        return ModelFile(
            format: name, path: file.path, files: [.init(name: fileName(file.path), file: file)], tensors: [tensor])
    }
}
