/// [Wmin, Wmax] of each channel of a layer, stored compactly.
///
/// The stored range contains the measured one, so every weight lies in one of its 2^n intervals. Where the range holds 0, it is widened
/// so that 0 is the middle of an interval.
public struct ChannelRanges: Sendable, Hashable {
    /// How ranges are stored.
    public enum Encoding: String, Sendable, CaseIterable {
        /// The bounds as little-endian binary32: all lows, then all highs. 64 bits a channel.
        case float32
        /// The bounds as little-endian binary64, for float64 tensors. 128 bits a channel.
        case float64
        /// The layer's largest magnitude as little-endian binary64, then for each channel an 8-bit code of -low, then for
        /// each one of high: 16 bits a channel. See `ChannelRanges.magnitude(_:)`. Only read: `zero` took its place.
        case minifloat
        /// A step and the number of the interval around 0: 16 bits a channel, above 8 bits per weight 24. See `ZeroGrid`.
        case zero

        /// Bytes that the ranges of so many channels take.
        func byteCount(channels: Int, bits: Int) -> (partialValue: Int, overflow: Bool) {
            switch self {
            case .float32: channels.multipliedReportingOverflow(by: 8)
            case .float64: channels.multipliedReportingOverflow(by: 16)
            case .minifloat: (channels * 2 + 8, false)
            case .zero: ZeroGrid.byteCount(channels: channels, bits: bits)
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
    /// What `lows` and `highs` come from with the encoding `zero`.
    private let grid: ZeroGrid?

    /// Measures the ranges of `weights` and chooses the smallest encoding that does them justice.
    ///
    /// - Parameter bits: bits per weight n.
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    init<Source: WeightSource>(
        measuring weights: Source, _ channels: LayerGeometry.Channels, bits: Int
    ) throws(MapperError) {
        typealias Scalar = Source.Scalar
        var zeros = 0
        var lows = [Scalar](repeating: .infinity, count: channels.count)
        var highs = [Scalar](repeating: -.infinity, count: channels.count)
        try weights.forEachChunk { (start, chunk) throws(MapperError) in
            let isFinite = chunk.withUnsafeBufferPointer {
                zeros += Self.zeroCount($0)
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
        let limit = weights.largestFinite
        if let grid = ZeroGrid(
            lows: exactLows, highs: exactHighs, bits: bits, limit: limit, isSparse: 2 * zeros > weights.count)
        {
            self.init(grid, channels)
        } else {
            let centered = zip(exactLows, exactHighs).map { Self.centered(low: $0, high: $1, bits: bits, limit) }
            self.init(
                stored: centered.map(\.low), centered.map(\.high), channels,
                Scalar.self == Double.self ? .float64 : .float32)
        }
    }

    private init(_ grid: ZeroGrid, _ channels: LayerGeometry.Channels) {
        encoding = .zero
        self.channels = channels
        (lows, highs) = grid.ranges
        self.grid = grid
    }

    private init(stored lows: [Double], _ highs: [Double], _ channels: LayerGeometry.Channels, _ encoding: Encoding) {
        self.encoding = encoding
        self.channels = channels
        self.lows = lows
        self.highs = highs
        grid = nil
    }

    /// A range around 0 widened so that 0 is the middle of an interval, exactly; another as it is.
    private static func centered(
        low: Double, high: Double, bits: Int, _ limit: Double
    ) -> (low: Double, high: Double) {
        guard bits > 1, low < high, low <= 0, high >= 0 else { return (low, high) }
        let (zero, step) = ZeroGrid.leastStep(low: low, high: high, bits: bits)
        // Bounds are n + 1 bits times the step, and must be exact in binary32.
        let unit = Double(sign: .plus, exponent: step.exponent - (22 - bits), significand: 1)
        let exact = (step / unit).rounded(.up) * unit
        guard exact.isNormal, exact * Double(1 << bits) <= Double(Float.greatestFiniteMagnitude),
            unit >= Double(Float.leastNormalMagnitude), exact * Double(max(zero, (1 << bits) - 1 - zero)) <= limit
        else { return (low, high) }
        return (-(Double(zero) + 0.5) * exact, (Double((1 << bits) - zero) - 0.5) * exact)
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

    /// The bytes that a packed file stores.
    var serialized: [UInt8] {
        switch encoding {
        case .float32: return (lows + highs).flatMap { littleEndianBytes(Float($0).bitPattern) }
        case .float64: return (lows + highs).flatMap { littleEndianBytes($0.bitPattern) }
        case .minifloat: preconditionFailure("only read")
        case .zero: return grid?.serialized ?? []
        }
    }

    /// Reads ranges back; `bytes` has the length that `encoding` says.
    init(
        _ encoding: Encoding, _ bytes: Span<UInt8>, _ channels: LayerGeometry.Channels, bits: Int
    ) throws(MapperError) {
        if encoding == .zero {
            self.init(try ZeroGrid(bytes, channels: channels.count, bits: bits), channels)
            return
        }
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
            case .zero: []
            }
        self.init(stored: Array(bounds.prefix(count)), Array(bounds.suffix(count)), channels, encoding)
        guard zip(lows, highs).allSatisfy({ $0 <= $1 && ($1 - $0).isFinite }) else {
            throw .parameters(expected: "finite ranges with Wmin <= Wmax", found: "others")
        }
    }
}

func littleEndianBytes<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> [UInt8] {
    (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
}
