import CZlib
import Codecs
import ModelFiles
import WeightMapper

// A layer of planes: quantized whole, coded by each codec that is to be tried, and restored from the streams of the best.
extension Packer {
    func codeLayer(_ job: LayerJob) throws -> CodedUnit {
        guard case .bounded(let error, _) = job.quantizer else { return try codeLayer(job, scale: 1) }
        // Rounding to the tensor's type adds to the error, the more the smaller the bound.
        for scale: Float in [0.999, 0.9, 0.7, 0.4] {
            let result = try codeLayer(job, scale: scale)
            if let found = result.layers[0].statistics?.maximumError, found <= Double(error) { return result }
        }
        throw ArchiveError.layer(
            tensor: job.name,
            reason:
                "expected errors of at most \(error), which its type or indices of 16 bits do not resolve (--exclude keeps tensors exactly)"
        )
    }

    private func codeLayer(_ job: LayerJob, scale: Float) throws -> CodedUnit {
        let tensor = tensors[job.tensor].record
        defer { model.files[tensor.extent.file].file.release(tensor.extent.range) }
        let quantized: QuantizedLayer
        do throws(MapperError) {
            quantized = try quantize(job, tensor, scale: scale)
        } catch {
            throw layerError(tensor, model, options, error)
        }
        var codecs = try codecs(for: quantized, job)
        var best = try smallest(quantized, job, codecs)
        if best == nil, options.codec == nil {
            // Takes samples of 16 bits, which indices far from 0 need.
            codecs.append(try CodecRegistry.codec("ffv1"))
            best = try smallest(quantized, job, codecs.suffix(1))
        }
        guard let best else {
            let names = codecs.map(\.description.name).joined(separator: ", ")
            throw ArchiveError.layer(
                tensor: job.name, reason: "expected a codec for samples of up to 16 bits, found \(names)")
        }
        var decoded: [Plane] = []
        for (index, plane) in best.planes.enumerated() {
            decoded.append(try plane.decode { best.streams[index][$0] })
            guard !plane.group.codec.description.isLossless || decoded[index].samples == best.samples[index] else {
                throw ArchiveError.notExact(codec: plane.group.codec.specification, tensor: job.name)
            }
        }
        var next = 0
        let planes = best.planes.map { plane in
            defer { next += plane.group.framesOfStreams.count }
            return GroupRecord.CodedPlane(
                codec: plane.group.codec.specification, plane: plane.record(stream: next))
        }
        let layer = try record(
            tensor, job, decoded, planes, quantized.codebook,
            isLossless: best.planes.allSatisfy { $0.group.codec.description.isLossless })
        return CodedUnit(layers: [layer], streams: Array(best.streams.joined()))
    }

    /// What the manifest will say of a layer whose planes were decoded: with means of what a lossy codec made of them, if these were
    /// asked for, or pay.
    func record(
        _ tensor: TensorRecord, _ job: LayerJob, _ planes: [Plane], _ coded: [GroupRecord.CodedPlane],
        _ codebook: any LayerCodebook, isLossless: Bool
    ) throws -> GroupRecord.Layer {
        func record(_ codebook: any LayerCodebook) throws -> GroupRecord.Layer {
            let figures = try measure(tensor, job, planes, codebook)
            return GroupRecord.Layer(
                codebook, coded, hash: figures.hash, crc: figures.crc, statistics: figures.statistics)
        }
        guard !isLossless, options.reconstruction != .middle, let uniform = codebook as? UniformLayerCodebook else {
            return try record(codebook)
        }
        let corrected = try record(
            tensor.dtype == .f64
                ? uniform.corrected(for: TensorWeights<Double>(model, tensor), decodedAs: planes[0])
                : uniform.corrected(for: TensorWeights<Float>(model, tensor), decodedAs: planes[0]))
        guard options.reconstruction == nil else { return corrected }
        let plain = try record(codebook)
        return corrected.bitsSaved(insteadOf: plain, weights: tensor.count) > 0 ? corrected : plain
    }

