/// The two kinds of quantization precision of CN111832695A: either way a value is a whole number k, signed and of `bitnum`
/// bits, times a step.
public enum PrecisionKind: String, Sendable, Codable, CaseIterable {
    /// Discrete: an exponent s, a value is k * 2^s.
    case exponent
    /// Continuous: a scale f, a value is k * f.
    case scale
}

/// A quantization precision: what k is multiplied by.
public enum Precision: Hashable, Sendable, CustomStringConvertible {
    /// Discrete precision s; a value is k * 2^s, with s in -1074...1023 as binary64 has it.
    case exponent(Int)
    /// Continuous precision f; a value is k * f, with f positive and finite.
    case scale(Double)

    /// Which kind it is.
    public var kind: PrecisionKind {
        switch self {
        case .exponent: .exponent
        case .scale: .scale
        }
    }

    /// The value of k = 1: 2^s or f.
    public var step: Double {
        switch self {
        case .exponent(let s): powerOfTwo(s)
        case .scale(let f): f
        }
    }

    /// The precision of this kind and step; the step of an exponent is a power of two.
    init(_ kind: PrecisionKind, step: Double) {
        self =
            switch kind {
            case .exponent: .exponent(Int(step.exponent))
            case .scale: .scale(step)
            }
    }

    /// Whether `step` is a positive finite number.
    var isValid: Bool {
        switch self {
        case .exponent(let s): (Self.leastExponent...Self.greatestExponent).contains(s)
        case .scale(let f): f > 0 && f.isFinite
        }
    }

    /// Exponent of the smallest positive binary64 number.
    static let leastExponent = -1074
    /// Exponent of the largest power of two in binary64.
    static let greatestExponent = 1023

    public var description: String {
        switch self {
        case .exponent(let s): "s = \(s)"
        case .scale(let f): Double(Float(f)) == f ? "f = \(Float(f))" : "f = \(f)"
        }
    }
}

/// The largest k of `bits` bits, 2^(bitnum-1) - 1.
func largestCode(bits: Int) -> Double { Double(1 << (bits - 1) - 1) }

extension PrecisionKind {
    /// The step of the claims' formulas for a largest absolute value, which is positive:
    /// s = ceil(log2(amax)) - bitnum + 1, or f = amax / (2^(bitnum-1) - 1).
    ///
    /// The logarithm is exact, also of powers of two and denormal numbers. A scale is rounded up to binary32, or stays
    /// binary64 where that has no normal number. With an exponent, values in the upper half of the last step below
    /// 2^(s + bitnum - 1) are rounded to a k of 2^(bitnum-1), which has no such number: they saturate, at an error of no
    /// more than a step.
    public func step(fitting largest: Double, bits: Int) -> Double {
        switch self {
        case .exponent:
            let s = ceilingOfBinaryLogarithm(largest) - bits + 1
            return powerOfTwo(min(max(s, Precision.leastExponent), Precision.greatestExponent))
        case .scale:
            let exact = largest / largestCode(bits: bits)
            let near = Float(exact)
            let above = Double(near) < exact ? near.nextUp : near
            if above.isNormal {
                // Of numbers next to the largest of binary32, times k it must not be infinite there.
                let limit = Double(Float.greatestFiniteMagnitude)
                let isBeyond = largest <= limit && Double(above) * largestCode(bits: bits) > limit
                return Double(isBeyond ? above.nextDown : above)
            }
            return max(exact, .leastNonzeroMagnitude)
        }
    }

    /// One step up: s + 1, or 2f; unchanged where that is more than binary64 holds.
    func raised(_ step: Double) -> Double { (2 * step).isFinite ? 2 * step : step }

    /// One step down: s - 1, or f / 2; unchanged where that is less than binary64 holds.
    func lowered(_ step: Double) -> Double { step / 2 > 0 ? step / 2 : step }
}

/// ceil(log2(value)) of a positive number, from its bits.
func ceilingOfBinaryLogarithm(_ value: Double) -> Int {
    Int(value.exponent) + (value.significand > 1 ? 1 : 0)
}

/// 2^s, from its bits; s in -1074...1023.
func powerOfTwo(_ s: Int) -> Double {
    s >= -1022
        ? Double(bitPattern: UInt64(truncatingIfNeeded: s &+ 1023) << 52)
        : Double(bitPattern: 1 << UInt64(truncatingIfNeeded: s &+ 1074))
}
