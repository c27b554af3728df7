import ModelFiles

/// The header of a NumPy array file (`.npy`, version 1.0).
///
/// Source: "The .npy format" in NumPy's documentation (`numpy.lib.format`).
enum NpyHeader {
    /// Most dimensions that NumPy takes.
    private static let maximumDimensions = 64
    /// Bytes of a name that a ZIP has room for, with some to spare.
    private static let maximumNameLength = 60_000

    /// NumPy's name of a type; `nil` for one that it does not have.
    ///
    /// bfloat16, which only extensions add, is written as float32, which holds its values exactly and every program reads.
    static func descriptor(of dtype: DType) -> String? { descriptors[dtype.rawValue] }

    private static let descriptors = [
        "BOOL": "|b1", "I8": "|i1", "U8": "|u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8",
        "U64": "<u8", "F16": "<f2", "BF16": "<f4", "F32": "<f4", "F64": "<f8", "C64": "<c8", "C128": "<c16",
    ]

    /// Whether an array archive can hold a tensor of this name and shape.
    static func canHold(_ record: TensorRecord) -> Bool {
        record.shape.count <= maximumDimensions && !record.name.isEmpty && record.name.utf8.count <= maximumNameLength
            && !record.name.utf8.contains(0)
    }

    /// The header of an array in row-major order, padded so that the elements begin at a multiple of 64.
    static func bytes(for record: TensorRecord) -> [UInt8] {
        let sizes = record.shape.map(String.init)
        // A tuple of one has a comma in Python.
        let shape = sizes.count == 1 ? "(\(sizes[0]),)" : "(\(sizes.joined(separator: ", ")))"
        let type = descriptor(of: record.dtype) ?? ""
        var text = Array("{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }".utf8)
        let start = 10
        let padding = 63 - (start + text.count) % 64
        text += Array(repeating: UInt8(ascii: " "), count: padding) + [UInt8(ascii: "\n")]
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(text.count & 0xff), UInt8(text.count >> 8)] + text
    }
}
