/// The arithmetic types that weights are quantized in: `Float` for float32 and narrower tensors, `Double` for float64.
public protocol WeightScalar: BinaryFloatingPoint, SIMDScalar, BitwiseCopyable, Codable, Sendable {
    /// 1.5 * 2^m with m the mantissa's width: adding it rounds to a whole number and leaves that number in the low bits.
    ///
    /// The idiom vectorizes on every processor, which `rounded()` and checked integer conversions do not.
    static var roundingMagic: Self { get }
    /// The whole number that adding `roundingMagic` left in the low bits.
    var roundedBits: Int32 { get }

    /// A whole number as wide as this type.
    associatedtype OrderedBits: FixedWidthInteger & SignedInteger
    /// A whole number that grows with the value: minima and maxima of whole numbers vectorize, those of floats do not.
    ///
    /// NaN lies beyond the infinity of its sign, and -0 just below 0.
    var orderedBits: OrderedBits { get }
    /// The value with these ordered bits.
    init(orderedBits: OrderedBits)
}

extension Float: WeightScalar {
    public static var roundingMagic: Float { 12_582_912 }
    public var roundedBits: Int32 { Int32(truncatingIfNeeded: bitPattern &- Self.roundingMagic.bitPattern) }
    public var orderedBits: Int32 { flipped(Int32(bitPattern: bitPattern)) }
    public init(orderedBits: Int32) { self.init(bitPattern: UInt32(bitPattern: flipped(orderedBits))) }
}

extension Double: WeightScalar {
    public static var roundingMagic: Double { 6_755_399_441_055_744 }
    public var roundedBits: Int32 { Int32(truncatingIfNeeded: bitPattern &- Self.roundingMagic.bitPattern) }
    public var orderedBits: Int64 { flipped(Int64(bitPattern: bitPattern)) }
    public init(orderedBits: Int64) { self.init(bitPattern: UInt64(bitPattern: flipped(orderedBits))) }
}

/// Reverses the order of negative numbers: from sign and magnitude to two's complement and back.
@inline(__always)
private func flipped<Bits: FixedWidthInteger & SignedInteger>(_ bits: Bits) -> Bits {
    bits ^ (bits &>> (Bits.bitWidth &- 1) & .max)
}

/// A bin number's storage: one byte up to 8 bits, two above.
public protocol BinScalar: FixedWidthInteger, UnsignedInteger, BitwiseCopyable, Sendable {}
extension UInt8: BinScalar {}
extension UInt16: BinScalar {}

/// Weights that can be read from the start as often as a quantizer needs, a chunk at a time, so that no layer has to be
/// in memory whole.
public protocol WeightSource {
    /// The type that the weights are handed over in.
    associatedtype Scalar: WeightScalar
    /// Number of weights.
    var count: Int { get }
    /// Largest finite number of the type that weights are restored to, beyond which none may be.
    var largestFinite: Double { get }
    /// Calls `body` with consecutive chunks and the index of each chunk's first weight.
    func forEachChunk<Failure: Error>(_ body: (Int, Span<Scalar>) throws(Failure) -> Void) throws(Failure)
}

extension WeightSource {
    /// That of `Scalar`.
    public var largestFinite: Double { Double(Scalar.greatestFiniteMagnitude) }
}

/// Weights that are in memory as an array.
extension Array: WeightSource where Element: WeightScalar {
    public typealias Scalar = Element
    public func forEachChunk<Failure: Error>(_ body: (Int, Span<Element>) throws(Failure) -> Void) throws(Failure) {
        try body(0, span)
    }
}
