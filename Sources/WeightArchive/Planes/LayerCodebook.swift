import Codecs
import ModelFiles
import WeightMapper

/// Gives the planes of a layer back as its tensor's bytes.
protocol LayerCodebook: Sendable {
    /// What the manifest says of it.
    var record: Manifest.LayerQuantizer { get }
    /// What else it needs, as compact bytes among the parameters.
    var serialized: [UInt8] { get }
    /// Bits that ideal codes would take for its planes.
    func entropyBits(of planes: [Plane]) -> Double
    /// Fills the bytes of a tensor, in memory order.
    ///
    /// - Throws: `MapperError.parameters` when the planes are not such a layer's.
    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError)
    /// Calls `body` with the bytes of a tensor, in memory order: in pieces where the codebook can restore it piece by piece.
    ///
    /// - Throws: `MapperError.parameters` as `restore` does, and what `body` throws.
    func forEachPiece(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws
}

extension LayerCodebook {
    func forEachPiece(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try withRestored(planes, layer, dtype, body)
    }

    /// Calls `body` with all bytes of a tensor.
    fileprivate func withRestored(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: layer.count * (dtype.bitWidth ?? 0) / 8, alignment: 16)
        defer { bytes.deallocate() }
        try restore(planes, layer, dtype, into: bytes)
        try body(UnsafeRawBufferPointer(bytes))
    }

    func entropyBits(of planes: [Plane]) -> Double { planes.reduce(0) { $0 + $1.entropyBits } }
}

/// The codebook that a packed file describes.
///
/// - Parameter base: what a delta is restored with; without it the codebook restores nothing.
/// - Throws: `MapperError` for a quantizer that is not known and parameters that do not fit.
func layerCodebook(
    _ record: Manifest.LayerQuantizer, _ parameters: Span<UInt8>, _ layer: LayerGeometry, _ dtype: DType, bits: Int,
    base: BaseBytes? = nil
) throws(MapperError) -> any LayerCodebook {
    switch record.name {
    case "exact", "delta":
        guard let format = FloatFormat(rawValue: dtype.rawValue) else {
            throw .parameters(expected: "a floating-point type", found: dtype.rawValue)
        }
        let bytes = parameters.withUnsafeBufferPointer { Array($0) }
        guard record.name == "delta" else {
            return ExactLayerCodebook(codebook: try ExactCodebook(bytes, format: format, count: layer.count))
        }
        return DeltaLayerCodebook(
            codebook: try DeltaCodebook(bytes, format: format, count: layer.count), baseHash: record.base ?? "",
            earlier: record.earlier, base: base)
    case "bytes":
        guard let format = FloatFormat(rawValue: dtype.rawValue), parameters.isEmpty else {
            throw .parameters(expected: "a floating-point type without parameters", found: dtype.rawValue)
        }
        return BytesLayerCodebook(format: format)
    case "trellis":
        let sorting = record.sorted.flatMap(TrellisCodebook.Sorting.init)
        let centers = record.centers.flatMap(WeightCenters.Axis.init)
        guard record.steps == nil || record.steps == "channels" else {
            throw .parameters(expected: "steps of channels", found: record.steps ?? "")
        }
        guard (sorting == nil) == (record.sorted == nil), (centers == nil) == (record.centers == nil) else {
            throw .parameters(expected: "sorted by channels or both, centers of channels or places", found: "\(record)")
        }
        guard (record.order == nil) == (record.lag == nil) else {
            throw .parameters(expected: "an order of prediction with its lag", found: "\(record)")
        }
        let prediction = record.order.flatMap { order in record.lag.map { (order, $0) } }
        return try TrellisCodebook(
            states: record.states ?? 0, hasChannelSteps: record.steps != nil, sorting: sorting, centers: centers,
            prediction: prediction, parameters,
            geometry: layer)
    case "uniform":
        guard let scope = record.range.flatMap(RangeScope.init),
            let reconstruction = record.reconstruct.flatMap(Reconstruction.init)
        else { throw .parameters(expected: "a range by layer or channel, at middle or mean", found: "\(record)") }
        return UniformLayerCodebook(
            scope: scope, reconstruction: reconstruction,
            codebook: try UniformCodebook(
                bits: bits, encoding: record.ranges ?? "", parameters, scope: scope, reconstruction: reconstruction,
                geometry: layer))
    case "fixed", "scaled":
        return try FixedPointLayerCodebook(record, parameters, layer, bits: bits)
    default:
        throw .parameters(
            expected: "a quantizer uniform, fixed, scaled, trellis, exact, delta or bytes", found: record.name)
    }
}

