/// A model in GGUF, in one file or split into several that llama.cpp's `gguf-split` named `NAME-00001-of-00003.gguf`.
///
/// Any part opens the whole, the first part's file first. Tensors of plain floats can be packed; block-quantized ones keep their bytes.
enum GGUF: ModelFormat {
    static let name = ModelFormatName.gguf
    static let spansFiles = true
    static let signature = Array("GGUF".utf8)

    static func recognizes(_ file: MappedFile) -> Bool { file.withAllBytes { $0.starts(with: signature) } }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let header = try header(of: file, index: 0)
        guard header.splitCount > 1 else { return try model(file.path, [file], header.tensors) }
        let names = try partNames(of: file, count: header.splitCount)
        var files: [MappedFile] = []
        var tensors: [TensorRecord] = []
        for name in names {
            let path = String(file.path.dropLast(fileName(file.path).count)) + name
            let part = path == file.path ? file : try MappedFile(path)
            guard recognizes(part) else {
                throw .malformed(path: path, part: "split", expected: "a part of a GGUF model", found: "another file")
            }
            let header = try self.header(of: part, index: files.count)
            guard header.splitCount == names.count else {
                throw .malformed(
                    path: path, part: "split.count", expected: "\(names.count)", found: "\(header.splitCount)")
            }
            files.append(part)
            tensors += header.tensors
        }
        var seen: Set<String> = []
        for tensor in tensors where !seen.insert(tensor.name).inserted {
            throw .invalidTensor(
                path: file.path, tensor: tensor.name, expected: "to be in one part of the model", found: "it in two")
        }
        return try model(file.path, files, tensors)
    }

    private static func header(of file: MappedFile, index: Int) throws(ModelFileError) -> GGUFHeader {
        try file.withAllBytes { (bytes) throws(ModelFileError) in
            try GGUFHeader(bytes, file: index, path: file.path)
        }
    }

    private static func model(
        _ path: String, _ files: [MappedFile], _ tensors: [TensorRecord]
    ) throws(ModelFileError) -> ModelFile {
        guard !tensors.isEmpty else { throw .noTensors(path: path) }
        return ModelFile(
            format: name, path: path, files: files.map { .init(name: fileName($0.path), file: $0) }, tensors: tensors)
    }

    /// The names of all parts, told from the name of one.
    private static func partNames(of file: MappedFile, count: Int) throws(ModelFileError) -> [String] {
        let name = fileName(file.path)
        guard let match = name.wholeMatch(of: /(.*-)[0-9]{5}(-of-([0-9]{5})\.gguf)/), Int(match.3) == count else {
            throw .malformed(
                path: file.path, part: "file name",
                expected: "NAME-00001-of-\(padded(count)).gguf, for one of \(count) parts beside each other",
                found: quoted(name))
        }
        return (1...count).map { "\(match.1)\(padded($0))\(match.2)" }
    }

    private static func padded(_ number: Int) -> String {
        String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number)
    }
}