    /// The smallest of what some codecs make of a layer; `nil` when none holds its samples.
    func smallest(
        _ layer: QuantizedLayer, _ job: LayerJob, _ codecs: some Sequence<any MediaCodec>
    ) throws -> CodedLayer? {
        var best: CodedLayer?
        for codec in codecs {
            let planes = layer.planes(for: codec, job.geometry)
            guard planes.allSatisfy({ codec.description.bitDepths.contains($0.bits) }) else { continue }
            var coded = CodedLayer()
            for plane in planes { coded.add(plane.samples, try encode(plane, job, codec)) }
            if coded.size < best?.size ?? .max { best = coded }
        }
        return best
    }

    /// Encodes a plane of a layer; as images that lie on their side too where these have fewer rows.
    private func encode(
        _ plane: Plane, _ job: LayerJob, _ codec: any MediaCodec
    ) throws -> (place: PlacedPlane, streams: [[UInt8]]) {
        func encode(isTransposed: Bool) throws -> (place: PlacedPlane, streams: [[UInt8]]) {
            let place: PlacedPlane
            do {
                place = try PlacedPlane(
                    bits: plane.bits, plane.shape, codec, tensor: job.tensor, name: job.name, layer: job.geometry,
                    block: plane.shape == .layer ? job.block?.clamped(to: job.geometry) : nil,
                    isTransposed: isTransposed)
            } catch {
                throw ArchiveError.layer(tensor: job.name, reason: "\(error)")
            }
            return (place, try place.encode(plane.samples))
        }
        let upright = try encode(isTransposed: false)
        guard codec.description.medium == .image, try plane.shape.geometry(of: job.geometry).suitsTransposedPictures
        else { return upright }
        let transposed = try encode(isTransposed: true)
        func size(_ streams: [[UInt8]]) -> Int { streams.reduce(0) { $0 + $1.count } }
        // The manifest's word for it takes a few bytes.
        return size(transposed.streams) + 16 < size(upright.streams) ? transposed : upright
    }

    /// The codecs to try for a layer: those of the job, and where bytes repeat one that looks for repetition.
    private func codecs(for layer: QuantizedLayer, _ job: LayerJob) throws -> [any MediaCodec] {
        guard job.quantizer.isExact, options.codec == nil, case .bins(let plane, _) = layer,
            case .narrow(let run) = plane.samples, mayRepeat(run),
            job.codecs.contains(where: { $0.description.name == "png" })
        else { return job.codecs }
        return job.codecs + [try CodecRegistry.codec("png:strategy=default")]
    }

