/// Claims 2 and 3 of CN109376856B: [Wmin, Wmax] divided into 2^n equal intervals, numbered 0 to 2^n - 1 in rising order; a
/// weight becomes the number of its interval.
///
/// Throughput is bounded by memory: two passes over the weights, one for the ranges and one for the bins.
public struct UniformQuantizer: Quantizer {
    public let bits: Int
    /// Over what [Wmin, Wmax] is taken.
    public let scope: RangeScope
    /// Where weights are put back.
    public let reconstruction: Reconstruction

    /// A uniform quantizer of `bits` bits per weight.
    ///
    /// - Throws: `MapperError.bits` outside 1...16.
    public init(
        bits: Int = 8, scope: RangeScope = .channel, reconstruction: Reconstruction = .middle
    ) throws(MapperError) {
        guard (1...16).contains(bits) else { throw .bits(bits) }
        self.bits = bits
        self.scope = scope
        self.reconstruction = reconstruction
    }

    public func quantize<Source: WeightSource, Bin: BinScalar>(
        _ weights: Source, _ geometry: LayerGeometry, into bins: inout MutableSpan<Bin>
    ) throws(MapperError) -> any Codebook {
        precondition(bins.count == weights.count && weights.count == geometry.count && Bin.bitWidth >= bits)
        let channels = scope == .layer ? .init(count: 1, inner: max(weights.count, 1)) : geometry.channels
        let ranges = try ChannelRanges(measuring: weights, channels, bits: bits)
        var means = reconstruction == .mean ? BinMeans(bits: bits) : nil
        weights.forEachChunk { (start, chunk) in
            chunk.withUnsafeBufferPointer { values in
                bins.withUnsafeMutableBufferPointer { bins in
                    let bins = UnsafeMutableBufferPointer(rebasing: bins[start..<start + values.count])
                    ranges.number(values, at: start, bits: bits, into: bins)
                    means?.add(values, UnsafeBufferPointer(bins), at: start, ranges)
                }
            }
        }
        return UniformCodebook(bits: bits, ranges: ranges, meanFractions: means?.fractions)
    }
}

extension UniformCodebook {
    /// The codebook with means of the weights that a lossy codec gave each bin, whichever they had been in.
    ///
    /// - Parameters:
    ///   - weights: those that were quantized.
    ///   - bins: what the codec made of their bins.
    public func corrected<Source: WeightSource, Bin: BinScalar>(
        for weights: Source, decodedAs bins: Span<Bin>
    ) -> UniformCodebook {
        var means = BinMeans(bits: bits)
        bins.withUnsafeBufferPointer { bins in
            weights.forEachChunk { (start, chunk) in
                chunk.withUnsafeBufferPointer { values in
                    means.add(
                        values, UnsafeBufferPointer(rebasing: bins[start..<start + values.count]), at: start, ranges)
                }
            }
        }
        return UniformCodebook(bits: bits, ranges: ranges, meanFractions: means.fractions)
    }
}

/// Running means of where weights lie within their bin.
private struct BinMeans {
    private let bits: Int
    private var sums: [Double]
    private var counts: [Int]

    init(bits: Int) {
        self.bits = bits
        sums = Array(repeating: 0, count: 1 << bits)
        counts = Array(repeating: 0, count: 1 << bits)
    }

    /// Mean position in each bin's interval, in 256ths: code c stands for (c + 0.5) / 256.
    var fractions: [UInt8] {
        zip(sums, counts).map { sum, count in
            count == 0 ? 128 : UInt8(min(max(sum / Double(count) * 256, 0), 255))
        }
    }

    @specialized(where Scalar == Float, Bin == UInt8)
    @specialized(where Scalar == Float, Bin == UInt16)
    @specialized(where Scalar == Double, Bin == UInt8)
    @specialized(where Scalar == Double, Bin == UInt16)
    mutating func add<Scalar: WeightScalar, Bin: BinScalar>(
        _ weights: UnsafeBufferPointer<Scalar>, _ bins: UnsafeBufferPointer<Bin>, at start: Int,
        _ ranges: ChannelRanges
    ) {
        let channels = ranges.channels
        for i in weights.indices {
            let (low, step) = ranges.interval((start + i) / channels.inner % channels.count, bits: bits)
            guard step > 0 else { continue }
            let bin = Int(bins[i])
            sums[bin] += (Double(weights[i]) - low) / step - Double(bin)
            counts[bin] += 1
        }
    }
}
