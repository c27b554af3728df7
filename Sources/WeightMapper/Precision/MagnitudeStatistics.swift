/// What strategies look at of a group of values: the largest absolute value, and where they go by the distribution the mean
/// and standard deviation of |x|.
public struct MagnitudeStatistics: Hashable, Sendable {
    /// Number of values.
    public private(set) var count: Int
    /// Largest |x|; 0 without values.
    public private(set) var largest: Double
    /// Mean of |x|; 0 where the distribution was not asked for.
    public private(set) var mean: Double
    /// Standard deviation of |x| over the whole group; 0 where the distribution was not asked for.
    public private(set) var deviation: Double

    /// Statistics of no values.
    public init() { self.init(count: 0, largest: 0) }

    init(count: Int, largest: Double, mean: Double = 0, deviation: Double = 0) {
        self.count = count
        self.largest = largest
        self.mean = mean
        self.deviation = deviation
    }

    /// Adds another group's values, as where one precision is for several.
    public mutating func formUnion(_ other: MagnitudeStatistics) {
        guard other.count > 0 else { return }
        guard count > 0 else { return self = other }
        let (mine, others) = (Double(count), Double(other.count))
        let total = mine + others
        let unit = powerOfTwo(atMost: max(largest, other.largest))
        // In units in which no square overflows or vanishes.
        let (a, b) = (mean / unit, other.mean / unit)
        let (s, t) = (deviation / unit, other.deviation / unit)
        let variance = (mine * s * s + others * t * t) / total + (a - b) * (a - b) * (mine / total) * (others / total)
        mean = (a * (mine / total) + b * (others / total)) * unit
        deviation = variance.squareRoot() * unit
        count += other.count
        largest = max(largest, other.largest)
    }
}

/// 2^floor(log2(value)), or 1 for 0: values up to `value`, divided by it, are at most 2 and lose nothing.
private func powerOfTwo(atMost value: Double) -> Double {
    value > 0 ? powerOfTwo(Int(value.exponent)) : 1
}

extension MagnitudeStatistics {
    /// Measures each group of a tensor.
    ///
    /// - Parameters:
    ///   - values: the tensor's values in memory order; read once, or twice where the distribution is asked for.
    ///   - groups: its groups.
    ///   - distribution: whether mean and deviation are wanted.
    /// - Returns: the statistics of each group.
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    /// - Complexity: linear in the values.
    public static func measure<Source: WeightSource>(
        _ values: Source, _ groups: PrecisionGroups, distribution: Bool = false
    ) throws(MapperError) -> [MagnitudeStatistics] {
        precondition(values.count == groups.valueCount)
        let largest = try largestMagnitudes(values, groups)
        let counts = (0..<groups.count).map { groups.valueCount(of: $0) }
        guard distribution else {
            return zip(counts, largest).map { MagnitudeStatistics(count: $0, largest: $1) }
        }
        // Sums of |x| / unit, at most 2 each, so that no square overflows or vanishes.
        let units = largest.map(powerOfTwo(atMost:))
        var sums = MagnitudeSums(groups: groups.count)
        values.forEachChunk { (start, chunk) in
            chunk.withUnsafeBufferPointer { sums.add($0, at: start, groups, units) }
        }
        return counts.indices.map { group in
            let count = Double(max(counts[group], 1))
            let mean = sums.first[group] / count
            let variance = max(sums.second[group] / count - mean * mean, 0)
            return MagnitudeStatistics(
                count: counts[group], largest: largest[group], mean: mean * units[group],
                deviation: variance.squareRoot() * units[group])
        }
    }

    /// The largest |x| of each group.
    ///
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    static func largestMagnitudes<Source: WeightSource>(
        _ values: Source, _ groups: PrecisionGroups
    ) throws(MapperError) -> [Double] {
        typealias Scalar = Source.Scalar
        var largest = [Scalar.OrderedBits](repeating: 0, count: groups.count)
        try values.forEachChunk { (start, chunk) throws(MapperError) in
            let most = chunk.withUnsafeBufferPointer { widen(&largest, to: $0, at: start, groups, Scalar.self) }
            // NaN and infinities are beyond every finite number.
            guard most >= Scalar.infinity.orderedBits else { return }
            if let index = chunk.indices.first(where: { !chunk[$0].isFinite }) {
                throw .nonFinite(index: start + index, value: "\(chunk[index])")
            }
        }
        return numbers(largest, Scalar.self)
    }
}
