/// Bits per weight with which a uniform quantizer still tells the weights of nearly every channel apart.
///
/// A single outlier can widen a channel's [Wmin, Wmax] so much that all its other weights share one interval: they come back
/// as one value, off by the same amount, and the network fails although its signal-to-noise ratio looks fine. That is so
/// where more than 1 % of the channels have intervals wider than half the median deviation of their weights. Such a layer
/// gets bits until the intervals are an eighth of it, which leaves the bulk of every channel about 32 dB; more than a
/// threshold's worth, since how much the network depends on these weights cannot be seen in them. Weights that are 0 come back as 0
/// whatever the intervals are, so deviations are those of the others; where these are the fewer, their deviations from 0.
///
/// - Parameters:
///   - channels: weights of some of the layer's channels.
///   - bits: the least answer.
///   - most: the largest answer.
/// - Returns: bits per weight in `bits...most`.
/// - Complexity: linear in the weights given.
public func bitsThatResolve(_ channels: [[Float]], atLeast bits: Int, atMost most: Int = 12) -> Int {
    // Width of the range by median deviation, of each channel where both mean something.
    let spreads = channels.compactMap { weights -> Double? in
        var (low, high) = (Float.infinity, -Float.infinity)
        for weight in weights {
            low = weight < low ? weight : low
            high = weight > high ? weight : high
        }
        let others = weights.filter { $0 != 0 }
        guard others.count > 2, (high - low).isFinite else { return nil }
        // Every weight may be the outlier; the median takes no more than some.
        let some = stride(from: 0, to: others.count, by: (others.count + 127) / 128).map { others[$0] }.sorted()
        let median = 2 * others.count < weights.count ? 0 : some[some.count / 2]
        let deviation = some.map { abs($0 - median) }.sorted()[some.count / 2]
        return deviation > 0 ? Double(high - low) / Double(deviation) : nil
    }.sorted()
    guard let spread = spreads.isEmpty ? nil : spreads[(spreads.count - 1) * 99 / 100] else { return bits }
    guard spread > 0.5 * Double(1 << bits) else { return bits }
    var answer = bits
    while answer < most, spread > 0.125 * Double(1 << answer) { answer += 1 }
    return answer
}
