// Inner loops of the uniform quantizer, written so that they vectorize on every x86-64 and arm64: no checked conversion, no
// `rounded()`, no `min` and `max` of floating-point vectors.

/// Smallest and largest of `values`, which are not empty, and whether all are finite; the extremes mean nothing otherwise.
///
/// The comparisons are of whole numbers: a smallest and a largest float are no vector reductions, and in generic code a SIMD
/// type's comparison is a loop over its lanes.
@inline(__always)
private func extremes<Scalar: WeightScalar>(
    of values: UnsafeBufferPointer<Scalar>
) -> (low: Scalar, high: Scalar, isFinite: Bool) {
    var low = Scalar.OrderedBits.max
    var high = Scalar.OrderedBits.min
    forEachPiece(of: values.indices) { piece in
        for i in piece {
            let v = values[i].orderedBits
            low = v < low ? v : low
            high = v > high ? v : high
        }
    }
    // Zeros of both signs are one bound: adding zero makes it positive.
    return (Scalar(orderedBits: low) + 0, Scalar(orderedBits: high) + 0, areFinite(low, high, Scalar.self))
}

/// Whether weights with these smallest and largest `orderedBits` are all finite: NaN and infinities are beyond.
@inline(__always)
private func areFinite<Scalar: WeightScalar>(
    _ low: Scalar.OrderedBits, _ high: Scalar.OrderedBits, _: Scalar.Type
) -> Bool {
    low > (-Scalar.infinity).orderedBits && high < Scalar.infinity.orderedBits
}

/// Widens the ranges of consecutive channels to hold one weight each, and tells whether all weights are finite.
@inline(__always)
private func widen<Scalar: WeightScalar>(
    _ lows: UnsafeMutablePointer<Scalar>, _ highs: UnsafeMutablePointer<Scalar>,
    with values: UnsafeBufferPointer<Scalar>
) -> Bool {
    var smallest = Scalar.OrderedBits.max
    var largest = Scalar.OrderedBits.min
    forEachPiece(of: values.indices) { piece in
        for i in piece {
            let v = values[i]
            lows[i] = v < lows[i] ? v : lows[i]
            highs[i] = v > highs[i] ? v : highs[i]
            let bits = v.orderedBits
            smallest = bits < smallest ? bits : smallest
            largest = bits > largest ? bits : largest
        }
    }
    return areFinite(smallest, largest, Scalar.self)
}

/// The number of the interval, 0 to `last`, that `v`, in units of intervals from the low end, falls in.
///
/// It is clamped before it is rounded down: the result is the same, and floats have vector instructions for that everywhere.
@inline(__always)
private func bin<Scalar: WeightScalar, Bin: BinScalar>(_ v: Scalar, last: Scalar) -> Bin {
    let raised = v < 0 ? 0 : v
    let clamped = raised > last ? last : raised
    let shifted = clamped + Scalar.roundingMagic
    let rounded = shifted - Scalar.roundingMagic
    return Bin(truncatingIfNeeded: shifted.roundedBits &- (rounded > clamped ? 1 : 0))
}

