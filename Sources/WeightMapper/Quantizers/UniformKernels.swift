// Inner loops of the uniform quantizer, written so that they vectorize on every x86-64 and arm64: no checked conversion, no
// `rounded()`, no `min` and `max` of floating-point vectors.

/// Smallest and largest of `values`, and whether all are finite; the extremes mean nothing when not all are.
@inline(__always)
private func extremes<Scalar: WeightScalar>(
    of values: UnsafeBufferPointer<Scalar>
) -> (low: Scalar, high: Scalar, isFinite: Bool) {
    typealias Vector = SIMD16<Scalar>
    var lows = Vector(repeating: .infinity)
    var highs = Vector(repeating: -.infinity)
    var zeros = Vector(repeating: 0)
    var i = 0
    if let base = UnsafeRawPointer(values.baseAddress) {
        while i + Vector.scalarCount <= values.count {
            let v = base.loadUnaligned(fromByteOffset: i * MemoryLayout<Scalar>.stride, as: Vector.self)
            lows.replace(with: v, where: v .< lows)
            highs.replace(with: v, where: v .> highs)
            // NaN and infinity times zero are NaN, and NaN stays in a sum.
            zeros += v * 0
            i += Vector.scalarCount
        }
    }
    var result = (low: lows.min(), high: highs.max(), isFinite: zeros.sum() == 0)
    while i < values.count {
        let v = values[i]
        if v < result.low { result.low = v }
        if v > result.high { result.high = v }
        if !v.isFinite { result.isFinite = false }
        i += 1
    }
    return result
}

/// Widens the ranges of consecutive channels, from `first` on, to hold one weight each; false when one is not finite.
@inline(__always)
private func widen<Scalar: WeightScalar>(
    _ lows: inout [Scalar], _ highs: inout [Scalar], from first: Int, with values: UnsafeBufferPointer<Scalar>
) -> Bool {
    lows.withUnsafeMutableBufferPointer { lows in
        highs.withUnsafeMutableBufferPointer { highs in
            var zeros: Scalar = 0
            for i in values.indices {
                let v = values[i]
                lows[first + i] = v < lows[first + i] ? v : lows[first + i]
                highs[first + i] = v > highs[first + i] ? v : highs[first + i]
                zeros += v * 0
            }
            return zeros == 0
        }
    }
}

/// The number of the interval that `v`, in units of intervals from the low end, falls in.
@inline(__always)
private func bin<Scalar: WeightScalar>(_ v: Scalar, last: Int32) -> Int32 {
    let shifted = v + Scalar.roundingMagic
    let rounded = shifted - Scalar.roundingMagic
    let floor = shifted.roundedBits &- (rounded > v ? 1 : 0)
    let raised = floor < 0 ? 0 : floor
    return raised > last ? last : raised
}

