import Evaluation
import WeightArchive
import WeightMapper

/// The result of a verification as JSON.
struct VerificationDocument: Encodable {
    struct Tensor: Encodable {
        let name, dtype: String
        let shape: [Int]
        let identical: Bool
        let snr, relativeError, maxError: Double?
    }

    struct Metric: Encodable {
        let before, after, loss, relativeLoss: Double
    }

    let tensors: [Tensor]
    let foreignDifferences: Int
    let metric: Metric?
    /// What running both networks on labeled data gave.
    let data: AccuracyResult?
    let accepted: Bool

    init(_ comparison: ModelComparison, _ change: MetricChange?, _ data: AccuracyResult?, accepted: Bool) {
        self.data = data
        tensors = comparison.tensors.map { tensor in
            let error = tensor.error
            return Tensor(
                name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, identical: tensor.isIdentical,
                snr: error.map { signalToNoise($0.variance, $0.meanSquaredError) },
                relativeError: error.map {
                    ($0.meanSquaredError / max($0.variance, .leastNormalMagnitude)).squareRoot()
                },
                maxError: error?.maximumError)
        }
        foreignDifferences = comparison.foreignDifferences
        metric = change.map {
            Metric(before: $0.before, after: $0.after, loss: $0.loss, relativeLoss: $0.relativeLoss)
        }
        self.accepted = accepted && comparison.foreignDifferences == 0
    }
}
