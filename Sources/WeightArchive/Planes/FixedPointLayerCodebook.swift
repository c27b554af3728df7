import ModelFiles
import WeightMapper

/// A fixed-point quantizer's codebook, with what a manifest says of it.
struct FixedPointLayerCodebook: LayerCodebook {
    let scope: PrecisionScope
    let codebook: FixedPointCodebook

    init(scope: PrecisionScope, codebook: FixedPointCodebook) {
        self.scope = scope
        self.codebook = codebook
    }

    /// The codebook that a packed file describes.
    ///
    /// - Throws: `MapperError` for settings that are not known and parameters that do not fit.
    init(
        _ record: Manifest.LayerQuantizer, _ parameters: Span<UInt8>, _ layer: LayerGeometry, bits: Int
    ) throws(MapperError) {
        guard let scope = record.range.flatMap(PrecisionScope.init) else {
            throw .parameters(
                expected: "precisions by layer, channel or group:K", found: record.range ?? "no range")
        }
        self.scope = scope
        codebook = try FixedPointCodebook(
            bits: bits, kind: record.name == "fixed" ? .exponent : .scale, encoding: record.precision ?? "",
            parameters, scope: scope, geometry: layer)
    }

    var record: Manifest.LayerQuantizer {
        .init(
            name: codebook.kind == .exponent ? "fixed" : "scaled", range: scope.description,
            precision: codebook.encoding)
    }

    var serialized: [UInt8] { codebook.serialized }

    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        try restoreBins(planes, layer, dtype, codebook, into: bytes)
    }
}
