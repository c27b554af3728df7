import ModelFiles
import WeightMapper

/// The first weight of a tensor that quantizing does not take, as the error that it is: NaN, infinite or too large.
func unfitWeight(of tensor: TensorRecord, in model: ModelFile, _ options: PackOptions) -> MapperError? {
    // A trellis takes weights as float32, and of uniform intervals the range must be finite.
    let limit: Double =
        options.choosesSteps
        ? Double(Float.greatestFiniteMagnitude)
        : options.quantizer == .uniform ? .greatestFiniteMagnitude / 2 : .greatestFiniteMagnitude
    func first<Scalar: WeightScalar>(_ weights: TensorWeights<Scalar>) -> MapperError? {
        var found: MapperError?
        weights.forEachChunk { (start, chunk) in
            guard found == nil else { return }
            var isFit = true
            for i in chunk.indices where !(Double(chunk[i]).magnitude <= limit) { isFit = false }
            guard !isFit, let i = chunk.indices.first(where: { !(Double(chunk[$0]).magnitude <= limit) }) else {
                return
            }
            found =
                chunk[i].isFinite
                ? .tooLarge(index: start + i, value: "\(chunk[i])", limit: "\(limit)")
                : .nonFinite(index: start + i, value: "\(chunk[i])")
        }
        return found
    }
    return tensor.dtype == .f64
        ? first(TensorWeights<Double>(model, tensor)) : first(TensorWeights<Float>(model, tensor))
}

/// What went wrong in quantizing a tensor, with the file that it is in, and the weight that is to blame.
func layerError(
    _ tensor: TensorRecord, _ model: ModelFile, _ options: PackOptions, _ error: MapperError
) -> ArchiveError {
    var cause = error
    switch error {
    // Found in a sample of the weights, or after they were made float32.
    case .nonFinite, .rangeOverflow: cause = unfitWeight(of: tensor, in: model, options) ?? error
    default: break
    }
    return .layer(tensor: tensor.name, reason: "\(model.files[tensor.extent.file].file.path): \(cause)")
}
