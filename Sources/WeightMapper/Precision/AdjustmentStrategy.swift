/// When a precision goes up or down, by how much, and what of the data decides: the six strategies of CN111832695A, in any
/// combination of one upwards and one downwards.
///
/// | strategy | as `name` has it |
/// |---|---|
/// | 1. up, by the largest absolute value | `up` |
/// | 2. up step by step, by the largest absolute value | `up-step` |
/// | 3. up in a single step, by the distribution | `up-distribution` |
/// | 4. up step by step, by the distribution | `up-distribution-step` |
/// | 5. down, by the largest absolute value | `down` |
/// | 6. down step by step, and by the distribution | `down-step`, `down-distribution`, `down-distribution-step` |
///
/// With pos = (2^(bitnum-1) - 1) * step, a precision goes up where the data's amax >= pos. It goes down where
/// amax < 2^(bitnum-1-margin) * step, that is where `margin` bits at the top go unused or more. A step by step rule moves once
/// an observation, to s + 1 or 2f and back; the others go to the precision that fits amax at once. Up is tried first, and one
/// observation moves a precision once.
public struct AdjustmentStrategy: Hashable, Sendable {
    /// What of the data decides.
    public enum Measure: Hashable, Sendable {
        /// The largest absolute value, amax.
        case largest
        /// An estimate of it that a lone outlier does not set: the mean of |x| plus so many standard deviations of |x|, but no
        /// more than amax.
        ///
        /// Four of them are 3.2 standard deviations of normally distributed x.
        case distribution(deviations: Double = 4)

        func value(of statistics: MagnitudeStatistics) -> Double {
            switch self {
            case .largest: statistics.largest
            case .distribution(let deviations):
                min(statistics.mean + deviations * statistics.deviation, statistics.largest)
            }
        }
    }

    /// How far a precision moves.
    public enum Stride: Hashable, Sendable {
        /// To the precision that fits the data.
        case fitting
        /// By one: s by 1, f by a factor of 2.
        case step
    }

    /// One direction's rule.
    public struct Rule: Hashable, Sendable {
        /// What of the data decides.
        public var measure: Measure
        /// How far the precision moves.
        public var stride: Stride

        /// A rule; without arguments, the one that goes by the largest absolute value to the precision that fits it.
        public init(_ measure: Measure = .largest, _ stride: Stride = .fitting) {
            self.measure = measure
            self.stride = stride
        }
    }

    /// Strategies 1 to 4; `nil` for a precision that never goes up.
    public var up: Rule?
    /// Strategies 5 and 6; `nil` for a precision that never goes down.
    public var down: Rule?
    /// Unused bits at the top from which on a precision goes down, at least 1.
    ///
    /// With 2, data whose amax moves by no more than a factor of 2 has one precision: what goes up with the larger does not
    /// come down with the smaller.
    public var margin: Int
    /// The precision below which none goes, of the kind that is adjusted; `nil` for the least there is.
    public var floor: Precision?

    /// A strategy of up to two rules.
    public init(up: Rule? = Rule(), down: Rule? = Rule(), margin: Int = 2, floor: Precision? = nil) {
        self.up = up
        self.down = down
        self.margin = margin
        self.floor = floor
    }

    /// What the first observation's precision fits.
    public var initialMeasure: Measure { (up ?? down)?.measure ?? .largest }

    /// Whether the data's distribution is needed, not only its largest value.
    public var needsDistribution: Bool {
        [up?.measure ?? .largest, down?.measure ?? .largest, initialMeasure].contains { $0 != .largest }
    }
}

// MARK: - Names

extension AdjustmentStrategy {
    /// The rules by name, `+` between two: `up`, `down-step`, `up+down`, `up-distribution+down-distribution`.
    public var name: String {
        let names = [("up", up), ("down", down)].compactMap { direction, rule in
            rule.map { rule in
                direction + (rule.measure == .largest ? "" : "-distribution") + (rule.stride == .step ? "-step" : "")
            }
        }
        return names.joined(separator: "+")
    }

    /// The strategy of a name, with the default margin and no floor; `nil` for what is no name.
    public init?(_ name: String) {
        self.init(up: nil, down: nil)
        for part in name.split(separator: "+", omittingEmptySubsequences: false) {
            let words = part.split(separator: "-", omittingEmptySubsequences: false)
            let rule: Rule
            switch words.dropFirst() {
            case []: rule = Rule()
            case ["step"]: rule = Rule(.largest, .step)
            case ["distribution"]: rule = Rule(.distribution())
            case ["distribution", "step"]: rule = Rule(.distribution(), .step)
            default: return nil
            }
            switch words[0] {
            case "up" where up == nil: up = rule
            case "down" where down == nil: down = rule
            default: return nil
            }
        }
    }
}
