/// A run of bytes in one of a model's files.
public struct Extent: Hashable, Sendable {
    /// Index into ``ModelFile/files``.
    public var file: Int
    /// Offset of the first byte.
    public var offset: Int
    /// Number of bytes; may be 0.
    public var length: Int

    public init(file: Int, offset: Int, length: Int) {
        self.file = file
        self.offset = offset
        self.length = length
    }

    /// The bytes' offsets in the file.
    public var range: Range<Int> { offset..<(offset + length) }
}

/// A tensor of a model file: what it is called, what it holds and where its bytes are.
///
/// Several records may share an extent (tied weights) or overlap partly (views of one storage): they are reported as the
/// file has them.
public struct TensorRecord: Hashable, Sendable {
    /// The tensor's name, unique in its file.
    public var name: String
    /// The type of its elements.
    public var dtype: DType
    /// Its sizes, outermost dimension first; empty for a scalar.
    public var shape: [Int]
    /// The bytes it occupies, little-endian elements.
    public var extent: Extent
    /// The dimensions in the order in which memory holds them, slowest first.
    ///
    /// `[0, 1, 2, …]` for a row-major tensor, another permutation for a transposed or channels-last one. Nil where the
    /// elements do not fill the extent one after another (gaps, an expanded dimension, a pending negation): such a tensor
    /// cannot be replaced through its extent.
    public var memoryOrder: [Int]?
    /// Elements from one index to the next in each dimension, for a view that ``memoryOrder`` cannot describe.
    ///
    /// Its first element is the extent's first. Nil everywhere else, and where the elements are not the tensor's values as
    /// they stand (a pending negation).
    public var strides: [Int]?
    /// The kind of its layer when the file says so: "fc", "conv", "depthwise", "lstm", "gru" or "embedding";
    /// "vector" for biases and states that have a matrix's rank but are none, "part" for numbers of an object whose class is not
    /// known, as of a quantized tensor.
    public var kindHint: String?
    /// Whose axis and gate order the tensor follows when the file says so: "pytorch", "onnx", "keras", "transposed" or "tflite".
    public var conventionHint: String?

    public init(
        name: String, dtype: DType, shape: [Int], extent: Extent, memoryOrder: [Int]?, kindHint: String? = nil,
        conventionHint: String? = nil, strides: [Int]? = nil
    ) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.extent = extent
        self.memoryOrder = memoryOrder
        self.kindHint = kindHint
        self.conventionHint = conventionHint
        self.strides = strides
    }

    /// The number of elements.
    public var count: Int { elementCount(shape) ?? 0 }

    /// Whether its bytes are floats that can be replaced in place.
    public var isPackable: Bool { dtype.isPackableFloat && memoryOrder != nil }
}

/// CRC-32 fields that guard a run of bytes, as a ZIP has them for each entry.
///
/// When any byte of `covered` changes, the CRC-32 (zlib's polynomial) of the whole run is to be written, little-endian, at
/// each offset of `fields`, in the same file. When none changes, the fields stay as they are.
public struct ChecksumField: Hashable, Sendable {
    /// The bytes the checksum is over.
    public var covered: Extent
    /// Offsets of the 4-byte fields in the file of `covered`, none of them inside `covered`.
    public var fields: [Int]

    public init(covered: Extent, fields: [Int]) {
        self.covered = covered
        self.fields = fields
    }
}

extension TensorRecord {
    /// The same record for a model in which its file has another index.
    func moved(toFile file: Int) -> TensorRecord {
        var record = self
        record.extent.file = file
        return record
    }
}

extension ChecksumField {
    /// The same field for a model in which its file has another index.
    func moved(toFile file: Int) -> ChecksumField {
        var field = self
        field.covered.file = file
        return field
    }
}
