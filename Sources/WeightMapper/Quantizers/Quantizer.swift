/// Turns the weights of a layer into bin numbers in [0, 2^n).
///
/// A quantizer chooses; the codebook that it returns is all that reconstruction needs, so new quantizers (a trellis, fixed
/// point) change neither tilings nor codecs nor the packed file's structure.
public protocol Quantizer: Sendable {
    /// Bits per weight n, 1...16.
    var bits: Int { get }
    /// Fills `bins` (one for each weight, in memory order) and returns the codebook that gives weights back.
    ///
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    func quantize<Source: WeightSource, Bin: BinScalar>(
        _ weights: Source, _ geometry: LayerGeometry, into bins: inout MutableSpan<Bin>
    ) throws(MapperError) -> any Codebook
}

/// Gives bins back as weights.
public protocol Codebook: Sendable {
    /// Name of the codebook's encoding, as the manifest records it.
    var encoding: String { get }
    /// What reconstruction needs, as compact bytes; their cost counts as the layer's.
    var serialized: [UInt8] { get }
    /// Reconstructs the weights of `bins`, the first of which is weight number `offset` of the layer.
    ///
    /// The arithmetic is binary64 with one rounding to `Scalar`, so every implementation gives the same bits.
    func reconstruct<Bin: BinScalar, Scalar: WeightScalar>(
        _ bins: Span<Bin>, at offset: Int, into weights: inout MutableSpan<Scalar>)
}

/// Extent of the interval [Wmin, Wmax] that is divided into bins (claim 2 takes it over the layer).
public enum RangeScope: String, Sendable, Codable, CaseIterable {
    /// One range for the layer, as claim 2 has it.
    case layer
    /// A range for each output channel, gate row or embedding row: outliers of one do not coarsen the others.
    case channel
}

/// Where in its interval a bin's weights are put back.
public enum Reconstruction: String, Sendable, Codable, CaseIterable {
    /// At the interval's middle.
    case middle
    /// At the mean of the weights that fell in the bin, or that a lossy codec put in it, stored in 256ths of the interval.
    case mean
}
