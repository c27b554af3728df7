/// How two networks differ on the same samples.
public struct AccuracyResult: Sendable, Encodable {
    /// What was measured; `nil` when there were no labels and nothing was asked for.
    public let metric: String?
    public let higherIsBetter: Bool?
    /// The output that was judged.
    public let output: String
    public let samples: Int
    /// Whether the metric is against labels; else against what the original puts out.
    public let labeled: Bool
    /// The metric of the original and of the restored network.
    public let before: Estimate?
    public let after: Estimate?
    /// How much worse the restored network is, in the metric's unit.
    public let loss: Estimate?
    /// Share of predictions that are the same; `nil` where outputs are measures.
    public let agreement: Estimate?
    /// Mean Kullback-Leibler divergence of the restored network's outputs from the original's, in nats; `nil` where outputs are no
    /// probabilities.
    public let divergence: Estimate?
    /// Mean cosine of the angle between both networks' outputs.
    public let cosine: Estimate
    /// Length of the outputs' difference by that of the original's outputs.
    public let relativeError: Estimate

    /// The change of the metric, as a limit of loss takes it.
    public var change: MetricChange? {
        guard let before, let after, let higherIsBetter else { return nil }
        return MetricChange(before: before.value, after: after.value, higherIsBetter: higherIsBetter)
    }

    init(_ tallies: [SampleJudge.Tallies], _ judge: SampleJudge, output: String, isLabeled: Bool, path: String) {
        let metric = judge.metric
        self.metric = metric?.rawValue
        higherIsBetter = metric?.higherIsBetter
        self.output = output
        samples = tallies.count
        labeled = isLabeled
        let columns = [
            tallies.map(\.agreement), tallies.map(\.divergence), tallies.map(\.cosine), tallies.map(\.error),
            tallies.map(\.before), tallies.map(\.after),
        ]
        let estimates = Bootstrap.estimates(columns) { sums in
            func ratio(_ column: Int) -> Double {
                guard sums[column].count == 2, sums[column][1] > 0 else { return .nan }
                return sums[column][0] / sums[column][1]
            }
            let before = metric?.value(sums[4]) ?? .nan
            let after = metric?.value(sums[5]) ?? .nan
            let loss = metric?.higherIsBetter == true ? before - after : after - before
            return [ratio(0), ratio(1), ratio(2), ratio(3).squareRoot(), before, after, loss]
        }
        let isShare = metric == .top1 || metric == .top5
        let hasClasses = judge.reading != .values
        agreement = hasClasses ? Self.share(columns[0]) ?? estimates[0] : nil
        divergence = hasClasses && judge.reading != .tokens ? estimates[1] : nil
        cosine = estimates[2]
        relativeError = estimates[3]
        before = metric == nil ? nil : isShare ? Self.share(columns[4]) ?? estimates[4] : estimates[4]
        after = metric == nil ? nil : isShare ? Self.share(columns[5]) ?? estimates[5] : estimates[5]
        loss = metric == nil ? nil : isShare ? Self.difference(columns[4], columns[5]) ?? estimates[6] : estimates[6]
    }

    /// A share of samples; `nil` unless each is one trial: positions of one sample depend on each other.
    private static func share(_ column: [Tally]) -> Estimate? {
        trials(column).map { Estimate(share: Double($0.count { $0 }), of: Double($0.count)) }
    }

    private static func difference(_ before: [Tally], _ after: [Tally]) -> Estimate? {
        guard let first = trials(before), let second = trials(after) else { return nil }
        return Estimate(differenceOf: first, second)
    }

    private static func trials(_ column: [Tally]) -> [Bool]? {
        guard column.allSatisfy({ $0.entries.count == 2 && $0.entries[1].amount == 1 }) else { return nil }
        return column.map { $0.entries[0].amount == 1 }
    }
}