extension ChannelRanges {
    /// Widens `lows` and `highs` to hold `values`, the first of which is weight number `start`; false when one is not finite.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    static func measure<Scalar: WeightScalar>(
        _ values: UnsafeBufferPointer<Scalar>, at start: Int, _ channels: LayerGeometry.Channels, _ lows: inout [Scalar],
        _ highs: inout [Scalar]
    ) -> Bool {
        var isFinite = true
        forEachRun(in: start..<start + values.count, channels) { run, channel in
            let run = UnsafeBufferPointer(rebasing: values[run.lowerBound - start..<run.upperBound - start])
            if channels.inner == 1 {
                isFinite = widen(&lows, &highs, from: channel, with: run) && isFinite
            } else {
                let found = extremes(of: run)
                lows[channel] = min(lows[channel], found.low)
                highs[channel] = max(highs[channel], found.high)
                isFinite = found.isFinite && isFinite
            }
        }
        return isFinite
    }

    /// Numbers the bins of `values`, the first of which is weight number `start` of the layer.
    @specialized(where Scalar == Float, Bin == UInt8)
    @specialized(where Scalar == Float, Bin == UInt16)
    @specialized(where Scalar == Double, Bin == UInt8)
    @specialized(where Scalar == Double, Bin == UInt16)
    func number<Scalar: WeightScalar, Bin: BinScalar>(
        _ values: UnsafeBufferPointer<Scalar>, at start: Int, bits: Int, into bins: UnsafeMutableBufferPointer<Bin>
    ) {
        let last = Int32(1 << bits) - 1
        forEachRun(in: start..<start + values.count, channels) { run, channel in
            let run = run.lowerBound - start..<run.upperBound - start
            if channels.inner == 1 {
                for i in run {
                    let (low, step) = interval(channel + i - run.lowerBound, bits: bits)
                    let scaled = step > 0 ? (Double(values[i]) - low) / step : 0
                    bins[i] = Bin(truncatingIfNeeded: bin(scaled, last: last))
                }
                return
            }
            let (low, step) = interval(channel, bits: bits)
            let narrow = (low: Scalar(low), step: Scalar(step), reciprocal: Scalar(1 / step))
            if step == 0 {
                for i in run { bins[i] = 0 }
            } else if narrow.reciprocal.isNormal, narrow.step.isNormal, (Scalar(highs[channel]) - narrow.low).isFinite {
                for i in run {
                    let scaled = (values[i] - narrow.low) * narrow.reciprocal
                    bins[i] = Bin(truncatingIfNeeded: bin(scaled, last: last))
                }
            } else {
                // Denormal or enormous ranges leave what `Scalar` holds; they are rare and may be slow.
                for i in run {
                    bins[i] = Bin(truncatingIfNeeded: bin(Double(values[i]) / step - low / step, last: last))
                }
            }
        }
    }

    /// Puts bins back: low + (bin + fraction) * step in binary64, then rounded to `Scalar`.
    @specialized(where Scalar == Float, Bin == UInt8)
    @specialized(where Scalar == Float, Bin == UInt16)
    @specialized(where Scalar == Double, Bin == UInt8)
    @specialized(where Scalar == Double, Bin == UInt16)
    func reconstruct<Bin: BinScalar, Scalar: WeightScalar>(
        _ bins: UnsafeBufferPointer<Bin>, at start: Int, bits: Int, _ fractions: [Double]?,
        into weights: UnsafeMutableBufferPointer<Scalar>
    ) {
        forEachRun(in: start..<start + bins.count, channels) { run, channel in
            let run = run.lowerBound - start..<run.upperBound - start
            if channels.inner == 1 {
                for i in run {
                    let (low, step) = interval(channel + i - run.lowerBound, bits: bits)
                    let fraction = fractions.map { $0[Int(bins[i])] } ?? 0.5
                    weights[i] = Scalar(low + (Double(bins[i]) + fraction) * step)
                }
                return
            }
            let (low, step) = interval(channel, bits: bits)
            if let fractions {
                for i in run {
                    weights[i] = Scalar(low + (Double(bins[i]) + fractions[Int(bins[i])]) * step)
                }
            } else {
                for i in run {
                    weights[i] = Scalar(low + (Double(Int32(truncatingIfNeeded: bins[i])) + 0.5) * step)
                }
            }
        }
    }

    /// Low end and width of a channel's 2^n intervals, in the weights' unit.
    func interval(_ channel: Int, bits: Int) -> (low: Double, step: Double) {
        (lows[channel], (highs[channel] - lows[channel]) / Double(1 << bits))
    }
}

/// Splits a run of weights, numbered in memory order, where the channel changes.
///
/// With `inner == 1` neighbors differ in channel; a run then covers consecutive channels, of which `body` gets the first.
@inline(__always)
private func forEachRun(in range: Range<Int>, _ channels: LayerGeometry.Channels, _ body: (Range<Int>, Int) -> Void) {
    var position = range.lowerBound
    let length = channels.inner == 1 ? channels.count : channels.inner
    while position < range.upperBound {
        let end = min((position / length + 1) * length, range.upperBound)
        body(position..<end, channels.inner == 1 ? position % length : position / length % channels.count)
        position = end
    }
}
