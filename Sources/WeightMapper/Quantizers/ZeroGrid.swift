/// Ranges of a layer's channels in which 0 is the middle of an interval, stored in two bytes a channel (three above 8 bits).
///
/// Without it all weights near 0 of a channel are moved by the same part of an interval, which adds up in the channel's output. The
/// step of a channel is a fraction of the layer's largest step, rounded up to one of 255 codes; its *zero number* is the number of the
/// interval around 0.
struct ZeroGrid: Sendable, Hashable {
    /// Bits per weight n.
    let bits: Int
    /// The largest step, a binary32 number; 0 when all channels are 0.
    let largest: Float
    /// Code of each channel's step.
    let codes: [UInt8]
    /// Number of each channel's interval around 0.
    let zeros: [UInt16]

    /// Fraction of the largest step that a code stands for: (32 - m) / 32 * 2^-e with m = code & 15 and e = code >> 4, so 1 at code 0
    /// and falling by 3 to 6 % a step; code 255 is 0.
    static func fraction(_ code: UInt8) -> Double {
        code == 255
            ? 0 : Double(32 - Int(code & 15)) / 32 * Double(sign: .plus, exponent: -Int(code >> 4), significand: 1)
    }

    /// Bytes that the ranges of so many channels take.
    static func byteCount(channels: Int, bits: Int) -> (partialValue: Int, overflow: Bool) {
        let (product, isHuge) = channels.multipliedReportingOverflow(by: bits > 8 ? 3 : 2)
        let (sum, overflow) = product.addingReportingOverflow(4)
        return (sum, isHuge || overflow)
    }

    /// The grid with the least steps for ranges as measured.
    ///
    /// `nil` for 1 bit, with which 0 would be one of two points, where holding 0 would widen ranges much, and where points would be
    /// beyond `limit`, the largest number of the weights' type.
    ///
    /// - Parameter isSparse: whether so many weights are 0 that all channels have the same zero number, and what is 0 one bin, which
    ///   codecs shorten; at the price of longer steps in most.
    init?(lows: [Double], highs: [Double], bits: Int, limit: Double = .infinity, isSparse: Bool = false) {
        guard bits > 1 else { return nil }
        var widening = 0.0
        for (low, high) in zip(lows, highs) where low > 0 || high < 0 {
            let widened = max(high, 0) - min(low, 0)
            guard high > low, widened <= 2 * (high - low) else { return nil }
            widening += widened / (high - low) - 1
        }
        guard widening <= 0.15 * Double(lows.count) else { return nil }
        let common =
            isSparse ? Self.leastStep(low: lows.min() ?? 0, high: highs.max() ?? 0, bits: bits).zero : nil
        let least = zip(lows, highs).map { Self.leastStep(low: $0, high: $1, bits: bits, zero: common) }
        let largest = least.reduce(0) { max($0, $1.step) }
        var rounded = Float(largest)
        if Double(rounded) < largest { rounded = rounded.nextUp }
        let reach = Double(rounded) * Double(1 << bits)
        guard largest == 0 || rounded.isNormal && reach <= Double(Float.greatestFiniteMagnitude) else { return nil }
        let table = (0...254).map { Double(rounded) * Self.fraction(UInt8($0)) }
        codes = least.map { $0.step > 0 ? Self.code(covering: $0.step, table) : 255 }
        zeros = least.map { UInt16($0.zero) }
        self.bits = bits
        self.largest = rounded
        let last = (1 << bits) - 1
        for (code, zero) in zip(codes, zeros) {
            guard Double(rounded) * Self.fraction(code) * Double(max(Int(zero), last - Int(zero))) <= limit else {
                return nil
            }
        }
    }

    /// The last of a falling table's numbers that is at least `step`.
    private static func code(covering step: Double, _ table: [Double]) -> UInt8 {
        var (low, high) = (0, table.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if table[middle] >= step { low = middle } else { high = middle }
        }
        return UInt8(low)
    }

    /// The least step of 2^n intervals of which one has 0 as its middle and all together hold a range, and that one's number.
    ///
    /// - Parameters:
    ///   - low: Wmin; above 0 it counts as 0.
    ///   - high: Wmax; below 0 it counts as 0.
    ///   - zero: the number, where it is given.
    static func leastStep(low: Double, high: Double, bits: Int, zero: Int? = nil) -> (zero: Int, step: Double) {
        let (below, above) = (max(-low, 0), max(high, 0))
        guard below > 0 || above > 0 else { return (zero ?? 0, 0) }
        let last = (1 << bits) - 1
        // The number nearest to the measured range's own, at which the step is least.
        let near = Int((below / (below + above) * Double(last + 1) - 0.5).rounded(.down))
        var least = (zero: 0, step: Double.infinity)
        for candidate in zero.map({ [$0] }) ?? [near, near + 1] {
            let zero = min(max(candidate, 0), last)
            let step = max(below / (Double(zero) + 0.5), above / (Double(last - zero) + 0.5))
            if step < least.step { least = (zero, step) }
        }
        return least
    }

    /// [Wmin, Wmax] of each channel; every one is exact.
    var ranges: (lows: [Double], highs: [Double]) {
        let steps = codes.map { Double(largest) * Self.fraction($0) }
        return (
            zip(steps, zeros).map { -(Double($1) + 0.5) * $0 },
            zip(steps, zeros).map { (Double((1 << bits) - Int($1)) - 0.5) * $0 }
        )
    }

    /// The bytes that a packed file stores.
    var serialized: [UInt8] {
        littleEndianBytes(largest.bitPattern) + codes
            + zeros.flatMap { bits > 8 ? littleEndianBytes($0) : [UInt8(truncatingIfNeeded: $0)] }
    }

    /// Reads a grid back; `bytes` has the length that `byteCount` says.
    ///
    /// - Throws: `MapperError.parameters` for steps that are not finite and numbers that no interval has.
    init(_ bytes: Span<UInt8>, channels: Int, bits: Int) throws(MapperError) {
        self.bits = bits
        largest = Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[$1]) << UInt32(8 * $1) })
        codes = (4..<4 + channels).map { bytes[$0] }
        let size = bits > 8 ? 2 : 1
        zeros = (0..<channels).map { channel in
            (0..<size).reduce(0) { $0 | UInt16(bytes[4 + channels + size * channel + $1]) << UInt16(8 * $1) }
        }
        guard largest.isFinite, largest >= 0, zeros.allSatisfy({ Int($0) < 1 << bits }) else {
            throw .parameters(expected: "a finite step, and intervals among the \(1 << bits)", found: "others")
        }
    }
}
