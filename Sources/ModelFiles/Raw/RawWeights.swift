/// Little-endian float32 values with no description, or any tensors with a ``Layout``.
enum RawWeights: ModelFormat {
    static let name = ModelFormatName.raw

    /// How many values are looked at, spread over the file.
    private static let sampleSize = 65536
    /// How many values at the start are looked at besides: a header of another format shows there.
    private static let headSize = 64

    static func recognizes(_ file: MappedFile) -> Bool {
        guard file.size > 0, file.size.isMultiple(of: 4) else { return false }
        return plausibility(file) >= 0.99 && plausibility(file, first: headSize) >= 0.75
    }

    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile {
        let tensor = TensorRecord(
            name: "weights", dtype: .f32, shape: [file.size / 4], extent: Extent(file: 0, offset: 0, length: file.size),
            memoryOrder: [0])
        return ModelFile(
            format: name, path: file.path, files: [.init(name: fileName(file.path), file: file)], tensors: [tensor])
    }

    /// Opens the file as the tensors that a layout names.
    static func open(_ file: MappedFile, layout: String) throws(ModelFileError) -> ModelFile {
        let tensors = try Layout(layout, of: file).tensors
        return ModelFile(
            format: name, path: file.path, files: [.init(name: fileName(file.path), file: file)], tensors: tensors)
    }

    /// Why a file that nothing recognizes is not taken for raw weights.
    static func refusal(of file: MappedFile) -> String {
        if file.size == 0 { return "an empty file" }
        guard file.size.isMultiple(of: 4) else {
            return "no known signature, and \(file.size) bytes are no whole number of float32 values"
        }
        let percent = Int(100 * min(plausibility(file), plausibility(file, first: headSize)))
        return "no known signature, and read as float32 only \(percent) % of its values are plausible weights"
    }

    /// The share of values that a trained network could hold: 0, or a magnitude between 1e-20 and 1e6.
    private static func plausibility(_ file: MappedFile, first head: Int? = nil) -> Double {
        file.withAllBytes { bytes in
            let total = min(bytes.count / 4, head ?? .max)
            guard total > 0 else { return 0 }
            let sampled = min(total, sampleSize)
            var plausible = 0
            for sample in 0..<sampled {
                // A mapped file is below 2^47 bytes: the product cannot overflow.
                let index = total * sample / sampled
                let pattern = bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
                let magnitude = Float(bitPattern: UInt32(littleEndian: pattern)).magnitude
                if magnitude == 0 || (magnitude > 1e-20 && magnitude < 1e6) { plausible += 1 }
            }
            return Double(plausible) / Double(sampled)
        }
    }
}
