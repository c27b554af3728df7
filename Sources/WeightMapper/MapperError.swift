/// What can go wrong while weights become bins and bins become pictures.
public enum MapperError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A weight is NaN or infinite, which no interval of [Wmin, Wmax] holds.
    case nonFinite(index: Int, value: String)
    /// A finite weight is too large for the quantizer.
    case tooLarge(index: Int, value: String, limit: String)
    /// Wmax - Wmin is more than a float64 holds.
    case rangeOverflow
    /// The shape cannot be a layer of that kind.
    case shape(kind: LayerKind, shape: [Int], expected: String)
    /// A bit depth outside 1...16.
    case bits(Int)
    /// A block that is empty or larger than the layer.
    case block(field: String, value: Int, limit: Int)
    /// Stored quantizer parameters do not fit the layer they belong to.
    case parameters(expected: String, found: String)
    /// A quantization precision, or what it is adjusted by, that cannot be.
    case precision(expected: String, found: String)

    public var description: String {
        switch self {
        case .nonFinite(let index, let value):
            "weight \(index) is \(value), expected a finite number (--nonfinite exact keeps such tensors as they are)"
        case .tooLarge(let index, let value, let limit):
            "weight \(index) is \(value), expected a magnitude of at most \(limit) (--nonfinite exact keeps such tensors as they are)"
        case .rangeOverflow:
            "expected Wmax - Wmin to be a finite float64, found an overflow (--nonfinite exact keeps such tensors as they are)"
        case .shape(let kind, let shape, let expected):
            "a \(kind.rawValue) layer needs \(expected), found shape \(shape)"
        case .bits(let bits):
            "expected 1 to 16 bits per weight, found \(bits)"
        case .block(let field, let value, let limit):
            "block size \(field) must be 1 to \(limit), found \(value)"
        case .parameters(let expected, let found):
            "quantizer parameters: expected \(expected), found \(found)"
        case .precision(let expected, let found):
            "quantization precision: expected \(expected), found \(found)"
        }
    }
}
