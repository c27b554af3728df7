// Inner loops of the fixed-point quantizers, written so that they vectorize on every x86-64 and arm64: no checked conversion, no
// `rounded()`, no `min` and `max` of floating-point vectors.

/// Of each group, what turns weights into numbers k.
struct CodeGrid<Scalar: WeightScalar>: Sendable {
    private let bits: Int
    private let steps: [Double]
    /// 1 / step, and the least and largest k.
    private let reciprocals: [Scalar]
    private let lowest: [Scalar]
    private let highest: [Scalar]
    /// Whether every reciprocal is a normal number.
    private let isPlain: Bool

    /// - Parameter largest: no k * step is more than this number, which the tensor's type holds.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    init(_ steps: [Double], bits: Int, largest: Double) {
        self.bits = bits
        self.steps = steps
        let most = largestCode(bits: bits)
        var reciprocals = [Scalar](repeating: 0, count: steps.count)
        var lowest = reciprocals
        var highest = reciprocals
        var isPlain = true
        for (group, step) in steps.enumerated() {
            reciprocals[group] = Scalar(1 / step)
            isPlain = isPlain && reciprocals[group].isNormal
            // Rarely less: a step times the last k may reach beyond the largest number.
            let reach = largest / step
            let limit = reach > most + 1 ? most + 1 : reach.rounded(.down)
            lowest[group] = Scalar(-limit)
            highest[group] = Scalar(limit < most ? limit : most)
        }
        self.isPlain = isPlain
        self.reciprocals = reciprocals
        self.lowest = lowest
        self.highest = highest
    }

    /// Numbers the bins of `values`, the first of which is value number `start` of the layer.
    @specialized(where Scalar == Float, Bin == UInt8)
    @specialized(where Scalar == Float, Bin == UInt16)
    @specialized(where Scalar == Double, Bin == UInt8)
    @specialized(where Scalar == Double, Bin == UInt16)
    func number<Bin: BinScalar>(
        _ values: UnsafeBufferPointer<Scalar>, at start: Int, _ groups: PrecisionGroups,
        into bins: UnsafeMutableBufferPointer<Bin>
    ) {
        let middle = Int32(1) << Int32(bits - 1)
        groups.forEachRun(in: start..<start + values.count) { run, group in
            let run = run.lowerBound - start..<run.upperBound - start
            let values = UnsafeBufferPointer(rebasing: values[run])
            let bins = UnsafeMutableBufferPointer(rebasing: bins[run])
            if groups.isInterleaved {
                numberInterleaved(values, from: group, middle, bins)
            } else if isPlain || reciprocals[group].isNormal {
                let (reciprocal, low, high) = (reciprocals[group], lowest[group], highest[group])
                for i in values.indices {
                    bins[i] = bin(values[i] * reciprocal, low, high, middle)
                }
            } else {
                // Steps so small or large that `Scalar` has no reciprocal are rare and may be slow.
                let (step, low, high) = (steps[group], Double(lowest[group]), Double(highest[group]))
                for i in values.indices {
                    bins[i] = bin(Double(values[i]) / step, low, high, middle)
                }
            }
        }
    }

    /// Numbers the bins of one value of each group from `group` on.
    @inline(__always)
    private func numberInterleaved<Bin: BinScalar>(
        _ values: UnsafeBufferPointer<Scalar>, from group: Int, _ middle: Int32,
        _ bins: UnsafeMutableBufferPointer<Bin>
    ) {
        steps.withUnsafeBufferPointer { steps in
            lowest.withUnsafeBufferPointer { lowest in
                highest.withUnsafeBufferPointer { highest in
                    reciprocals.withUnsafeBufferPointer { reciprocals in
                        if isPlain {
                            for i in values.indices {
                                let place = group + i
                                bins[i] = bin(
                                    values[i] * reciprocals[place], lowest[place], highest[place], middle)
                            }
                        } else {
                            for i in values.indices {
                                let place = group + i
                                bins[i] = bin(
                                    Double(values[i]) / steps[place], Double(lowest[place]), Double(highest[place]),
                                    middle)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The bin of a weight in units of its step: to the nearest k, ties to even, within the bounds.
@inline(__always)
private func bin<Scalar: WeightScalar, Bin: BinScalar>(
    _ v: Scalar, _ low: Scalar, _ high: Scalar, _ middle: Int32
) -> Bin {
    let raised = v < low ? low : v
    let clamped = raised > high ? high : raised
    return Bin(truncatingIfNeeded: (clamped + Scalar.roundingMagic).roundedBits &+ middle)
}

extension FixedPointCodebook {
    /// Puts bins back: k * step in binary64, then rounded to `Scalar`.
    @specialized(where Scalar == Float, Bin == UInt8)
    @specialized(where Scalar == Float, Bin == UInt16)
    @specialized(where Scalar == Double, Bin == UInt8)
    @specialized(where Scalar == Double, Bin == UInt16)
    static func restore<Bin: BinScalar, Scalar: WeightScalar>(
        _ bins: UnsafeBufferPointer<Bin>, at start: Int, _ groups: PrecisionGroups, _ steps: [Double], bits: Int,
        into weights: UnsafeMutableBufferPointer<Scalar>
    ) {
        let middle = Int32(1) << Int32(bits - 1)
        steps.withUnsafeBufferPointer { steps in
            groups.forEachRun(in: start..<start + bins.count) { run, group in
                let run = run.lowerBound - start..<run.upperBound - start
                let bins = UnsafeBufferPointer(rebasing: bins[run])
                let weights = UnsafeMutableBufferPointer(rebasing: weights[run])
                if groups.isInterleaved {
                    let steps = UnsafeBufferPointer(rebasing: steps[group..<group + run.count])
                    for i in bins.indices {
                        weights[i] = Scalar(Double(Int32(truncatingIfNeeded: bins[i]) &- middle) * steps[i])
                    }
                } else {
                    let step = steps[group]
                    for i in bins.indices {
                        weights[i] = Scalar(Double(Int32(truncatingIfNeeded: bins[i]) &- middle) * step)
                    }
                }
            }
        }
    }
}
