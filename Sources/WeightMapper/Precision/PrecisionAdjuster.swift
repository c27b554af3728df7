/// Quantization precision that follows a series of data and adjusts itself, as CN111832695A has it: checkpoints of a training
/// run, activations of batch after batch, gradients.
///
/// The claims' quantization command is the initializer (kind of precision, bits, and as needed the precision to begin with),
/// the operation data are the arguments of `observe(_:)`, which adjusts the precisions by the strategy and says which changed.
///
///     var adjuster = try PrecisionAdjuster(.exponent, bits: 8)
///     for checkpoint in run {
///         let data = try OperationData(.weight, layer: "fc", measuring: checkpoint.weights)
///         for adjustment in try adjuster.observe([data]) { print(adjustment) }
///         let precision = adjuster.precision(.weight, layer: "fc")
///     }
///
/// A precision that no observation has determined yet, since all values so far were 0, is `nil`: any will do for zeros.
public struct PrecisionAdjuster: Sendable {
    /// Kind of the precisions.
    public let kind: PrecisionKind
    /// Bits of k, bitnum, 2...16.
    public let bits: Int
    /// When and how precisions change.
    public let strategy: AdjustmentStrategy
    /// What has a precision of its own.
    public let granularity: Granularity
    /// The categories that are followed; observations of others are passed over.
    public let categories: Set<DataCategory>
    private let initial: Precision?
    private var series: [Place: Series] = [:]

    /// What a list of precisions belongs to.
    private struct Place: Hashable {
        let category: DataCategory
        /// `nil` where one precision is for all layers.
        let layer: String?
    }

    /// The precisions of a place.
    private struct Series {
        /// Steps of the groups; 0 for those not determined yet.
        var steps: [Double]
        /// Observations so far.
        var count = 0
    }

    /// An adjuster that has observed nothing.
    ///
    /// - Parameters:
    ///   - kind: kind of the precisions.
    ///   - bits: bits of k, 2...16.
    ///   - strategy: when and how precisions change.
    ///   - granularity: what has a precision of its own.
    ///   - categories: the categories that are followed, in any combination.
    ///   - initial: the precision that all begin with; `nil` for the one that fits the first observation.
    /// - Throws: `MapperError.precision` for bits outside 2...16, and for a precision, floor or margin that cannot be.
    public init(
        _ kind: PrecisionKind, bits: Int, strategy: AdjustmentStrategy = .init(), granularity: Granularity = .layer,
        categories: Set<DataCategory> = Set(DataCategory.allCases), initial: Precision? = nil
    ) throws(MapperError) {
        guard (2...16).contains(bits) else {
            throw .precision(expected: "2 to 16 bits for a signed number", found: "\(bits)")
        }
        for precision in [initial, strategy.floor].compactMap(\.self) {
            guard precision.kind == kind, precision.isValid else {
                throw .precision(
                    expected: kind == .exponent
                        ? "an exponent s of \(Precision.leastExponent) to \(Precision.greatestExponent)"
                        : "a positive finite scale f", found: "\(precision)")
            }
        }
        guard (1...64).contains(strategy.margin) else {
            throw .precision(expected: "a margin of 1 to 64 bits", found: "\(strategy.margin)")
        }
        self.kind = kind
        self.bits = bits
        self.strategy = strategy
        self.granularity = granularity
        self.categories = categories
        self.initial = initial
    }

    /// Takes in data of the same moment and adjusts the precisions to it.
    ///
    /// - Parameter data: an observation of each layer; with `Granularity.category` of all layers, which are looked at together.
    /// - Returns: the precisions that changed, in the order of `data`.
    /// - Throws: `MapperError.precision` when a layer's number of groups is not that of its earlier observations, and no
    ///   precision has changed then.
    /// - Complexity: linear in the number of groups.
    public mutating func observe(_ data: [OperationData]) throws(MapperError) -> [Adjustment] {
        let moment = try pooled(data.filter { categories.contains($0.category) })
        return moment.flatMap { place, groups in adjust(place, to: groups) }
    }

