/// A floating-point type whose tensors can be packed bit for bit, named as safetensors names it.
///
/// From the highest bit on, a number is its sign, its exponent and its mantissa.
public enum FloatFormat: String, Sendable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case f8E4M3 = "F8_E4M3"
    case f8E5M2 = "F8_E5M2"

    /// Bits of a number: 8, 16, 32 or 64.
    public var bits: Int {
        switch self {
        case .f64: 64
        case .f32: 32
        case .f16, .bf16: 16
        case .f8E4M3, .f8E5M2: 8
        }
    }

    /// Bits of the mantissa.
    public var mantissaBits: Int {
        switch self {
        case .f64: 52
        case .f32: 23
        case .f16: 10
        case .bf16: 7
        case .f8E4M3: 3
        case .f8E5M2: 2
        }
    }
}

/// The bits of a number as a whole number of the same width.
public protocol WeightWord: FixedWidthInteger, UnsignedInteger, BitwiseCopyable, Sendable {}
extension UInt8: WeightWord {}
extension UInt16: WeightWord {}
extension UInt32: WeightWord {}
extension UInt64: WeightWord {}

/// Words that can be read from any place as often as needed, a piece at a time, so that they need not be in memory.
protocol WordSource {
    associatedtype Word: WeightWord
    /// Number of words.
    var count: Int { get }
    /// Copies the words of `range` to `target`.
    func load(_ range: Range<Int>, into target: UnsafeMutablePointer<Word>)
}

/// Words as a file holds them: little-endian, at any address.
struct StoredWords<Word: WeightWord>: WordSource {
    let bytes: UnsafeRawBufferPointer

    var count: Int { bytes.count / MemoryLayout<Word>.size }

    func load(_ range: Range<Int>, into target: UnsafeMutablePointer<Word>) {
        let size = MemoryLayout<Word>.size
        let piece = UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound * size..<range.upperBound * size])
        UnsafeMutableRawBufferPointer(start: target, count: piece.count).copyMemory(from: piece)
        #if _endian(big)
            for i in 0..<range.count { target[i] = target[i].byteSwapped }
        #endif
    }
}

/// Words that are worked on at a time: they and what is made of them stay in a core's cache.
let wordsAtATime = 8192
