/// Opens model files, whatever their names: the content decides the format.
public enum ModelFiles {
    /// The formats that are read, in the order in which they are tried; raw weights have no signature and come last.
    static let formats: [any ModelFormat.Type] = [
        GGUF.self,
        TFLite.self,
        Safetensors.self,
        ModelShards.self,
        NumPyArchive.self,
        KerasArchive.self,
        TorchZip.self,
        TorchLegacy.self,
        NumPyArray.self,
        HDF5Model.self,
        ONNX.self,
    ]

    /// Opens a model and describes its tensors without reading their bytes.
    ///
    /// Read are safetensors and PyTorch checkpoints (`torch.save`, before and since 1.6), each as one file or the JSON index of
    /// several, TorchScript archives, ONNX models with or without external data, GGUF, TensorFlow Lite, NumPy's arrays and
    /// archives, Keras and HDF5 files and, when nothing else fits, raw little-endian float32 values. Of a folder every file is
    /// part of the model, and the tensors are those of the model files in it (raw ones are not guessed there).
    ///
    /// Nothing in a file is ever run: what a pickle would have Python call or build is skipped, and the tensors around it are
    /// found all the same.
    ///
    /// A layout names the tensors of a raw file: a JSON object with an array `tensors`, or the array alone, of objects with
    /// `name`, `shape` and, as needed, `dtype` (F32), `kind` (fc, conv, depthwise, lstm, gru, embedding), `convention`
    /// (pytorch, onnx, keras, transposed) and `offset` in bytes (where the tensor before ends).
    ///
    /// - Parameters:
    ///   - path: the model file, or a folder.
    ///   - layout: a JSON file that describes raw weights.
    /// - Returns: the model, its files mapped.
    /// - Throws: ``ModelFileError`` when the file is no model, is of a kind that is not read, or is damaged.
    public static func open(_ path: String, layout: String? = nil) throws(ModelFileError) -> ModelFile {
        if ModelDirectory.isFolder(path) {
            guard layout == nil else {
                throw .malformed(
                    path: path, part: "layout", expected: "a file of raw weights to describe", found: "a folder")
            }
            return try ModelDirectory.open(path)
        }
        let file = try MappedFile(path)
        do throws(ModelFileError) {
            return try open(file, layout: layout)
        } catch {
            // Whatever was found, that is why.
            try file.checkUnchanged()
            throw error
        }
    }

    /// Opens a file in the format that its content has.
    private static func open(_ file: MappedFile, layout: String?) throws(ModelFileError) -> ModelFile {
        let path = file.path
        let format = formats.first { $0.recognizes(file) }
        if let layout {
            if let format {
                throw .malformed(
                    path: path, part: "layout", expected: "a file of raw weights to describe",
                    found: "one that describes itself (\(format.name.title))")
            }
            return try RawWeights.open(file, layout: layout)
        }
        if let format { return try open(file, as: format) }
        if let refusal = ForeignContent.refusal(of: file) { throw refusal }
        guard RawWeights.recognizes(file) else { throw .notAModel(path: path, found: RawWeights.refusal(of: file)) }
        return try RawWeights.open(file)
    }

    /// Opens several models as one, as the checkpoints of a training run.
    ///
    /// Each tensor's name begins with its model's, as `step1.pt:fc.weight`; ``ModelFile/members`` lists the models. Together
    /// they are restored as a folder.
    ///
    /// - Parameters:
    ///   - paths: model files or folders, at least one; one is opened as ``open(_:layout:)`` does.
    ///   - layout: a JSON file that describes raw weights, for all of them.
    /// - Throws: ``ModelFileError`` when one is no model, or is given twice.
    public static func open(_ paths: [String], layout: String? = nil) throws(ModelFileError) -> ModelFile {
        paths.count == 1 ? try open(paths[0], layout: layout) : try ModelSeries.open(paths, layout: layout)
    }

    /// Whether a file's content is an ONNX model, damaged or not.
    package static func isONNX(_ file: MappedFile) -> Bool { ONNX.recognizes(file) }

    /// Opens a file in a format that recognizes it; a ZIP with compressed entries in its plain form.
    static func open(_ file: MappedFile, as format: any ModelFormat.Type) throws(ModelFileError) -> ModelFile {
        guard let plain = try ZipCompression.plainForm(of: file) else { return try format.open(file) }
        return try format.open(plain.file).standing(for: plain)
    }
}