    /// The precision in force.
    ///
    /// - Parameters:
    ///   - category: category of the data.
    ///   - layer: the layer's name; of no matter with `Granularity.category`.
    ///   - group: number of the group, with `Granularity.group`.
    /// - Returns: `nil` for what was never observed, or only as zeros.
    public func precision(_ category: DataCategory, layer: String, group: Int = 0) -> Precision? {
        guard let steps = series[place(category, layer)]?.steps else { return nil }
        let step = steps[granularity == .group ? group : 0]
        return step > 0 ? Precision(kind, step: step) : nil
    }

    /// The steps in force of all groups of a layer, which are `groups`: one for each, or the one that is for all of them.
    ///
    /// Groups that nothing has determined yet have a step of 0.
    public func steps(_ category: DataCategory, layer: String) -> [Double]? {
        series[place(category, layer)]?.steps
    }
}

// MARK: - One observation

extension PrecisionAdjuster {
    private func place(_ category: DataCategory, _ layer: String) -> Place {
        Place(category: category, layer: granularity == .category ? nil : layer)
    }

    /// The data put together as the granularity says: statistics of each group of each place.
    private func pooled(_ data: [OperationData]) throws(MapperError) -> [(Place, [MagnitudeStatistics])] {
        var moment: [(Place, [MagnitudeStatistics])] = []
        var indices: [Place: Int] = [:]
        for data in data {
            let place = place(data.category, data.layer)
            var groups = data.groups
            if granularity != .group { groups = [groups.reduce(into: .init()) { $0.formUnion($1) }] }
            let index = indices[place]
            if let known = index.map({ moment[$0].1.count }) ?? series[place]?.steps.count, known != groups.count {
                throw .precision(
                    expected: "\(known) groups of \(data.category.rawValue) \(data.layer), as before",
                    found: "\(groups.count)")
            }
            if let index {
                for i in groups.indices { moment[index].1[i].formUnion(groups[i]) }
            } else {
                indices[place] = moment.count
                moment.append((place, groups))
            }
        }
        return moment
    }

    private mutating func adjust(_ place: Place, to groups: [MagnitudeStatistics]) -> [Adjustment] {
        var own = series[place] ?? Series(steps: Array(repeating: initial?.step ?? 0, count: groups.count))
        var adjustments: [Adjustment] = []
        for (index, statistics) in groups.enumerated() {
            let old = own.steps[index]
            guard let (step, reason) = adjusted(old, to: statistics) else { continue }
            own.steps[index] = step
            adjustments.append(
                Adjustment(
                    observation: own.count, category: place.category, layer: place.layer,
                    group: granularity == .group ? index : nil, old: old > 0 ? Precision(kind, step: old) : nil,
                    new: Precision(kind, step: step), reason: reason))
        }
        own.count += 1
        series[place] = own
        return adjustments
    }

    /// The step after an observation, and why it is another; `nil` where it stays.
    private func adjusted(
        _ old: Double, to statistics: MagnitudeStatistics
    ) -> (step: Double, reason: Adjustment.Reason)? {
        let floor = strategy.floor?.step ?? 0
        guard old > 0 else {
            let measure = strategy.initialMeasure.value(of: statistics)
            return measure > 0 ? (max(kind.step(fitting: measure, bits: bits), floor), .first(measure: measure)) : nil
        }
        if let rule = strategy.up {
            let measure = rule.measure.value(of: statistics)
            let bound = largestCode(bits: bits) * old
            if measure >= bound {
                let step = rule.stride == .step ? kind.raised(old) : kind.step(fitting: measure, bits: bits)
                if step > old { return (step, .up(measure: measure, bound: bound)) }
            }
        }
        if let rule = strategy.down {
            let measure = rule.measure.value(of: statistics)
            let bound = old * Double(sign: .plus, exponent: bits - 1 - strategy.margin, significand: 1)
            // Zeros say nothing of the precision that other values need.
            if measure > 0, measure < bound {
                let fit = kind.step(fitting: measure, bits: bits)
                let step = max(rule.stride == .step ? kind.lowered(old) : fit, floor)
                if step < old { return (step, .down(measure: measure, bound: bound)) }
            }
        }
        return nil
    }
}