extension ChannelRanges {
    /// Widens `lows` and `highs` to hold `values`, the first of which is weight number `start`; false when one is not finite.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    static func measure<Scalar: WeightScalar>(
        _ values: UnsafeBufferPointer<Scalar>, at start: Int, _ channels: LayerGeometry.Channels,
        _ lows: UnsafeMutablePointer<Scalar>, _ highs: UnsafeMutablePointer<Scalar>
    ) -> Bool {
        var isFinite = true
        forEachRun(in: start..<start + values.count, channels) { run, channel in
            let run = UnsafeBufferPointer(rebasing: values[run.lowerBound - start..<run.upperBound - start])
            if channels.inner == 1 {
                isFinite = widen(lows + channel, highs + channel, with: run) && isFinite
            } else {
                let found = extremes(of: run)
                lows[channel] = min(lows[channel], found.low)
                highs[channel] = max(highs[channel], found.high)
                isFinite = found.isFinite && isFinite
            }
        }
        return isFinite
    }

    /// How many of `values` are 0.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    static func zeroCount<Scalar: WeightScalar>(_ values: UnsafeBufferPointer<Scalar>) -> Int {
        var count = 0
        forEachPiece(of: values.indices) { piece in
            // As wide as a float, for vectors of both.
            var inPiece: Int32 = 0
            for i in piece { inPiece &+= values[i] == 0 ? 1 : 0 }
            count += Int(inPiece)
        }
        return count
    }

    /// Numbers the bins of `values`, the first of which is weight number `start` of the layer.
    @specialized(where Scalar == Float, Bin == UInt8)
    @specialized(where Scalar == Float, Bin == UInt16)
    @specialized(where Scalar == Double, Bin == UInt8)
    @specialized(where Scalar == Double, Bin == UInt16)
    func number<Scalar: WeightScalar, Bin: BinScalar>(
        _ values: UnsafeBufferPointer<Scalar>, at start: Int, bits: Int, into bins: UnsafeMutableBufferPointer<Bin>
    ) {
        let last = Scalar((1 << bits) - 1)
        forEachRun(in: start..<start + values.count, channels) { run, channel in
            let run = run.lowerBound - start..<run.upperBound - start
            if channels.inner == 1 {
                let values = UnsafeBufferPointer(rebasing: values[run])
                let bins = UnsafeMutableBufferPointer(rebasing: bins[run])
                withIntervals(from: channel, bits: bits) { lows, highs, share in
                    forEachPiece(of: values.indices) { piece in
                        for i in piece {
                            let step = (highs[i] - lows[i]) * share
                            let scaled = step > 0 ? (Double(values[i]) - lows[i]) / step : 0
                            bins[i] = bin(scaled, last: Double(last))
                        }
                    }
                }
                return
            }
            let (low, step) = interval(channel, bits: bits)
            let narrow = (low: Scalar(low), step: Scalar(step), reciprocal: Scalar(1 / step))
            if step == 0 {
                for i in run { bins[i] = 0 }
            } else if narrow.reciprocal.isNormal, narrow.step.isNormal, (Scalar(highs[channel]) - narrow.low).isFinite {
                forEachPiece(of: run) { piece in
                    for i in piece {
                        let scaled = (values[i] - narrow.low) * narrow.reciprocal
                        bins[i] = bin(scaled, last: last)
                    }
                }
            } else {
                // Denormal or enormous ranges leave what `Scalar` holds; they are rare and may be slow.
                for i in run {
                    bins[i] = bin(Double(values[i]) / step - low / step, last: Double(last))
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
                let bins = UnsafeBufferPointer(rebasing: bins[run])
                let weights = UnsafeMutableBufferPointer(rebasing: weights[run])
                withIntervals(from: channel, bits: bits) { lows, highs, share in
                    if let fractions {
                        for i in bins.indices {
                            let place = Double(Int32(truncatingIfNeeded: bins[i])) + fractions[Int(bins[i])]
                            weights[i] = Scalar(lows[i] + place * ((highs[i] - lows[i]) * share))
                        }
                    } else {
                        for i in bins.indices {
                            let place = Double(Int32(truncatingIfNeeded: bins[i])) + 0.5
                            weights[i] = Scalar(lows[i] + place * ((highs[i] - lows[i]) * share))
                        }
                    }
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

    /// The bounds of the channels from `first` on, and 2^-n: times it is divided by 2^n, exactly, and vectorizes.
    @inline(__always)
    private func withIntervals(
        from first: Int, bits: Int,
        _ body: (_ lows: UnsafeBufferPointer<Double>, _ highs: UnsafeBufferPointer<Double>, _ share: Double) -> Void
    ) {
        lows.withUnsafeBufferPointer { lows in
            highs.withUnsafeBufferPointer { highs in
                body(
                    UnsafeBufferPointer(rebasing: lows[first...]), UnsafeBufferPointer(rebasing: highs[first...]),
                    Double(sign: .plus, exponent: -bits, significand: 1))
            }
        }
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

/// Walks a long range as four parts in turn: processors fetch ahead within a page of memory only, so that four pages on their
/// way at the same time come faster than one.
@inline(__always)
private func forEachPiece(of range: Range<Int>, _ body: (Range<Int>) -> Void) {
    let piece = 256
    let part = range.count / (4 * piece) * piece
    for start in stride(from: range.lowerBound, to: range.lowerBound + part, by: piece) {
        for start in stride(from: start, to: start + 4 * part, by: part) { body(start..<start + piece) }
    }
    body(range.lowerBound + 4 * part..<range.upperBound)
}
