/// The quantizers `fixed` (a weight is k * 2^s) and `scaled` (k * f) of CN111832695A, k signed and of `bits` bits.
///
/// A weight is rounded to the nearest k, ties to even, and saturates at -2^(bits-1) and 2^(bits-1) - 1; its bin is
/// k + 2^(bits-1). The precision of each group is given, by an adjuster that followed a series, or determined from the layer
/// alone, which is a series of one.
///
/// Throughput is bounded by memory: a pass over the weights for the largest magnitudes (and one for the distribution, where the
/// precision goes by it) and one for the bins.
public struct FixedPointQuantizer: Quantizer {
    /// Exponents or scales.
    public let kind: PrecisionKind
    public let bits: Int
    /// What of a layer has a precision of its own.
    public let scope: PrecisionScope
    private let source: Source
    private let largest: Double

    /// Where steps come from.
    private enum Source: Sendable {
        case layer(AdjustmentStrategy.Measure)
        case given([Double])
    }

    /// A quantizer that determines each layer's precision from the layer.
    ///
    /// - Parameters:
    ///   - kind: exponents (`fixed`) or scales (`scaled`).
    ///   - bits: bits of k, 2...16.
    ///   - scope: what has a precision of its own.
    ///   - measure: what of the weights the precision fits.
    ///   - largest: the largest finite number of the tensor's type where that is narrower than the weights are handed over
    ///     in (65,504 for binary16): no weight comes back as more.
    /// - Throws: `MapperError.precision` for bits outside 2...16.
    public init(
        _ kind: PrecisionKind, bits: Int, scope: PrecisionScope, measure: AdjustmentStrategy.Measure = .largest,
        largest: Double = .infinity
    ) throws(MapperError) {
        try self.init(kind, bits, scope, .layer(measure), largest)
    }

    /// A quantizer with given precisions.
    ///
    /// - Parameters:
    ///   - kind: exponents (`fixed`) or scales (`scaled`).
    ///   - bits: bits of k, 2...16.
    ///   - scope: what has a precision of its own.
    ///   - steps: the step (2^s or f) of each group of the layer, as `PrecisionAdjuster.steps(_:layer:)` gives them; 0 for one
    ///     of zeros only.
    ///   - largest: the largest finite number of the tensor's type.
    /// - Throws: `MapperError.precision` for bits outside 2...16 and steps that are no such steps.
    public init(
        _ kind: PrecisionKind, bits: Int, scope: PrecisionScope, steps: [Double], largest: Double = .infinity
    ) throws(MapperError) {
        if let step = steps.first(where: {
            !($0 >= 0 && $0.isFinite && (kind == .scale || $0.significand == 1 || $0 == 0))
        }
        ) {
            throw .precision(expected: kind == .exponent ? "a power of two" : "a positive scale", found: "\(step)")
        }
        try self.init(kind, bits, scope, .given(steps), largest)
    }

    private init(
        _ kind: PrecisionKind, _ bits: Int, _ scope: PrecisionScope, _ source: Source, _ largest: Double
    ) throws(MapperError) {
        guard (2...16).contains(bits) else {
            throw .precision(expected: "2 to 16 bits for a signed number", found: "\(bits)")
        }
        self.kind = kind
        self.bits = bits
        self.scope = scope
        self.source = source
        self.largest = largest
    }

    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity, `MapperError.precision` when the layer has another
    ///   number of groups than there are steps.
    public func quantize<Weights: WeightSource, Bin: BinScalar>(
        _ weights: Weights, _ geometry: LayerGeometry, into bins: inout MutableSpan<Bin>
    ) throws(MapperError) -> any Codebook {
        precondition(bins.count == weights.count && weights.count == geometry.count && Bin.bitWidth >= bits)
        let groups = PrecisionGroups(geometry, scope)
        let codebook = codebook(groups, try steps(of: weights, groups))
        let largest = min(largest, Double(Weights.Scalar.greatestFiniteMagnitude))
        let grid = CodeGrid<Weights.Scalar>(codebook.steps, bits: bits, largest: largest)
        weights.forEachChunk { (start, chunk) in
            chunk.withUnsafeBufferPointer { values in
                bins.withUnsafeMutableBufferPointer { bins in
                    grid.number(
                        values, at: start, groups,
                        into: UnsafeMutableBufferPointer(rebasing: bins[start..<start + values.count]))
                }
            }
        }
        return codebook
    }

    /// The codebook of a layer's given precisions, as quantizing makes it.
    ///
    /// - Throws: `MapperError.precision` when the layer has another number of groups than there are steps, or none were given.
    public func codebook(_ geometry: LayerGeometry) throws(MapperError) -> FixedPointCodebook {
        let groups = PrecisionGroups(geometry, scope)
        guard case .given(let steps) = source, steps.count == groups.count else {
            throw .precision(expected: "a precision for each of \(groups.count) groups", found: "others")
        }
        return codebook(groups, steps)
    }

    /// The codebook of groups with these steps; 0 for groups of zeros only.
    private func codebook(_ groups: PrecisionGroups, _ steps: [Double]) -> FixedPointCodebook {
        FixedPointCodebook(bits: bits, kind: kind, groups: groups, steps: stored(steps))
    }

    /// The step of each group; 0 for one of zeros only.
    private func steps<Weights: WeightSource>(
        of weights: Weights, _ groups: PrecisionGroups
    ) throws(MapperError) -> [Double] {
        switch source {
        case .layer(let measure):
            let measures =
                measure == .largest
                ? try MagnitudeStatistics.largestMagnitudes(weights, groups)
                : try MagnitudeStatistics.measure(weights, groups, distribution: true).map(measure.value)
            return measures.map { $0 > 0 ? kind.step(fitting: $0, bits: bits) : 0 }
        case .given(let steps):
            guard steps.count == groups.count else {
                throw .precision(expected: "a precision for each of \(groups.count) groups", found: "\(steps.count)")
            }
            _ = try MagnitudeStatistics.largestMagnitudes(weights, PrecisionGroups(valueCount: groups.valueCount))
            return steps
        }
    }

    /// The steps as they are stored: each scale of a channel or block rounded up to bfloat16, which costs a hundredth of a bit
    /// a weight at most and saves 16 bits a group; groups of zeros with the step before, which costs least.
    private func stored(_ steps: [Double]) -> [Double] {
        var previous = steps.first { $0 > 0 } ?? 1
        return steps.map { step in
            guard step > 0 else { return previous }
            previous = kind == .scale && scope != .layer ? roundedUpToBFloat(step) : step
            return previous
        }
    }
}

/// The smallest bfloat16 that is no less than a number, where both are normal; else the number itself.
private func roundedUpToBFloat(_ value: Double) -> Double {
    let narrow = Float(value)
    let above = Double(narrow) < value ? narrow.nextUp : narrow
    let rounded = Float(bitPattern: (above.bitPattern &+ 0xffff) & 0xffff_0000)
    return above.isNormal && rounded.isNormal ? Double(rounded) : value
}