extension TrellisCodebook: LayerCodebook {
    var record: Manifest.LayerQuantizer {
        .init(
            name: "trellis", states: trellis.states, steps: hasChannelSteps ? "channels" : nil,
            sorted: sorting?.rawValue, centers: centers.axis?.rawValue,
            order: prediction?.order, lag: prediction?.lag)
    }

    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        func run<Scalar: WeightScalar>(_: Scalar.Type) throws(MapperError) {
            try restored(layer.count, dtype, into: bytes) {
                (weights: UnsafeMutableBufferPointer<Scalar>) throws(MapperError) in
                try restore(planes, layer, into: weights)
            }
        }
        try dtype == .f64 ? run(Double.self) : run(Float.self)
    }
}

extension TrellisCodebook {
    func forEachPiece(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try Plane.withViews(of: planes) { try forEachPiece($0, layer, dtype, body) }
    }

    /// Calls `body` with the bytes of a tensor, in memory order, piece by piece.
    ///
    /// - Throws: `MapperError.parameters` when the planes are not such a layer's, and what `body` throws.
    func forEachPiece(
        _ planes: [PlaneView], _ layer: LayerGeometry, _ dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard dtype != .f64 else {
            return try forEachPiece(planes, layer, as: Double.self, ScratchMemory.recycled) {
                try body(UnsafeRawBufferPointer($0))
            }
        }
        let size = (dtype.bitWidth ?? 0) / 8
        try forEachPiece(planes, layer, as: Float.self, ScratchMemory.recycled) { weights in
            guard dtype != .f32 else { return try body(UnsafeRawBufferPointer(weights)) }
            let bytes = try RecycledMemory.allocate(weights.count * size)
            defer { RecycledMemory.release(bytes) }
            store(weights, dtype, into: bytes)
            try body(UnsafeRawBufferPointer(bytes))
        }
    }
}

extension ScratchMemory {
    /// What pictures released.
    static let recycled = ScratchMemory {
        try RecycledMemory.allocate($0)
    } release: {
        RecycledMemory.release($0)
    }
}

/// A uniform quantizer's codebook with the settings that a version 3 file says for each layer.
struct UniformLayerCodebook: LayerCodebook {
    let scope: RangeScope
    let reconstruction: Reconstruction
    let codebook: UniformCodebook

    var record: Manifest.LayerQuantizer {
        .init(
            name: "uniform", range: scope.rawValue, reconstruct: reconstruction.rawValue, ranges: codebook.encoding)
    }

    var serialized: [UInt8] { codebook.serialized }

    /// The codebook with means of the weights that a lossy codec gave each bin.
    func corrected(for weights: some WeightSource, decodedAs plane: Plane) -> UniformLayerCodebook {
        let corrected =
            switch plane.samples {
            case .narrow(let bins): codebook.corrected(for: weights, decodedAs: bins.span)
            case .wide(let bins): codebook.corrected(for: weights, decodedAs: bins.span)
            }
        return UniformLayerCodebook(scope: scope, reconstruction: .mean, codebook: corrected)
    }

    func restore(
        _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer
    ) throws(MapperError) {
        try restoreBins(planes, layer, dtype, codebook, into: bytes)
    }
}

/// Restores a layer whose single plane holds a bin for each weight.
func restoreBins(
    _ planes: [Plane], _ layer: LayerGeometry, _ dtype: DType, _ codebook: any Codebook,
    into bytes: UnsafeMutableRawBufferPointer
) throws(MapperError) {
    let isInOrder = if case .rows = planes.first?.shape { true } else { planes.first?.shape == .layer }
    guard planes.count == 1, isInOrder, planes[0].samples.count == layer.count else {
        throw .parameters(expected: "one plane with a bin for each weight", found: "\(planes.count) planes")
    }
    func restore<Scalar: WeightScalar>(_: Scalar.Type) throws(MapperError) {
        try restored(layer.count, dtype, into: bytes) {
            (weights: UnsafeMutableBufferPointer<Scalar>) throws(MapperError) in
            var span = weights.mutableSpan
            switch planes[0].samples {
            case .narrow(let samples): codebook.reconstruct(samples.span, at: 0, into: &span)
            case .wide(let samples): codebook.reconstruct(samples.span, at: 0, into: &span)
            }
        }
    }
    try dtype == .f64 ? restore(Double.self) : restore(Float.self)
}

/// Stores the weights that `fill` gives as a tensor's elements: in their place where these are weights, else by way of an array.
private func restored<Scalar: WeightScalar>(
    _ count: Int, _ dtype: DType, into bytes: UnsafeMutableRawBufferPointer,
    _ fill: (UnsafeMutableBufferPointer<Scalar>) throws(MapperError) -> Void
) throws(MapperError) {
    precondition(bytes.count == count * (dtype.bitWidth ?? 0) / 8)
    if dtype == .f32 || dtype == .f64 { return try fill(bytes.bindMemory(to: Scalar.self)) }
    let weights = UnsafeMutableBufferPointer<Scalar>.allocate(capacity: count)
    defer { weights.deallocate() }
    try fill(weights)
    store(UnsafeBufferPointer(weights), dtype, into: bytes)
}
