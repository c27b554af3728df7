/// [Wmin, Wmax] of each channel of a layer, stored compactly.
///
/// The stored range contains the measured one, so every weight lies in one of its 2^n intervals.
public struct ChannelRanges: Sendable, Hashable {
    /// How ranges are stored.
    public enum Encoding: String, Sendable, CaseIterable {
        /// The bounds as little-endian binary32: all lows, then all highs. 64 bits a channel.
        case float32
        /// The bounds as little-endian binary64, for float64 tensors. 128 bits a channel.
        case float64
        /// The layer's largest magnitude as little-endian binary64, then for each channel an 8-bit code of -low, then for
        /// each one of high: 16 bits a channel. See `ChannelRanges.magnitude(_:)`.
        case minifloat

        /// Bytes that the ranges of so many channels take.
        func byteCount(channels: Int) -> (partialValue: Int, overflow: Bool) {
            switch self {
            case .float32: channels.multipliedReportingOverflow(by: 8)
            case .float64: channels.multipliedReportingOverflow(by: 16)
            case .minifloat: (channels * 2 + 8, false)
            }
        }
    }

    /// How these ranges are stored.
    public let encoding: Encoding
    /// The channels they belong to.
    public let channels: LayerGeometry.Channels
    /// Wmin of each channel.
    public let lows: [Double]
    /// Wmax of each channel.
    public let highs: [Double]

    /// Measures the ranges of `weights` and chooses the smallest encoding that does them justice.
    ///
    /// - Parameter zeroBits: bits per weight n of the intervals in whose middles weights come back. Where many weights are 0
    ///   (pruned layers, filter banks) ranges are widened a little, so that 0 is such a middle: all of them off by the same
    ///   part of an interval would add up. `nil` for ranges as measured.
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    init<Source: WeightSource>(
        measuring weights: Source, _ channels: LayerGeometry.Channels, zeroBits: Int? = nil
    ) throws(MapperError) {
        typealias Scalar = Source.Scalar
        var zeros = 0
        var lows = [Scalar](repeating: .infinity, count: channels.count)
        var highs = [Scalar](repeating: -.infinity, count: channels.count)
        try weights.forEachChunk { (start, chunk) throws(MapperError) in
            let isFinite = chunk.withUnsafeBufferPointer {
                zeros += zeroBits == nil ? 0 : Self.zeroCount($0)
                return Self.measure($0, at: start, channels, &lows, &highs)
            }
            if !isFinite, let index = chunk.indices.first(where: { !chunk[$0].isFinite }) {
                throw .nonFinite(index: start + index, value: "\(chunk[index])")
            }
        }
        guard zip(lows, highs).allSatisfy({ $0 > $1 || (Double($1) - Double($0)).isFinite }) else {
            throw .rangeOverflow
        }
        // A channel without weights (an empty tensor) has the range [0, 0].
        let exactLows = zip(lows, highs).map { $0 <= $1 ? Double($0) : 0 }
        let exactHighs = zip(lows, highs).map { $0 <= $1 ? Double($1) : 0 }
        let encoding: Encoding = Scalar.self == Double.self ? .float64 : .float32
        if let zeroBits, zeros >= max(weights.count / 16, 16),
            let centered = ZeroCentered(
                lows: exactLows, highs: exactHighs, bits: zeroBits, largest: weights.largestFinite)
        {
            self.init(stored: centered.lows, centered.highs, channels, encoding)
        } else {
            self.init(exact: exactLows, exactHighs, channels, encoding)
        }
    }

    private init(exact lows: [Double], _ highs: [Double], _ channels: LayerGeometry.Channels, _ encoding: Encoding) {
        if channels.count > 1, let coarse = Minifloats(covering: lows, highs) {
            self.init(stored: coarse.lows, coarse.highs, channels, .minifloat)
        } else {
            self.init(stored: lows, highs, channels, encoding)
        }
    }

    private init(stored lows: [Double], _ highs: [Double], _ channels: LayerGeometry.Channels, _ encoding: Encoding) {
        self.encoding = encoding
        self.channels = channels
        self.lows = lows
        self.highs = highs
    }
}

// MARK: - Layers with many zeros

extension ChannelRanges {
    /// Ranges around 0 widened so that 0 is the middle of an interval, exactly.
    private struct ZeroCentered {
        var lows: [Double]
        var highs: [Double]

