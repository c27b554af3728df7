import ModelFiles

/// The elements of a tensor that a network takes or gives.
public struct TensorValue: Hashable, Sendable {
    /// The type of its elements, of whole bytes.
    public let type: DType
    /// Its sizes, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Its elements, row-major, little-endian.
    public let bytes: [UInt8]

    /// - Returns: `nil` when the bytes are not those of all elements, or the type has no whole number of them.
    public init?(type: DType, shape: [Int], bytes: [UInt8]) {
        guard let size = Self.byteCount(type, shape), size == bytes.count else { return nil }
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    /// Bytes that a tensor takes; `nil` for sizes that make no shape and types without whole bytes.
    public static func byteCount(_ type: DType, _ shape: [Int]) -> Int? {
        guard let bits = type.bitWidth, bits.isMultiple(of: 8), let count = elementCount(shape) else { return nil }
        let (size, overflow) = count.multipliedReportingOverflow(by: bits / 8)
        return overflow ? nil : size
    }

    /// The number of elements.
    public var count: Int { elementCount(shape) ?? 0 }

    /// The same elements in another shape; `nil` when there are not as many in it.
    public func reshaped(_ shape: [Int]) -> TensorValue? { TensorValue(type: type, shape: shape, bytes: bytes) }

    /// The type and the sizes, as "F32 1x3x224x224".
    public var text: String { "\(type) \(shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "x"))" }

    /// The elements as numbers; 64-bit integers beyond 2^53 lose their last digits.
    ///
    /// - Returns: `nil` for complex numbers and floats of less than 16 bits.
    public var numbers: [Double]? {
        switch type {
        case .f32: elements(of: Float.self) { Double($0) }
        case .f64: elements(of: Double.self) { $0 }
        case .f16: elements(of: UInt16.self) { Double(Float16(bitPattern: $0)) }
        case .bf16: elements(of: UInt16.self) { Double(Float(bitPattern: UInt32($0) << 16)) }
        case .i64: elements(of: Int64.self) { Double($0) }
        case .i32: elements(of: Int32.self) { Double($0) }
        case .i16: elements(of: Int16.self) { Double($0) }
        case .i8: elements(of: Int8.self) { Double($0) }
        case .u64: elements(of: UInt64.self) { Double($0) }
        case .u32: elements(of: UInt32.self) { Double($0) }
        case .u16: elements(of: UInt16.self) { Double($0) }
        case .u8, .bool: elements(of: UInt8.self) { Double($0) }
        default: nil
        }
    }

    private func elements<Element: BitwiseCopyable>(of: Element.Type, _ number: (Element) -> Double) -> [Double] {
        bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / MemoryLayout<Element>.size).map {
                number(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: Element.self))
            }
        }
    }
}
