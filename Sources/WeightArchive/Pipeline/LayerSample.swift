import Codecs
import ModelFiles
import WeightMapper

/// Bits and squared error of a layer.
typealias LayerCost = (bits: Double, squaredError: Double)

/// Some channels of a layer, from which is foreseen what a step would cost and give.
struct LayerSample: Sendable {
    /// The layer.
    let job: LayerJob
    let effort: Effort
    /// Variance of the weights.
    let variance: Double
    private let packer: Packer
    private let weights: [Float]
    private let geometry: LayerGeometry

    /// Bytes of a stream beside its samples.
    private static let streamBytes = 70.0

    /// Samples of a layer.
    ///
    /// - Parameter size: weights; layers of up to twice as many are taken whole.
    init(_ packer: Packer, _ job: LayerJob, _ effort: Effort, size: Int) {
        self.packer = packer
        self.job = job
        self.effort = effort
        let tensor = packer.tensors[job.tensor].record
        var weights: [Float] = []
        var geometry = job.geometry
        if tensor.count > 2 * size {
            let length = min(max(tensor.count / max(geometry.channels.count, 1), 1), 16_384)
            let channels = packer.channels(max(size / length, 1), of: tensor, geometry)
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

    /// Weights of the layer for each of the sample.
    private var scale: Double { Double(job.geometry.count) / Double(max(weights.count, 1)) }

    /// Bits and squared error of the whole layer with a step.
    ///
    /// - Parameter isCoded: whether the sample is coded; else what codecs would make of it is reckoned.
    /// - Throws: `MapperError.nonFinite` for NaN or infinities among the sample; what codecs throw.
    func cost(step: Float, isCoded: Bool) throws -> LayerCost {
        let layer = try job.quantizer(
            for: weights, step: step, effort, keepsChannels: packer.keepsChannels
        ).quantize(weights, geometry)
        let codec = job.codecs[0]
        let (planes, bits) = layer.bestPlanes(
            codec.coder, depths: codec.description.bitDepths, geometry, scale: scale)
        let reckoned = bits - min(PlaneCoder.overhead * Double(planes.count), bits)
        let fixed = 8 * Self.streamBytes * Double(planes.count)
        let sampleBits = isCoded ? try codedBits(layer) ?? reckoned : reckoned
        var meter = ErrorMeter()
        let restored = try restore(planes, layer.codebook)
        meter.add(weights.span, restored.span)
        return (
            sampleBits * scale + fixed + 8 * codebookBytes(layer.codebook),
            meter.meanSquaredError * Double(job.geometry.count)
        )
    }

    /// What went wrong with the sample, as an error of the layer.
    func failure(_ error: MapperError) -> ArchiveError {
        layerError(packer.tensors[job.tensor].record, packer.model, packer.options, error)
    }

    private func restore(_ planes: [Plane], _ codebook: TrellisCodebook) throws(MapperError) -> [Float] {
        var restored = [Float](repeating: 0, count: weights.count)
        var failure: MapperError?
        restored.withUnsafeMutableBufferPointer { restored in
            do throws(MapperError) { try codebook.restore(planes, geometry, into: restored) } catch { failure = error }
        }
        if let failure { throw failure }
        return restored
    }

    /// Bits of the sample's share of the layer's streams, without what each has beside its samples; `nil` when no codec takes it.
    private func codedBits(_ layer: TrellisLayer) throws -> Double? {
        let part = job.with(tensor: job.tensor, geometry)
        guard let coded = try packer.smallest(.trellis(layer), part, job.codecs) else { return nil }
        var bits = 0.0
        for (index, place) in coded.planes.enumerated() {
            let coder = place.group.codec.coder
            let plane = Plane(bits: place.bits, shape: place.shape, samples: coded.samples[index])
            // A sample pays alone for what the layer's streams share: tables of codes, and ends of rows.
            let shared = coder.bits(plane, of: geometry) - coder.bits(plane, of: geometry, scale: scale)
            let stream = coded.streams[index].reduce(0) { $0 + 8 * Double($1.count) }
            bits += max(stream - 8 * Self.streamBytes - shared, 0)
        }
        return bits
    }

    /// Bytes of the layer's codebook as parameters are stored, deflated.
    private func codebookBytes(_ codebook: TrellisCodebook) -> Double {
        let bytes = codebook.serialized
        let more = max(job.geometry.channels.count - geometry.channels.count, 0) * codebook.bytesPerChannel
        let deflated = bytes.withUnsafeBytes { deflatedSize($0) }
        return Double(deflated) * Double(bytes.count + more) / Double(bytes.count)
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
