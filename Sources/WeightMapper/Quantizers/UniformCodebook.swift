/// What gives the bins of a uniform quantizer back as weights: the ranges, and for `Reconstruction.mean` where in its
/// interval each bin's weights lie.
public struct UniformCodebook: Codebook {
    /// Bits per weight n.
    public let bits: Int
    /// [Wmin, Wmax] of each channel.
    public let ranges: ChannelRanges
    /// Position in the interval for each of the 2^n bins: code c stands for (c + 0.5) / 256; `nil` for the middle.
    public let meanFractions: [UInt8]?

    init(bits: Int, ranges: ChannelRanges, meanFractions: [UInt8]?) {
        self.bits = bits
        self.ranges = ranges
        self.meanFractions = meanFractions
    }

    public var encoding: String { ranges.encoding.rawValue }

    public var serialized: [UInt8] { ranges.serialized + (meanFractions ?? []) }

    /// A codebook from a packed file.
    ///
    /// - Throws: `MapperError.parameters` when the bytes are not exactly those of such a codebook.
    public init(
        bits: Int, encoding: String, _ bytes: Span<UInt8>, scope: RangeScope, reconstruction: Reconstruction,
        geometry: LayerGeometry
    ) throws(MapperError) {
        guard (1...16).contains(bits) else { throw .bits(bits) }
        guard let encoding = ChannelRanges.Encoding(rawValue: encoding) else {
            let known = ChannelRanges.Encoding.allCases.map(\.rawValue).joined(separator: ", ")
            throw .parameters(expected: "ranges as one of \(known)", found: encoding)
        }
        let channels = scope == .layer ? .init(count: 1, inner: max(geometry.count, 1)) : geometry.channels
        let (rangeBytes, overflow) = encoding.byteCount(channels: channels.count, bits: bits)
        let meanBytes = reconstruction == .mean ? 1 << bits : 0
        guard !overflow, bytes.count >= meanBytes, bytes.count - meanBytes == rangeBytes else {
            throw .parameters(
                expected: "\(rangeBytes + meanBytes) bytes for \(channels.count) channels",
                found: "\(bytes.count) bytes")
        }
        self.bits = bits
        ranges = try ChannelRanges(
            encoding, bytes.extracting(first: rangeBytes), channels, bits: bits)
        let tail = bytes.extracting(last: meanBytes)
        meanFractions = reconstruction == .mean ? tail.indices.map { tail[$0] } : nil
    }

    public func reconstruct<Bin: BinScalar, Scalar: WeightScalar>(
        _ bins: Span<Bin>, at offset: Int, into weights: inout MutableSpan<Scalar>
    ) {
        precondition(bins.count == weights.count)
        let fractions = meanFractions?.map { (Double($0) + 0.5) / 256 }
        bins.withUnsafeBufferPointer { bins in
            weights.withUnsafeMutableBufferPointer { weights in
                ranges.reconstruct(bins, at: offset, bits: bits, fractions, into: weights)
            }
        }
    }
}
