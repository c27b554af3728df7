extension ModelFile {
    /// What a safetensors file of this model's tensors says of them besides, as its header's `__metadata__`.
    ///
    /// Of safetensors files it is their own, of PyTorch's `format` = `pt`, which libraries look for; of several files what they
    /// agree on.
    public var safetensorsMetadata: [String: String] {
        let places = Set(tensors.map(\.extent.file)).sorted()
        let metadata = places.map { Self.metadata(of: files[$0].file) }
        guard let first = metadata.first else { return [:] }
        return first.filter { entry in metadata.allSatisfy { $0[entry.key] == entry.value } }
    }

    private static func metadata(of file: MappedFile) -> [String: String] {
        switch ModelFiles.formats.first(where: { $0.recognizes(file) })?.name {
        case .safetensors:
            let header = file.withAllBytes { bytes in try? SafetensorsHeader(bytes, file: 0, path: file.path) }
            return header?.metadata ?? [:]
        case .pytorch, .pytorchLegacy, .torchScript:
            return ["format": "pt"]
        default:
            return [:]
        }
    }
}
