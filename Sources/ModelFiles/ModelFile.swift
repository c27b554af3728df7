/// The format of a model file.
public enum ModelFormatName: String, Sendable, Codable, CaseIterable {
    case safetensors
    case safetensorsSharded = "safetensors-sharded"
    case pytorch
    case pytorchLegacy = "pytorch-legacy"
    case pytorchSharded = "pytorch-sharded"
    case torchScript = "torchscript"
    case onnx
    case npy
    case npz
    case gguf
    case keras
    case hdf5
    case tflite
    case directory
    case raw

    /// The name as a person reads it.
    public var title: String {
        switch self {
        case .safetensors: "safetensors"
        case .safetensorsSharded: "safetensors in shards"
        case .pytorch: "PyTorch"
        case .pytorchLegacy: "PyTorch before 1.6"
        case .pytorchSharded: "PyTorch in shards"
        case .torchScript: "TorchScript"
        case .onnx: "ONNX"
        case .npy: "NumPy array"
        case .npz: "NumPy archive"
        case .gguf: "GGUF"
        case .keras: "Keras"
        case .hdf5: "HDF5"
        case .tflite: "TensorFlow Lite"
        case .directory: "model directory"
        case .raw: "raw float32"
        }
    }
}

/// An opened model: its files and the byte ranges of its tensors.
///
/// Restoring a model is writing its files' own bytes with the extents of the packed tensors replaced, and the checksums over
/// them renewed; all else is untouched by construction.
public struct ModelFile: Sendable {
    /// One of a model's files.
    public struct Source: Sendable {
        /// Its name beside the model's other files: plain, or for one in a subfolder a path with `/`, without `.` and `..`.
        public private(set) var name: String
        /// Its bytes; those of a temporary file where the tensors of the original are no runs of bytes.
        public let file: MappedFile
        /// Size of the original, in bytes.
        public let originalSize: Int
        /// What turns `file` into the original again; nil where it is the original.
        public let recoding: Recoding?

        init(name: String, file: MappedFile, originalSize: Int? = nil, recoding: Recoding? = nil) {
            self.name = name
            self.file = file
            self.originalSize = originalSize ?? file.size
            self.recoding = recoding
        }

        /// The same file under another name.
        func named(_ name: String) -> Source {
            var copy = self
            copy.name = name
            return copy
        }
    }

    /// The format that its content has.
    public let format: ModelFormatName
    /// The path it was opened by.
    public let path: String
    /// The file of `path` first; for a sharded model its shards follow by name.
    ///
    /// Of a directory and of a split GGUF model every file, by name.
    public let files: [Source]
    /// Every tensor under every name, in the format's own order (safetensors and raw: by place in the files).
    public let tensors: [TensorRecord]
    /// Runs of elements that tensors are views of, each whole.
    ///
    /// They are PyTorch's storages, where tensors do not fill them one after another. They overlap these tensors and nothing
    /// else, and have names that no tensor has.
    public let storages: [TensorRecord]
    /// The checksum fields over bytes of tensors.
    public let checksums: [ChecksumField]
    /// What a person should know about how the file was read, a line each.
    public let notes: [String]
    /// The models that were opened together, as the checkpoints of a run are, in the order given; empty for one model.
    public let members: [Member]

    /// One of several models that were opened together.
    public struct Member: Hashable, Sendable {
        /// Its name, with which those of its tensors begin: `step1.pt` where one is `step1.pt:fc.weight`.
        public let name: String
        /// Indexes of its files.
        public let files: Range<Int>
    }

    init(
        format: ModelFormatName, path: String, files: [Source], tensors: [TensorRecord],
        storages: [TensorRecord] = [], checksums: [ChecksumField] = [], notes: [String] = [], members: [Member] = []
    ) {
        self.format = format
        self.path = path
        self.files = files
        self.tensors = tensors
        let taken = storages.isEmpty ? [] : Set(tensors.map(\.name))
        self.storages = storages.filter { !taken.contains($0.name) }
        self.checksums = checksums
        self.notes = notes
        self.members = members
    }

    /// Which of `members` a tensor belongs to, and its name in that model; `nil` where one model was opened.
    public func member(of tensor: TensorRecord) -> (index: Int, tensorName: String)? {
        members.firstIndex { $0.files.contains(tensor.extent.file) }.map { index in
            (index, String(tensor.name.dropFirst(members[index].name.count + 1)))
        }
    }

    /// The same model, its first file the plain form of another.
    func standing(for source: Source) -> ModelFile {
        ModelFile(
            format: format, path: path, files: [source] + files.dropFirst(), tensors: tensors, storages: storages,
            checksums: checksums, notes: notes, members: members)
    }

    /// Calls `body` with the bytes of an extent of this model, which are valid during the call only.
    public func withBytes<Result, Failure: Error>(
        of extent: Extent, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try files[extent.file].file.withBytes(extent.range, body)
    }
}

/// A reader of one model format.
public protocol ModelFormat: Sendable {
    static var name: ModelFormatName { get }

    /// Whether a model of this format may refer to files beside its own.
    static var spansFiles: Bool { get }

    /// Whether the content is of this format, whatever the file is called; a damaged file may still be recognized.
    static func recognizes(_ file: MappedFile) -> Bool

    /// Describes the tensors of a file that this format recognizes.
    ///
    /// - Throws: ``ModelFileError`` for content that breaks the format's rules.
    static func open(_ file: MappedFile) throws(ModelFileError) -> ModelFile
}

extension ModelFormat {
    static var spansFiles: Bool { false }
}
