/// A figure that was measured on samples, with a 95 % confidence interval.
public struct Estimate: Sendable, Encodable {
    /// How an interval was found.
    public enum Method: String, Sendable, Encodable {
        /// Wilson's score interval of a share of independent trials.
        case wilson
        /// Newcombe's interval of the difference of two shares of the same trials.
        case newcombe
        /// Percentiles over samples drawn again.
        case bootstrap
    }

    public let value: Double
    public let low: Double
    public let high: Double
    public let method: Method
}

extension Estimate {
    /// A share of independent trials.
    ///
    /// Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    init(share successes: Double, of trials: Double) {
        // The quantile of the normal distribution that leaves 2.5 % above.
        let z = 1.959963984540054
        let p = successes / trials
        let center = p + z * z / (2 * trials)
        let half = z * (p * (1 - p) / trials + z * z / (4 * trials * trials)).squareRoot()
        let scale = 1 + z * z / trials
        value = p
        low = max(0, min(p, (center - half) / scale))
        high = min(1, max(p, (center + half) / scale))
        method = .wilson
    }

    /// How many more of the same independent trials succeeded one way than another way.
    ///
    /// Source: R. G. Newcombe, "Improved Confidence Intervals for the Difference Between Binomial Proportions Based on Paired Data",
    /// Statistics in Medicine 17 (1998), method 10: Wilson's intervals joined by the correlation of the two ways.
    ///
    /// - Parameters:
    ///   - first: whether each trial succeeded the one way.
    ///   - second: whether it did the other way.
    init(differenceOf first: [Bool], _ second: [Bool]) {
        let trials = Double(first.count)
        func total(_ isFirst: Bool, _ isSecond: Bool) -> Double {
            Double(zip(first, second).count { $0 == isFirst && $1 == isSecond })
        }
        let (both, onlyFirst, onlySecond, none) =
            (total(true, true), total(true, false), total(false, true), total(false, false))
        let a = Estimate(share: both + onlyFirst, of: trials)
        let b = Estimate(share: both + onlySecond, of: trials)
        let margins = (both + onlyFirst) * (onlySecond + none) * (both + onlySecond) * (onlyFirst + none)
        var excess = both * none - onlyFirst * onlySecond
        if excess > 0 { excess = max(0, excess - trials / 2) }
        let correlation = margins == 0 ? 0 : excess / margins.squareRoot()
        func joined(_ x: Double, _ y: Double) -> Double {
            max(0, x * x - 2 * correlation * x * y + y * y).squareRoot()
        }
        value = a.value - b.value
        low = value - joined(a.value - a.low, b.high - b.value)
        high = value + joined(a.high - a.value, b.value - b.low)
        method = .newcombe
    }
}

/// Samples drawn again and again with replacement, always the same ones.
///
/// Source: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979). Both networks are judged on
/// each draw, so that the interval of their difference does not have the noise that they share.
struct Bootstrap {
    /// Draws; the percentiles' own noise is then a few hundredths of the interval.
    static let draws = 1000
    private static let seed: UInt64 = 0x5eed

    /// Estimates figures that are made of sums over samples.
    ///
    /// - Parameters:
    ///   - columns: for each of several sums what each sample adds to it.
    ///   - figures: the figures from those sums; not a number where they cannot be taken.
    static func estimates(_ columns: [[Tally]], _ figures: ([[Double]]) -> [Double]) -> [Estimate] {
        let lists = columns.map(TallyList.init)
        let samples = columns.first?.count ?? 0
        let values = figures(lists.map { $0.sums([Double](repeating: 1, count: samples)) })
        var drawn = values.map { _ in [Double]() }
        var random = SplitMix64(state: seed)
        for _ in 0..<draws {
            var times = [Double](repeating: 0, count: samples)
            for _ in 0..<samples { times[Int(random.next() % UInt64(samples))] += 1 }
            for (index, value) in figures(lists.map { $0.sums(times) }).enumerated() where !value.isNaN {
                drawn[index].append(value)
            }
        }
        return zip(values, drawn).map { value, drawn in
            let sorted = drawn.sorted()
            return Estimate(
                value: value, low: percentile(0.025, sorted), high: percentile(0.975, sorted), method: .bootstrap)
        }
    }

    /// Between the two nearest of sorted values.
    private static func percentile(_ part: Double, _ sorted: [Double]) -> Double {
        guard !sorted.isEmpty else { return .nan }
        let place = part * Double(sorted.count - 1)
        let lower = Int(place)
        let upper = min(lower + 1, sorted.count - 1)
        guard sorted[lower].isFinite, sorted[upper].isFinite else { return sorted[lower] }
        return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
    }
}

/// The tallies of all samples, one after another.
private struct TallyList {
    private var ends: [Int] = []
    private var places: [Int] = []
    private var amounts: [Double] = []
    private var width = 0

    init(_ tallies: [Tally]) {
        for tally in tallies {
            for (place, amount) in tally.entries {
                places.append(place)
                amounts.append(amount)
                width = max(width, place + 1)
            }
            ends.append(places.count)
        }
    }

    /// The sums, each sample counted so many times.
    func sums(_ times: [Double]) -> [Double] {
        var sums = [Double](repeating: 0, count: width)
        var entry = 0
        for (sample, end) in ends.enumerated() {
            while entry < end {
                sums[places[entry]] += times[sample] * amounts[entry]
                entry += 1
            }
        }
        return sums
    }
}

/// A small seeded generator, the same on every machine.
///
/// Source: G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
private struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
