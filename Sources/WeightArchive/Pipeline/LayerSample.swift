import Codecs
import ModelFiles
import WeightMapper

/// Some channels of a layer, from which is foreseen what a step would cost and give.
struct LayerSample: Sendable {
    let job: LayerJob
    let effort: Effort
    /// Variance of the weights.
    let variance: Double
    private let weights: [Float]
    private let geometry: LayerGeometry

    /// Bytes of a stream beside its samples.
    private static let streamBytes = 70.0

    /// Weights of a sample; smaller layers are taken whole.
    static let size = 1 << 16

    init(_ packer: Packer, _ job: LayerJob, _ effort: Effort) {
        self.job = job
        self.effort = effort
        let tensor = packer.tensors[job.tensor].record
        var weights: [Float] = []
        var geometry = job.geometry
        if tensor.count > Self.size * 3 / 2 {
            let length = min(max(tensor.count / max(geometry.channels.count, 1), 1), 16_384)
            let channels = packer.channels(max(Self.size / length, 1), of: tensor, geometry)
            let folded = try? LayerGeometry(
                kind: .fc, axes: [.init(.output, channels.count), .init(.input, channels.first?.count ?? 0)],
                count: channels.reduce(0) { $0 + $1.count })
            if let folded, folded.count > 0 { (weights, geometry) = (Array(channels.joined()), folded) }
        }
        if weights.isEmpty { weights = packer.floats(of: tensor) }
        self.weights = weights
        self.geometry = geometry
        var meter = ErrorMeter()
        meter.add(weights.span, weights.span)
        variance = meter.variance
    }

    /// Bits and squared error of the whole layer with a step.
    ///
    /// - Throws: `MapperError.nonFinite` for NaN or infinities among the sample.
    func cost(step: Float) throws(MapperError) -> (bits: Double, squaredError: Double) {
        let coder = job.codecs[0].coder
        let quantizer = try TrellisQuantizer(
            states: effort.states, step: step, lambda: effort.lambda, passes: 1, sortsWeights: effort.sortsWeights)
        let layer = try quantizer.quantize(weights, geometry)
        let (planes, bits) = layer.bestPlanes(coder, depths: job.codecs[0].description.bitDepths, geometry)
        var restored = [Float](repeating: 0, count: weights.count)
        var failure: MapperError?
        restored.withUnsafeMutableBufferPointer { restored in
            do throws(MapperError) { try layer.codebook.restore(planes, geometry, into: restored) } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        var meter = ErrorMeter()
        meter.add(weights.span, restored.span)
        let scale = Double(job.geometry.count) / Double(max(weights.count, 1))
        // What each stream costs beside its samples does not grow with the layer.
        let overhead = min(PlaneCoder.overhead * Double(planes.count), bits)
        return (
            (bits - overhead) * scale + 8 * Self.streamBytes * Double(planes.count) + 8
                * Double(layer.codebook.serialized.count) * scale.squareRoot(),
            meter.meanSquaredError * Double(job.geometry.count)
        )
    }
}

extension Packer {
    /// Weights of some channels, float64 rounded to float32.
    fileprivate func channels(_ limit: Int, of tensor: TensorRecord, _ geometry: LayerGeometry) -> [[Float]] {
        tensor.dtype == .f64
            ? TensorWeights<Double>(model, tensor).channels(limit, of: geometry).map { $0.map { Float($0) } }
            : TensorWeights<Float>(model, tensor).channels(limit, of: geometry)
    }
}
