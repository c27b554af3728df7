/// The files beside a model that hold tensors' bytes (`external_data`).
///
/// Source: "External Data" of onnx/onnx: a location is a path relative to the model's folder and stays inside of it.
package struct ONNXExternalFiles {
    /// The files in the order in which tensors name them first, by their path from the model's folder.
    private(set) var sources: [ModelFile.Source] = []

    /// The files that hold tensors of an ONNX model; none of one that has all of its own.
    ///
    /// - Throws: ``ModelFileError`` for a damaged model and files that are missing.
    package static func sources(of model: MappedFile) throws(ModelFileError) -> [ModelFile.Source] {
        let isExternal = try model.withAllBytes { (bytes) throws(ModelFileError) in
            try ONNXGraphs(bytes, path: model.path).tensors.contains {
                if case .external = $0.values { true } else { false }
            }
        }
        return isExternal ? Array(try ModelFiles.open(model.path).files.dropFirst()) : []
    }

    private let model: String
    private var indices: [String: Int] = [:]

    /// No file yet, of the model at a path.
    init(model: String) { self.model = model }

    /// The extent of a tensor's bytes.
    ///
    /// - Parameters:
    ///   - tensor: the tensor.
    ///   - location: as the tensor names the file.
    ///   - offset: of its first byte there.
    ///   - length: of its bytes, when the tensor says it.
    /// - Returns: an extent whose file number is 1 for the first of `sources`.
    /// - Throws: ``ModelFileError`` for a file that is missing, too short or outside of the model's folder.
    mutating func extent(
        of tensor: ONNXTensor, location: String, offset: Int, length: Int?
    ) throws(ModelFileError) -> Extent {
        let index = try file(location, tensor: tensor.name)
        let size = sources[index].file.size
        // Without a length it is what the tensor takes, or the rest of the file for types of no known size.
        let length = length ?? tensor.size ?? max(size - offset, 0)
        guard offset <= size, length <= size - offset else {
            throw .invalidTensor(
                path: model, tensor: tensor.name, expected: "bytes within the \(size) of \(quoted(location))",
                found: "\(length) bytes at offset \(offset)")
        }
        return Extent(file: index + 1, offset: offset, length: length)
    }

    private mutating func file(_ location: String, tensor: String) throws(ModelFileError) -> Int {
        if let index = indices[location] { return index }
        let parts = location.split(separator: "/", omittingEmptySubsequences: false).filter { $0 != "." }
        guard !parts.isEmpty, !parts.contains(where: { $0.isEmpty || $0 == ".." || $0.utf8.contains(0) }) else {
            throw .invalidTensor(
                path: model, tensor: tensor, expected: "external data in the model's folder", found: quoted(location))
        }
        let name = parts.joined(separator: "/")
        if let index = indices[name] {
            indices[location] = index
            return index
        }
        let mapped = try MappedFile(try locate(name, tensor: tensor))
        sources.append(.init(name: name, file: mapped))
        indices[name] = sources.count - 1
        indices[location] = sources.count - 1
        return sources.count - 1
    }

    /// The path of an external file, once it is known to lie in the model's folder.
    private func locate(_ name: String, tensor: String) throws(ModelFileError) -> String {
        guard let path = try path(of: name, beside: model) else {
            throw .invalidTensor(
                path: model, tensor: tensor, expected: "external data in a file of its own in the model's folder",
                found: "\(quoted(name)), a link to another place or the model itself")
        }
        return path
    }
}
