/// A layer after the search of a trellis quantizer: an index for each weight, channel by channel, not yet in planes.
public struct TrellisLayer: Sendable {
    /// What gives the planes back as weights.
    public internal(set) var codebook: TrellisCodebook
    /// Whether the search counted on planes of their own for the two unions.
    public let isSplit: Bool
    /// Whether a plane of all weights may have the layer's pictures.
    var keepsPictures: Bool { codebook.sorting != .both && codebook.prediction == nil }
    private var indices: [Int16]
    private var unions: [UInt8]

    init(codebook: TrellisCodebook, isSplit: Bool, count: Int) {
        self.codebook = codebook
        self.isSplit = isSplit
        indices = Array(repeating: 0, count: count)
        unions = Array(repeating: 0, count: isSplit ? count : 0)
    }

    mutating func store(_ k: UnsafeBufferPointer<Int32>, _ u: UnsafeBufferPointer<UInt8>, at start: Int) {
        indices.withUnsafeMutableBufferPointer { indices in
            for i in k.indices { indices[start &+ i] = Int16(truncatingIfNeeded: k[i]) }
        }
        guard isSplit else { return }
        unions.withUnsafeMutableBufferPointer { unions in
            for i in u.indices { unions[start &+ i] = u[i] }
        }
    }

    /// Number of weights.
    public var count: Int { indices.count }

    /// Smallest and largest index.
    private var extent: (low: Int, high: Int) {
        var (low, high) = (Int16(0), Int16(0))
        for k in indices {
            low = k < low ? k : low
            high = k > high ? k : high
        }
        return (Int(low), Int(high))
    }

    /// Bits of a sample that need no overflow, 2...16.
    public var bitsWithoutOverflow: Int {
        let (low, high) = extent
        return (2...16).first { -low <= 1 << ($0 - 1) && high < 1 << ($0 - 1) } ?? 16
    }

    /// Samples of so many bits in all planes.
    ///
    /// - Complexity: linear in the number of weights.
    func sampleCount(bits: Int) -> Int {
        guard bits < bitsWithoutOverflow else { return count }
        let middle = 1 << (bits - 1)
        let last = 2 * middle - 1
        return indices.reduce(count) { sum, k in
            let sample = Int(k) + middle
            return sample <= 0 ? sum + 1 - sample / last : sample >= last ? sum + 1 + (sample - last) / last : sum
        }
    }

    /// The indices as planes.
    ///
    /// - Parameters:
    ///   - bits: bits of a sample n, 2...16; what indices are beyond them follows the others.
    ///   - isSplit: whether each union has a plane; only where the search counted on it.
    ///   - isFolded: whether a single plane is folded to a near-square picture instead of the layer's own.
    public func planes(bits: Int, isSplit: Bool, isFolded: Bool) -> [Plane] {
        bits <= 8
            ? planes(bits: bits, isSplit: isSplit, isFolded: isFolded) { (samples: [UInt8]) in .narrow(samples) }
            : planes(bits: bits, isSplit: isSplit, isFolded: isFolded) { (samples: [UInt16]) in .wide(samples) }
    }

    private func planes<Sample: BinScalar>(
        bits: Int, isSplit: Bool, isFolded: Bool, _ samples: ([Sample]) -> Plane.Samples
    ) -> [Plane] {
        let middle = Int32(1) << Int32(bits - 1)
        let last = 2 * middle - 1
        let mayExceed = bits < bitsWithoutOverflow
        var digits: [Sample] = []
        var all = [Sample](repeating: 0, count: count)
        indices.withUnsafeBufferPointer { indices in
            all.withUnsafeMutableBufferPointer { all in
                for i in indices.indices {
                    let sample = Int32(indices[i]) &+ middle
                    all[i] = Sample(truncatingIfNeeded: sample < 0 ? 0 : sample > last ? last : sample)
                    if mayExceed, sample <= 0 || sample >= last {
                        digits += TrellisPlanes.digits(of: Int(sample <= 0 ? -sample : sample - last), bits: bits)
                            .map { Sample($0) }
                    }
                }
            }
        }
        var runs: [[Sample]]
        var isWhole = false
        if isSplit, case let odd = unions.reduce(0, { $0 + Int($1) }), odd > 0, odd < count {
            runs = [[], []]
            runs[0].reserveCapacity(count - odd)
            runs[1].reserveCapacity(odd + digits.count)
            for i in all.indices { runs[Int(unions[i])].append(all[i]) }
            runs[1] += digits
        } else if isFolded || !keepsPictures {
            runs = [all + digits]
        } else {
            isWhole = true
            runs = digits.isEmpty ? [all] : [all, digits]
        }
        return runs.enumerated().map { index, run in
            Plane(bits: bits, shape: isWhole && index == 0 ? .channels : .run(run.count), samples: samples(run))
        }
    }
}
