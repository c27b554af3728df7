import ModelFiles
import WeightMapper

/// How the quantizers `fixed` and `scaled` find the precision of each layer (CN111832695A).
public struct FixedPointChoice: Hashable, Sendable {
    /// Exponents (`fixed`) or scales (`scaled`).
    public var kind: PrecisionKind
    /// What of a layer has a precision of its own; `nil` for one precision for all layers.
    public var scope: PrecisionScope?
    /// When precisions change along a series of models, and what of the weights they fit.
    public var strategy: AdjustmentStrategy

    /// A choice; by default a precision for each channel, which follows the largest weight up and down.
    public init(
        _ kind: PrecisionKind, scope: PrecisionScope? = .channel, strategy: AdjustmentStrategy = AdjustmentStrategy()
    ) {
        self.kind = kind
        self.scope = scope
        self.strategy = strategy
    }

    /// Where the extreme is looked for.
    var granularity: Granularity {
        switch scope {
        case nil: .category
        case .layer: .layer
        case .channel, .block: .group
        }
    }
}

/// How one layer's weights become fixed-point numbers.
struct FixedPointJob: Hashable, Sendable, CustomStringConvertible {
    let kind: PrecisionKind
    let bits: Int
    let scope: PrecisionScope
    /// What of the weights the precisions fit, where none are given.
    let measure: AdjustmentStrategy.Measure
    /// The precisions that a series gave.
    let given: GivenPrecisions?

    /// Short, whatever the number of groups: it decides whether an earlier run's result is this job's.
    var description: String {
        let precisions = given.map { "\($0.encoding) \($0.bytes.withUnsafeBytes { Hasher128.hash($0) })" }
        return "\(kind) \(bits) \(scope) \(precisions ?? "\(measure)")"
    }

    /// The quantizer of a layer.
    ///
    /// - Throws: `MapperError` for precisions that are not this layer's.
    func quantizer(_ dtype: DType, _ geometry: LayerGeometry) throws(MapperError) -> FixedPointQuantizer {
        guard let given else {
            return try FixedPointQuantizer(kind, bits: bits, scope: scope, measure: measure, largest: largest(dtype))
        }
        let codebook = try FixedPointCodebook(
            bits: bits, kind: kind, encoding: given.encoding, given.bytes.span, scope: scope, geometry: geometry)
        return try FixedPointQuantizer(
            kind, bits: bits, scope: scope, steps: codebook.steps, largest: largest(dtype))
    }

    /// The largest finite number of a type: a weight must not be restored as infinity.
    private func largest(_ dtype: DType) -> Double {
        switch dtype {
        case .f16: 65_504
        case .bf16: Double(Float(bitPattern: 0x7f7f_0000))
        default: .infinity
        }
    }
}

/// The precisions of a layer's groups, as a codebook stores them: a byte or two each.
struct GivenPrecisions: Hashable, Sendable {
    let encoding: String
    let bytes: [UInt8]
}