    /// Restores a layer as unpacking will, and compares it with the original.
    func measure(
        _ tensor: TensorRecord, _ job: LayerJob, _ planes: [Plane], _ codebook: any LayerCodebook
    ) throws -> (hash: String, crc: UInt, statistics: LayerStatistics) {
        do {
            guard job.quantizer.isExact else {
                return tensor.dtype == .f64
                    ? try compare(TensorWeights<Double>(model, tensor), job, planes, codebook)
                    : try compare(TensorWeights<Float>(model, tensor), job, planes, codebook)
            }
            let size = (tensor.dtype.bitWidth ?? 0) / 8
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.count * size, alignment: 16)
            defer { bytes.deallocate() }
            try codebook.restore(planes, job.geometry, tensor.dtype, into: bytes)
            return try measureExact(tensor, job, planes, codebook, UnsafeRawBufferPointer(bytes))
        } catch let error as MapperError {
            throw layerError(tensor, model, options, error)
        }
    }

    private func compare<Scalar: WeightScalar>(
        _ weights: TensorWeights<Scalar>, _ job: LayerJob, _ planes: [Plane], _ codebook: any LayerCodebook
    ) throws -> (hash: String, crc: UInt, statistics: LayerStatistics) {
        let dtype = weights.tensor.dtype
        let size = (dtype.bitWidth ?? 0) / 8
        let hasher = Hasher128()
        var crc: UInt = 0
        var meter = ErrorMeter()
        var originals = [Scalar](repeating: 0, count: min(TensorWeights<Scalar>.chunk, weights.count))
        var restored = originals
        var start = 0
        try codebook.forEachPiece(planes, job.geometry, dtype) { piece in
            hasher.update(piece)
            if !model.checksums.isEmpty { crc = crc32_z(crc, piece.baseAddress, piece.count) }
            for first in stride(from: 0, to: piece.count / size, by: originals.count) {
                let count = min(originals.count, piece.count / size - first)
                weights.read(start..<start + count, into: &originals)
                restored.withUnsafeMutableBufferPointer { restored in
                    let part = UnsafeMutableBufferPointer(rebasing: restored[..<count])
                    // The error is that of what the file will hold, rounding to its type included.
                    load(
                        UnsafeRawBufferPointer(rebasing: piece[first * size..<(first + count) * size]), dtype,
                        into: part)
                    meter.add(originals.span.extracting(first: count), UnsafeBufferPointer(part).span)
                }
                start += count
            }
        }
        return (
            hasher.digest, crc,
            LayerStatistics(
                entropy: codebook.entropyBits(of: planes) / Double(max(weights.count, 1)),
                variance: meter.variance, meanSquaredError: meter.meanSquaredError, maximumError: meter.maximumError)
        )
    }
}

// MARK: - Quantizing

/// A layer that was quantized, before a codec is chosen.
enum QuantizedLayer {
    case bins(Plane, any LayerCodebook)
    case trellis(TrellisLayer)

    fileprivate var codebook: any LayerCodebook {
        switch self {
        case .bins(_, let codebook): codebook
        case .trellis(let layer): layer.codebook
        }
    }

    /// The planes that suit a codec.
    fileprivate func planes(for codec: any MediaCodec, _ geometry: LayerGeometry) -> [Plane] {
        switch self {
        case .bins(let plane, _): [plane]
        case .trellis(let layer):
            layer.bestPlanes(codec.coder, depths: codec.description.bitDepths, geometry).planes
        }
    }
}

/// The planes of a layer as one codec codes them.
struct CodedLayer {
    private(set) var planes: [PlacedPlane] = []
    private(set) var samples: [Plane.Samples] = []
    /// Of each plane.
    private(set) var streams: [[[UInt8]]] = []

    fileprivate mutating func add(_ samples: Plane.Samples, _ coded: (place: PlacedPlane, streams: [[UInt8]])) {
        planes.append(coded.place)
        self.samples.append(samples)
        streams.append(coded.streams)
    }

    /// Bytes of all streams, each with its headers in the archive and its line in the manifest.
    var size: Int { streams.joined().reduce(0) { $0 + $1.count + Self.bytesBesideStream } }

    /// Of a stream's headers in the archive and its line in the manifest.
    static let bytesBesideStream = 160
}

extension LayerJob {
    /// The trellis quantizer for some of the layer's weights.
    func quantizer(
        for weights: [Float], step: Float, _ effort: Effort, keepsChannels: Bool
    ) throws(MapperError) -> TrellisQuantizer {
        // Where nearly all indices fit 4 bits, symbols hold several.
        let spread = (weights.reduce(0) { $0 + Double($1 * $1) } / Double(max(weights.count, 1))).squareRoot()
        let bits = spread < 10 * Double(step) ? 4 : 8
        return try TrellisQuantizer(
            states: effort.states, step: step, lambda: effort.lambda,
            rates: codecs.count == 1 ? codecs[0].coder.rates(bits: bits) : .entropy, passes: effort.passes,
            sortsWeights: effort.sortsWeights, keepsChannels: keepsChannels)
    }
}

extension MediaCodec {
    /// How the codec spends bits.
    var coder: PlaneCoder {
        switch description.name {
        case "png": .deflate
        case "utvideo": .frameHuffman
        case "flac": description.bitDepths.upperBound > 8 ? .rice : .adaptive
        default: .adaptive
        }
    }
}

