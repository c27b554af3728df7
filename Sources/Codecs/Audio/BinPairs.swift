/// Pairs of bins as samples, the more frequent a pair the smaller its sample.
///
/// Two Gaussian variables are alike likely on a circle, and the number of pairs within it grows as the square of its radius, just
/// as the logarithm of their frequency falls: in the order of that square, the places of pairs have a geometric distribution,
/// which is what FLAC's Rice codes are made for. A single Gaussian bin has another, and costs twice as much above its entropy.
struct BinPairs {
    private let bitDepth: Int
    private let silence: Int
    /// libsndfile's integers are left-justified in 32 bits: this brings a sample to the file's 8 or 16.
    private let shift: Int32
    /// The pair at each place, as the differences of its bins from the silent one, modulo 2^n.
    private let pairs: [UInt16]
    /// The sample of each such pair.
    private let samples: [Int16]

    /// - Parameters:
    ///   - bitDepth: bits of a bin, 1...8.
    ///   - silence: the most frequent bin.
    init(bitDepth: Int, silence: Int32) {
        self.bitDepth = bitDepth
        self.silence = Int(silence)
        shift = bitDepth > 4 ? 16 : 24
        let (middle, mask) = (1 << (bitDepth - 1), (1 << bitDepth) - 1)
        let squares = (-middle..<middle).map { $0 * $0 }
        // A counting sort by the sum of squares: where the pairs of each sum begin.
        var places = [Int](repeating: 0, count: 2 * middle * middle + 2)
        for first in squares { for second in squares { places[first + second + 1] += 1 } }
        for sum in 1..<places.count { places[sum] += places[sum - 1] }
        var pairs = [UInt16](repeating: 0, count: squares.count * squares.count)
        var samples = [Int16](repeating: 0, count: pairs.count)
        for first in squares.indices {
            for second in squares.indices {
                let sum = squares[first] + squares[second]
                let pair = ((first - middle) & mask) << bitDepth | (second - middle) & mask
                pairs[places[sum]] = UInt16(pair)
                // 0, -1, 1, -2, ...: FLAC counts them 0, 1, 2, 3, ...
                let half = Int16(places[sum] >> 1)
                samples[pair] = places[sum].isMultiple(of: 2) ? half : ~half
                places[sum] += 1
            }
        }
        self.pairs = pairs
        self.samples = samples
    }

    /// Samples of a track with so many bins.
    static func sampleCount(_ binCount: Int) -> Int { (binCount + 1) / 2 }

    /// A sample for libsndfile; the last bin of an odd number is paired with silence.
    @inline(__always)
    func integer(_ bins: UnsafeRawBufferPointer, _ index: Int) -> Int32 {
        let mask = (1 << bitDepth) - 1
        let first = (Int(bins[2 * index]) - silence) & mask
        let second = 2 * index + 1 < bins.count ? (Int(bins[2 * index + 1]) - silence) & mask : 0
        return Int32(samples[first << bitDepth | second]) << shift
    }

    /// Puts the bins of a sample in their places.
    @inline(__always)
    func store(_ integer: Int32, _ bins: UnsafeMutableRawBufferPointer, _ index: Int) {
        let sample = Int(integer >> shift)
        // In a file of another encoder the place may be one that no pair has.
        let pair = Int(pairs[min(sample < 0 ? 2 * ~sample + 1 : 2 * sample, pairs.count - 1)])
        let mask = (1 << bitDepth) - 1
        bins[2 * index] = UInt8(truncatingIfNeeded: (pair >> bitDepth + silence) & mask)
        if 2 * index + 1 < bins.count { bins[2 * index + 1] = UInt8(truncatingIfNeeded: (pair + silence) & mask) }
    }
}