        /// `nil` where so few intervals would become much wider, or bounds of so many would not be exact in binary32 or be beyond
        /// the largest number of the weights' type.
        init?(lows: [Double], highs: [Double], bits: Int, largest: Double) {
            guard (4...13).contains(bits) else { return nil }
            self.lows = lows
            self.highs = highs
            let intervals = Double(1 << bits)
            for channel in lows.indices where lows[channel] < highs[channel] && lows[channel] * highs[channel] <= 0 {
                let (low, high) = (-lows[channel], highs[channel])
                // Intervals wholly below 0's: the number nearest to the measured range's own, at which the step is least.
                let near = (low / ((low + high) / intervals) - 0.5).rounded(.down)
                let (below, step) =
                    [near, near + 1].filter { 0...(intervals - 1) ~= $0 }
                    .map { ($0, max(low / ($0 + 0.5), high / (intervals - $0 - 0.5))) }
                    .min { $0.1 < $1.1 } ?? (0, 0)
                // A step of 10 significant bits times a number of 14 is exact.
                let unit = Double(sign: .plus, exponent: step.exponent - 9, significand: 1)
                let exact = (step / unit).rounded(.up) * unit
                guard exact.isNormal, exact * intervals <= Double(Float.greatestFiniteMagnitude),
                    exact >= Double(Float.leastNormalMagnitude) * 1024
                else { return nil }
                self.lows[channel] = -(below + 0.5) * exact
                self.highs[channel] = (intervals - below - 0.5) * exact
                guard -self.lows[channel] <= largest, self.highs[channel] <= largest else { return nil }
            }
        }
    }
}

// MARK: - Storage

extension ChannelRanges {
    /// Magnitude that the 8-bit code stands for, as a fraction of the layer's largest: (16 - m) / 16 * 2^-e with
    /// m = code & 7 and e = code >> 3, so 1 at code 0 and falling by 6 to 11 % a step; code 255 is 0.
    static func magnitude(_ code: UInt8) -> Double {
        code == 255
            ? 0 : Double(16 - Int(code & 7)) / 16 * Double(sign: .plus, exponent: -Int(code >> 3), significand: 1)
    }

    /// Ranges rounded outwards to 8-bit codes of their bounds.
    private struct Minifloats {
        var lows: [Double]
        var highs: [Double]

        /// `nil` where rounding outwards would widen the ranges of the layer too much: bounds of one sign, a constant.
        init?(covering lows: [Double], _ highs: [Double]) {
            let largest = max(-(lows.min() ?? 0), highs.max() ?? 0)
            guard largest > 0 else { return nil }
            let table = (0...254).map { largest * ChannelRanges.magnitude(UInt8($0)) }
            var widening = 0.0
            func cover(_ bound: Double) -> Double {
                guard bound > 0 else { return 0 }
                // The table falls: the last entry that still covers the bound.
                var low = 0
                var high = table.count
                while high - low > 1 {
                    let middle = (low + high) / 2
                    if table[middle] >= bound { low = middle } else { high = middle }
                }
                return table[low]
            }
            self.lows = lows.map { -cover(-$0) }
            self.highs = highs.map(cover)
            for channel in lows.indices {
                let exact = highs[channel] - lows[channel]
                let coarse = self.highs[channel] - self.lows[channel]
                let isSpread = lows[channel] < highs[channel] || highs[channel] == 0
                // Below the smallest code a range is wide only in proportion to itself, not to the layer.
                let isTiny = coarse <= 2 * table[254]
                guard isSpread, isTiny || coarse <= 2 * exact else { return nil }
                widening += isTiny ? 0 : coarse / exact - 1
            }
            guard widening <= 0.15 * Double(lows.count) else { return nil }
        }
    }

    /// The bytes that a packed file stores.
    var serialized: [UInt8] {
        switch encoding {
        case .float32: return (lows + highs).flatMap { littleEndianBytes(Float($0).bitPattern) }
        case .float64: return (lows + highs).flatMap { littleEndianBytes($0.bitPattern) }
        case .minifloat:
            let largest = max(-(lows.min() ?? 0), highs.max() ?? 0)
            var codes: [Double: UInt8] = [:]
            for code in (0...255).reversed() { codes[largest * Self.magnitude(UInt8(code))] = UInt8(code) }
            return littleEndianBytes(largest.bitPattern) + (lows.map { -$0 } + highs).map { codes[$0] ?? 0 }
        }
    }

    /// Reads ranges back; `bytes` has the length that `encoding` says.
    init(_ encoding: Encoding, _ bytes: Span<UInt8>, _ channels: LayerGeometry.Channels) throws(MapperError) {
        func word(_ at: Int, _ size: Int) -> UInt64 {
            (0..<size).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
        }
        let count = channels.count
        let bounds: [Double] =
            switch encoding {
            case .float32: (0..<2 * count).map { Double(Float(bitPattern: UInt32(word(4 * $0, 4)))) }
            case .float64: (0..<2 * count).map { Double(bitPattern: word(8 * $0, 8)) }
            case .minifloat:
                (0..<2 * count).map {
                    (($0 < count ? -1 : 1) * Double(bitPattern: word(0, 8))) * Self.magnitude(bytes[8 + $0])
                }
            }
        self.encoding = encoding
        self.channels = channels
        lows = Array(bounds.prefix(count))
        highs = Array(bounds.suffix(count))
        guard zip(lows, highs).allSatisfy({ $0 <= $1 && ($1 - $0).isFinite }) else {
            throw .parameters(expected: "finite ranges with Wmin <= Wmax", found: "others")
        }
    }
}

private func littleEndianBytes<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}
