/// An element type, named as safetensors names it ("F32", "BF16", "I64").
///
/// The set is open: a name that is not known here has no bit width and is carried along unread.
public struct DType: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public static let f64 = DType(rawValue: "F64")
    public static let f32 = DType(rawValue: "F32")
    public static let f16 = DType(rawValue: "F16")
    public static let bf16 = DType(rawValue: "BF16")
    public static let f8E4M3 = DType(rawValue: "F8_E4M3")
    public static let f8E5M2 = DType(rawValue: "F8_E5M2")
    public static let i64 = DType(rawValue: "I64")
    public static let i32 = DType(rawValue: "I32")
    public static let i16 = DType(rawValue: "I16")
    public static let i8 = DType(rawValue: "I8")
    public static let u64 = DType(rawValue: "U64")
    public static let u32 = DType(rawValue: "U32")
    public static let u16 = DType(rawValue: "U16")
    public static let u8 = DType(rawValue: "U8")
    public static let bool = DType(rawValue: "BOOL")
    public static let c64 = DType(rawValue: "C64")

    /// Bits of one element, or nil for a type that is not known here.
    public var bitWidth: Int? { Self.bitWidths[rawValue] }

    /// Whether a tensor of this type can be packed: the IEEE floats of 64, 32 and 16 bits, and bfloat16.
    public var isPackableFloat: Bool { self == .f32 || self == .f16 || self == .bf16 || self == .f64 }

    public var description: String { rawValue }

    // safetensors 0.8 (`safetensors/src/tensor.rs`, `Dtype::bitsize`), and PyTorch's two other complex types.
    private static let bitWidths: [String: Int] = [
        "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8,
        "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C32": 32,
        "C64": 64, "F64": 64, "I64": 64, "U64": 64, "C128": 128,
    ]
}

/// The number of elements of a tensor, or nil when a size is negative or the product is too large.
public func elementCount(_ shape: [Int]) -> Int? {
    guard shape.allSatisfy({ $0 >= 0 }) else { return nil }
    // An empty tensor may have huge other sizes; their product must not count as an overflow.
    if shape.contains(0) { return 0 }
    var count = 1
    for size in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        if overflow { return nil }
        count = product
    }
    return count
}

/// The bytes that `count` elements of `bits` bits occupy, or nil when not a whole number of bytes or too large.
func byteCount(_ count: Int, bits: Int) -> Int? {
    let (total, overflow) = count.multipliedReportingOverflow(by: bits)
    return overflow || !total.isMultiple(of: 8) ? nil : total / 8
}

func described(_ dtype: DType, _ shape: [Int]) -> String {
    "\(dtype) [\(shape.map(String.init).joined(separator: ", "))]"
}
