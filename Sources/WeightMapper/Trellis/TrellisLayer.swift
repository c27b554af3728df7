/// A layer after the search of a trellis quantizer: an index for each weight, channel by channel, not yet in planes.
public struct TrellisLayer: Sendable {
    /// What gives the planes back as weights.
    public let codebook: TrellisCodebook
    /// Whether the search counted on planes of their own for the two unions.
    public let isSplit: Bool
    /// Whether a plane of all weights may have the layer's pictures.
    let keepsPictures: Bool
    private var indices: [Int16]
    private var unions: [UInt8]

    init(codebook: TrellisCodebook, isSplit: Bool, keepsPictures: Bool, count: Int) {
        self.keepsPictures = keepsPictures
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

    /// The indices as planes.
    ///
    /// - Parameters:
    ///   - bits: bits of a sample n, 2...16; indices beyond them go to a plane of overflow.
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
        let hasOverflow = bits < bitsWithoutOverflow
        var overflow: [UInt16] = []
        var all = [Sample](repeating: 0, count: count)
        indices.withUnsafeBufferPointer { indices in
            all.withUnsafeMutableBufferPointer { all in
                for i in indices.indices {
                    let sample = Int32(indices[i]) &+ middle
                    all[i] = Sample(truncatingIfNeeded: sample < 0 ? 0 : sample > last ? last : sample)
                    if hasOverflow, sample <= 0 || sample >= last {
                        overflow.append(UInt16(truncatingIfNeeded: sample <= 0 ? -sample : sample &- last))
                    }
                }
            }
        }
        var planes: [Plane] = []
        if isSplit {
            var parts: [[Sample]] = [[], []]
            let odd = unions.reduce(0) { $0 + Int($1) }
            parts[0].reserveCapacity(count - odd)
            parts[1].reserveCapacity(odd)
            for i in all.indices { parts[Int(unions[i])].append(all[i]) }
            // A union that was never chosen has no plane.
            planes = parts.filter { !$0.isEmpty }.map { Plane(bits: bits, shape: .run($0.count), samples: samples($0)) }
        } else {
            planes = [
                Plane(bits: bits, shape: isFolded || !keepsPictures ? .run(count) : .channels, samples: samples(all))
            ]
        }
        guard !overflow.isEmpty else { return planes }
        let overflowBits = max((1...16).first { overflow.max() ?? 0 < 1 << $0 } ?? 16, 2)
        let values: Plane.Samples =
            overflowBits <= 8 ? .narrow(overflow.map { UInt8($0) }) : .wide(overflow)
        return planes + [Plane(bits: overflowBits, shape: .run(overflow.count), samples: values)]
    }
}
