import Glibc

/// What is measured of a network's outputs on labeled samples.
public enum AccuracyMetric: String, Sendable, CaseIterable {
    /// Share of positions whose likeliest class is the label.
    case top1
    /// Share of positions whose label is among the five likeliest classes.
    case top5
    /// Mean squared difference from the labels.
    case mse
    /// Cosine of the angle between a sample's output and its labels, as vectors; the mean over samples.
    case cosine
    /// Kullback-Leibler divergence of the output from the labels, in nats; the cross-entropy when labels are classes.
    case kl
    /// Exponential of the mean cross-entropy, over all positions.
    case perplexity
    /// Harmonic mean of precision and recall; with more than two classes the mean over classes.
    case f1
    /// Errors in the sequence of labels by their number, over all samples.
    case wer

    /// Whether larger values are better.
    public var higherIsBetter: Bool {
        switch self {
        case .top1, .top5, .cosine, .f1: true
        case .mse, .kl, .perplexity, .wer: false
        }
    }

    /// Whether it can be taken against the original's outputs where there are no labels.
    public var worksWithoutLabels: Bool {
        switch self {
        case .top1, .mse, .cosine, .kl: true
        case .top5, .perplexity, .f1, .wer: false
        }
    }

    /// The metric of all samples from the sums over them.
    func value(_ sums: [Double]) -> Double {
        func ratio(_ a: Int, _ b: Int) -> Double {
            guard sums.count > b, sums[b] > 0 else { return .nan }
            return sums[a] / sums[b]
        }
        switch self {
        case .top1, .top5, .mse, .cosine, .kl, .wer: return ratio(0, 1)
        case .perplexity: return exp(ratio(0, 1))
        case .f1:
            // Right ones, found ones and those there are, of each class that is either.
            let classes = stride(from: 0, to: sums.count - 2, by: 3).filter { sums[$0 + 1] + sums[$0 + 2] > 0 }
            guard !classes.isEmpty else { return .nan }
            return classes.reduce(0) { $0 + 2 * sums[$1] / (sums[$1 + 1] + sums[$1 + 2]) } / Double(classes.count)
        }
    }
}
