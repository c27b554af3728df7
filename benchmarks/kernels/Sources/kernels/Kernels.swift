import WeightMapper

/// Times the inner loops of WeightMapper on one thread, on layers of about 64 Mi weights: larger than any cache.
///
/// Prints one JSON object a line. `benchmarks/speed` builds it, runs it and makes the table.
@main
struct Kernels {
    private let copier = Copier(capacity: 4 * Kernels.side * Kernels.side)

    /// Rows and columns of the matrices.
    static let side = 8192

    static func main() throws {
        let kernels = Kernels()
        let layer = try LayerGeometry(kind: .fc, shape: [side, side])
        let transposed = try LayerGeometry(kind: .fc, shape: [side, side], convention: .keras)
        let convolution = try LayerGeometry(kind: .conv, shape: [side / 4, side * 4 / 9, 3, 3])

        try kernels.uniform(UInt8.self, "FC", layer, bits: 8, .channel)
        try kernels.uniform(UInt8.self, "FC", layer, bits: 8, .layer)
        try kernels.uniform(UInt16.self, "FC", layer, bits: 12, .channel)
        try kernels.uniform(UInt8.self, "conv 3x3", convolution, bits: 8, .channel)
        try kernels.uniform(UInt8.self, "FC, transposed", transposed, bits: 8, .channel)

        try kernels.fixedPoint(UInt8.self, "FC", layer, .exponent, bits: 8, .channel)
        try kernels.fixedPoint(UInt8.self, "FC", layer, .scale, bits: 8, .layer)
        try kernels.fixedPoint(UInt8.self, "FC", layer, .scale, bits: 8, .block(32))
        try kernels.fixedPoint(UInt16.self, "FC", layer, .scale, bits: 12, .channel)
        try kernels.fixedPoint(UInt8.self, "conv 3x3", convolution, .scale, bits: 8, .channel)
        try kernels.fixedPoint(UInt8.self, "FC, transposed", transposed, .scale, bits: 8, .channel)
        try kernels.fixedPoint(UInt8.self, "FC, transposed", transposed, .scale, bits: 8, .block(32))
        try kernels.distribution("FC", layer, .channel)

        try kernels.tiling(UInt8.self, "FC, image", Tiling(image: layer))
        try kernels.tiling(UInt8.self, "FC, frames", Tiling(layer, block: BlockShape(frameFor: layer)))
        try kernels.tiling(UInt16.self, "FC, image", Tiling(image: layer))
        try kernels.tiling(UInt8.self, "conv 3x3, image", Tiling(image: convolution))
        try kernels.tiling(
            UInt8.self, "conv 3x3, frames", Tiling(convolution, block: BlockShape(frameFor: convolution)))
        try kernels.tiling(UInt8.self, "FC, transposed, image", Tiling(image: transposed))
    }

    private func uniform<Bin: BinScalar>(
        _: Bin.Type, _ name: String, _ geometry: LayerGeometry, bits: Int, _ scope: RangeScope
    ) throws {
        try quantization(
            Bin.self, "\(name), \(Bin.self), range \(scope.rawValue)", geometry,
            try UniformQuantizer(bits: bits, scope: scope))
    }

    private func fixedPoint<Bin: BinScalar>(
        _: Bin.Type, _ name: String, _ geometry: LayerGeometry, _ kind: PrecisionKind, bits: Int,
        _ scope: PrecisionScope
    ) throws {
        try quantization(
            Bin.self, "\(name), \(Bin.self), \(kind.rawValue) by \(scope)", geometry,
            try FixedPointQuantizer(kind, bits: bits, scope: scope))
    }

    /// Measures the magnitudes of a layer's weights, with their distribution.
    private func distribution(_ name: String, _ geometry: LayerGeometry, _ scope: PrecisionScope) throws {
        let weights = bellShaped(geometry.count)
        let groups = PrecisionGroups(geometry, scope)
        report(
            try Measurement(
                "distribution \(name), by \(scope)", weights: weights.count, bytes: weights.count * 4, copier
            ) {
                _ = try MagnitudeStatistics.measure(weights, groups, distribution: true)
            })
    }

    /// Quantizes a layer of float32 weights and reconstructs it.
    private func quantization<Bin: BinScalar>(
        _: Bin.Type, _ what: String, _ geometry: LayerGeometry, _ quantizer: some Quantizer
    ) throws {
        let weights = bellShaped(geometry.count)
        var bins = [Bin](repeating: 0, count: weights.count)
        var restored = [Float](repeating: 0, count: weights.count)
        let bytes = weights.count * MemoryLayout<Float>.stride
        var codebook: (any Codebook)?
        report(
            try Measurement("quantize \(what)", weights: weights.count, bytes: bytes, copier) {
                var span = bins.mutableSpan
                codebook = try quantizer.quantize(weights, geometry, into: &span)
            })
        report(
            Measurement("reconstruct \(what)", weights: weights.count, bytes: bytes, copier) {
                var span = restored.mutableSpan
                codebook?.reconstruct(bins.span, at: 0, into: &span)
            })
    }

    /// Tiles a layer's bins, all pictures one after the other, and takes them back.
    private func tiling<Bin: BinScalar>(_: Bin.Type, _ name: String, _ tiling: Tiling) throws {
        let count = tiling.geometry.count
        var bins = (0..<count).map { Bin(truncatingIfNeeded: $0 &* 40_503 >> 8) }
        var pixels = [Bin](repeating: 0, count: tiling.frameWidth * tiling.frameHeight)
        let bytes = count * MemoryLayout<Bin>.stride
        report(
            Measurement("tile \(name), \(Bin.self)", weights: count, bytes: bytes, copier) {
                for frame in 0..<tiling.frameCount {
                    var span = pixels.mutableSpan
                    tiling.tile(bins.span, frame: frame, padding: 0, into: &span)
                }
            })
        report(
            Measurement("untile \(name), \(Bin.self)", weights: count, bytes: bytes, copier) {
                for frame in 0..<tiling.frameCount {
                    var span = bins.mutableSpan
                    tiling.untile(pixels.span, frame: frame, into: &span)
                }
            })
    }

    private func report(_ measurement: Measurement) { print(measurement.json) }
}

/// Numbers of about normal distribution, the same on every run.
private func bellShaped(_ count: Int) -> [Float] {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        // The sum of four uniform numbers.
        let sum = (state & 0xffff) &+ (state >> 16 & 0xffff) &+ (state >> 32 & 0xffff) &+ state >> 48
        return (Float(sum) - 131_070) / 1_000_000
    }
}
