/// A model in one safetensors file.
enum Safetensors: ModelFormat {
    static let name = ModelFormatName.safetensors

    static func recognizes(_ file: MappedFile) -> Bool {
        file.withAllBytes { bytes in
            guard bytes.count >= 10, bytes[8] == UInt8(ascii: "{") else { return false }
            let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
            // With a damaged length the file must still not pass for raw floats.
            return length <= UInt64(SafetensorsHeader.maximumLength)
                || bytes[9..<min(bytes.count, 41)].allSatisfy { (0x20..<0x7f).contains($0) }
        }
    }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let header = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try SafetensorsHeader(bytes, file: 0, path: file.path)
        }
        guard !header.tensors.isEmpty else { throw .noTensors(path: file.path) }
        return ModelFile(
            format: name, path: file.path, files: [.init(name: fileName(file.path), file: file)],
            tensors: header.tensors)
    }
}