extension Packer {
    func quantize(
        _ job: LayerJob, _ tensor: TensorRecord, scale: Float
    ) throws(MapperError) -> QuantizedLayer {
        switch job.quantizer {
        case .uniform(let bits, let scope, let reconstruction):
            let quantizer = try UniformQuantizer(bits: bits, scope: scope, reconstruction: reconstruction)
            let (plane, codebook) = try bins(of: tensor, job.geometry, quantizer)
            guard let codebook = codebook as? UniformCodebook else { preconditionFailure("uniform codebooks") }
            return .bins(
                plane, UniformLayerCodebook(scope: scope, reconstruction: reconstruction, codebook: codebook))
        case .fixedPoint(let fixed):
            let quantizer = try fixed.quantizer(tensor.dtype, job.geometry)
            let (plane, codebook) = try bins(of: tensor, job.geometry, quantizer)
            guard let codebook = codebook as? FixedPointCodebook else { preconditionFailure("fixed-point codebooks") }
            return .bins(plane, FixedPointLayerCodebook(scope: fixed.scope, codebook: codebook))
        case .trellis(let step, let effort):
            let weights = floats(of: tensor)
            let quantizer = try job.quantizer(for: weights, step: step, effort, keepsChannels: keepsChannels)
            return .trellis(try quantizer.quantize(weights, job.geometry, limit: tensor.dtype.largestFinite))
        case .exact(let base):
            let (plane, codebook) = try splitExactly(tensor, job, against: base)
            return .bins(plane, codebook)
        case .bounded(let error, let effort):
            let quantizer = try TrellisQuantizer(
                states: 1, step: error * scale, lambda: 0, sortsWeights: effort.sortsWeights)
            return .trellis(
                try quantizer.quantize(floats(of: tensor), job.geometry, limit: tensor.dtype.largestFinite))
        }
    }

    /// One plane with a bin for each weight, and what gives them back.
    private func bins(
        of tensor: TensorRecord, _ geometry: LayerGeometry, _ quantizer: some Quantizer
    ) throws(MapperError) -> (Plane, any Codebook) {
        func run<Scalar: WeightScalar, Bin: BinScalar>(
            _: Scalar.Type, _: Bin.Type, _ wrap: ([Bin]) -> Plane.Samples
        ) throws(MapperError) -> (Plane, any Codebook) {
            var bins = [Bin](repeating: 0, count: tensor.count)
            var span = bins.mutableSpan
            let codebook = try quantizer.quantize(TensorWeights<Scalar>(model, tensor), geometry, into: &span)
            return (Plane(bits: quantizer.bits, shape: .layer, samples: wrap(bins)), codebook)
        }
        return switch (tensor.dtype == .f64, quantizer.bits <= 8) {
        case (true, true): try run(Double.self, UInt8.self) { .narrow($0) }
        case (true, false): try run(Double.self, UInt16.self) { .wide($0) }
        case (false, true): try run(Float.self, UInt8.self) { .narrow($0) }
        case (false, false): try run(Float.self, UInt16.self) { .wide($0) }
        }
    }

    /// The weights of a tensor, float64 rounded to float32: what a search decides by.
    func floats(of tensor: TensorRecord) -> [Float] {
        var weights = [Float](repeating: 0, count: tensor.count)
        weights.withUnsafeMutableBufferPointer { weights in
            if tensor.dtype == .f64 {
                TensorWeights<Double>(model, tensor).forEachChunk { start, chunk in
                    for i in chunk.indices { weights[start + i] = Float(chunk[i]) }
                }
            } else {
                TensorWeights<Float>(model, tensor).forEachChunk { start, chunk in
                    _ = chunk.withUnsafeBufferPointer {
                        UnsafeMutableBufferPointer(rebasing: weights[start..<start + $0.count]).update(from: $0)
                    }
                }
            }
        }
        return weights
    }
}
