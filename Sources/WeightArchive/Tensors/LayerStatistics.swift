import Glibc
import WeightMapper

/// What packing a layer cost in accuracy, and what its bins hold.
public struct LayerStatistics: Hashable, Sendable {
    /// Order-0 entropy of the bin numbers, in bits per weight: what an ideal coder without context would spend.
    public var entropy: Double
    /// Variance of the original weights.
    public var variance: Double
    /// Mean squared error of the restored weights.
    public var meanSquaredError: Double
    /// Largest absolute error of a weight.
    public var maximumError: Double

    /// Signal-to-noise ratio 10 log10(variance / mean squared error) in dB; infinite when the weights came back exactly.
    public var signalToNoise: Double { WeightArchive.signalToNoise(variance, meanSquaredError) }
}

/// 10 log10(variance / mean squared error) in dB; infinite without error.
public func signalToNoise(_ variance: Double, _ meanSquaredError: Double) -> Double {
    meanSquaredError == 0 ? .infinity : variance == 0 ? 0 : 10 * log10(variance / meanSquaredError)
}

/// Accumulates the entropy of bins as they pass.
struct BinHistogram {
    private var counts: [UInt64]

    init(bits: Int) { counts = Array(repeating: 0, count: 1 << bits) }

    mutating func add<Bin: BinScalar>(_ bins: Span<Bin>) {
        counts.withUnsafeMutableBufferPointer { counts in
            for i in bins.indices { counts[Int(bins[i])] &+= 1 }
        }
    }

    /// Bits per bin.
    var entropy: Double {
        let total = Double(counts.reduce(0, +))
        return counts.reduce(0) { sum, count in
            count == 0 ? sum : sum - Double(count) / total * log2(Double(count) / total)
        }
    }
}

/// Accumulates the error of restored weights against the originals as they pass.
public struct ErrorMeter: Sendable {
    private var count = 0.0
    private var sum = 0.0
    private var squares = 0.0
    private var squaredError = 0.0
    /// Largest absolute error of a weight.
    public private(set) var maximumError = 0.0

    /// A value near the mean, subtracted first so that the variance does not drown in rounding.
    private var pivot: Double?

    /// A meter that has seen nothing.
    public init() {}

    /// Takes weights and what they came back as.
    public mutating func add<Scalar: WeightScalar>(_ original: Span<Scalar>, _ restored: Span<Scalar>) {
        precondition(original.count == restored.count)
        guard !original.isEmpty else { return }
        let pivot = self.pivot ?? Double(original[0])
        self.pivot = pivot
        var (sum, squares, error, largest) = (0.0, 0.0, 0.0, maximumError)
        for i in original.indices {
            let value = Double(original[i])
            let difference = value - Double(restored[i])
            let centered = value - pivot
            sum += centered
            squares += centered * centered
            error += difference * difference
            let magnitude = difference.magnitude
            largest = magnitude > largest ? magnitude : largest
        }
        count += Double(original.count)
        self.sum += sum
        self.squares += squares
        squaredError += error
        maximumError = largest
    }

    /// Variance of the original weights; infinite where their squares exceed a `Double`.
    public var variance: Double {
        guard squares.isFinite else { return .infinity }
        return count == 0 ? 0 : max(squares / count - (sum / count) * (sum / count), 0)
    }
    /// Mean squared error of the restored weights; infinite where it exceeds a `Double`.
    public var meanSquaredError: Double {
        guard squaredError.isFinite else { return .infinity }
        return count == 0 ? 0 : squaredError / count
    }
}
