import Codecs
import ModelFiles
import WeightMapper

extension PackedModel {
    /// Bins of one layer, in memory order, as the pictures that hold them: decoded again from its streams.
    ///
    /// - Parameter name: a name or alias of a packed tensor.
    /// - Returns: for each picture of the layer (one for each gate of an LSTM) its PNG, at the layer's bit depth.
    /// - Throws: `ArchiveError.option` when no packed tensor has that name.
    public func pictures(of name: String) throws -> [[UInt8]] {
        if let layer = valid.planed.first(where: { isCalled(name, $0.tensor) }) {
            let first = layer.planes[0].group.layers[0]
            switch try planes(of: layer)[0].samples {
            case .narrow(let samples): return try layerPictures(samples.span, first.geometry, bits: first.bits)
            case .wide(let samples): return try layerPictures(samples.span, first.geometry, bits: first.bits)
            }
        }
        let place = valid.groups.indices.lazy.compactMap { group in
            valid.groups[group].layers.firstIndex { isCalled(name, $0.tensor) }.map { (group, $0) }
        }.first
        guard let (group, layer) = place else {
            throw ArchiveError.option("\(path): expected the name of a packed layer, found '\(name)'")
        }
        return valid.groups[group].format.bytesPerSample == 1
            ? try pictures(group, layer, UInt8.self) : try pictures(group, layer, UInt16.self)
    }

    private func isCalled(_ name: String, _ tensor: Int) -> Bool {
        let tensor = valid.manifest.tensors[tensor]
        return tensor.name == name || tensor.aliases?.contains(name) == true
    }

    private func pictures<Bin: BinScalar>(_ group: Int, _ wanted: Int, _: Bin.Type) throws -> [[UInt8]] {
        var pictures: [[UInt8]] = []
        try decode(valid.groups[group], as: Bin.self) {
            try stream(group, $0)
        } takeLayer: { index, bins in
            guard index == wanted else { return }
            let layer = valid.groups[group].layers[index]
            pictures = try layerPictures(bins, layer.geometry, bits: layer.bits)
        }
        return pictures
    }
}

/// The pictures of a layer as claims 1, 4 and 5 have them, each a PNG.
func layerPictures<Bin: BinScalar>(_ bins: Span<Bin>, _ geometry: LayerGeometry, bits: Int) throws -> [[UInt8]] {
    var pictures: [[UInt8]] = []
    try forEachPicture(bins, geometry, bits: bits) { pictures.append($1) }
    return pictures
}

/// Calls `body` with the pictures of a layer as claims 1, 4 and 5 have them, numbered, each a PNG.
func forEachPicture<Bin: BinScalar>(
    _ bins: Span<Bin>, _ geometry: LayerGeometry, bits: Int, _ body: (Int, [UInt8]) throws -> Void
) throws {
    let tiling = Tiling(image: geometry)
    let codec = try CodecRegistry.codec("png")
    let format = try FrameFormat(width: tiling.frameWidth, height: tiling.frameHeight, bitDepth: bits)
    for frame in 0..<tiling.frameCount {
        let png = try codec.encode(format, count: 1) { _, buffer in
            buffer.withMemoryRebound(to: Bin.self) { samples in
                var samples = samples.mutableSpan
                tiling.tile(bins, frame: frame, padding: 1 << (bits - 1), into: &samples)
            }
        }
        try body(frame, png)
    }
}

/// The pictures of a layer that is not packed yet, as packing would make them.
///
/// - Throws: `ArchiveError.layer` for a tensor that cannot be packed.
public func pictures(of name: String, in model: ModelFile, _ options: PackOptions) throws -> [[UInt8]] {
    var options = options
    options.include.append(#"^\Q"# + name.replacing(#"\E"#, with: #"\E\\E\Q"#) + #"\E$"#)
    let tensors = try select(model, options)
    guard let tensor = tensors.first(where: { $0.record.name == name || $0.aliases.contains(name) }) else {
        throw ArchiveError.option("\(model.path): expected the name of a tensor, found '\(name)'")
    }
    guard let geometry = tensor.geometry else {
        throw ArchiveError.layer(tensor: name, reason: "expected floating-point weights, found \(tensor.record.dtype)")
    }
    func make<Bin: BinScalar>(_: Bin.Type) throws -> [[UInt8]] {
        let bins: [Bin] = try bins(of: tensor, geometry, in: model, options)
        return try layerPictures(bins.span, geometry, bits: tensor.bits)
    }
    let pictures = tensor.bits <= 8 ? try make(UInt8.self) : try make(UInt16.self)
    try model.checkUnchanged()
    return pictures
}

/// Bins of a tensor as packing would make them.
///
/// - Throws: `ArchiveError.layer` for weights that have none.
func bins<Bin: BinScalar>(
    of tensor: SelectedTensor, _ geometry: LayerGeometry, in model: ModelFile, _ options: PackOptions
) throws -> [Bin] {
    var bins = [Bin](repeating: 0, count: geometry.count)
    var span = bins.mutableSpan
    let quantizer = try UniformQuantizer(bits: tensor.bits, scope: options.range)
    do throws(MapperError) {
        _ =
            tensor.record.dtype == .f64
            ? try quantizer.quantize(TensorWeights<Double>(model, tensor.record), geometry, into: &span)
            : try quantizer.quantize(TensorWeights<Float>(model, tensor.record), geometry, into: &span)
    } catch {
        throw layerError(tensor.record, model, options, error)
    }
    return bins
}
