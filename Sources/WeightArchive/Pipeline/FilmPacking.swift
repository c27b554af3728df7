import Codecs
import ModelFiles
import WeightMapper

/// A layer in successive models of a series, which may become one video: a film.
struct FilmJob: Sendable {
    /// The layer in each model, in order, as it is packed alone.
    let layers: [LayerJob]
    /// Predicts frames from those of the models before.
    let codec: any MediaCodec
    /// Shape and bits of the plane in each model, and the block that fills a frame.
    let shape: Plane.Shape
    let bits: Int
    let block: BlockShape
    /// Frames of each plane.
    let framesPerLayer: Int

    /// Frames of a layer at most, all of which a codec must look back over, and keeps several times.
    private static let maximumFrames = 4
    /// Samples of a film, whose stream is in memory: more models make another one.
    private static let maximumSize = 1 << 26

    /// Samples of each plane.
    private var sampleCount: Int { if case .rows(let count, _) = shape { count } else { layers[0].geometry.count } }

    /// A layer, and streams: of the film, and those of its layers as they would be alone.
    var memory: Int { layers[0].memory + 4 * layers.count * sampleCount }

    /// The films of a family: the same layer in at least two models.
    ///
    /// - Parameter codec: the codec that was asked for.
    /// - Returns: none where no codec of this machine predicts such frames, or layers are too large.
    /// - Throws: `CodecError` for a codec that does not exist, `MapperError` for a block that does not fit.
    static func films(_ family: [LayerJob], _ dtype: DType, codec specification: String?) throws -> [FilmJob] {
        guard let first = family.first, family.count > 1, let (shape, bits) = try plane(of: first, dtype) else {
            return []
        }
        let geometry = try shape.geometry(of: first.geometry)
        let chosen = shape == .layer ? first.block?.clamped(to: first.geometry) : nil
        let block = chosen ?? BlockShape(filmOf: geometry)
        let frames = try Tiling(video: geometry, block: block).frameCount
        guard frames <= maximumFrames,
            let codec = try specification.map({ try CodecRegistry.codec($0) })
                ?? (try? CodecRegistry.codec("h264:inter=\(frames)")), codec.description.bitDepths.contains(bits)
        else { return [] }
        let length = max(maximumSize / max(geometry.count, 1), 2)
        return stride(from: 0, to: family.count, by: length).compactMap { start in
            let layers = Array(family[start..<min(start + length, family.count)])
            return layers.count < 2
                ? nil
                : FilmJob(
                    layers: layers, codec: codec, shape: shape, bits: bits, block: block, framesPerLayer: frames)
        }
    }

    /// The plane that a layer has in a film; `nil` for quantizers whose samples move although weights do not.
    private static func plane(of job: LayerJob, _ dtype: DType) throws -> (Plane.Shape, Int)? {
        let bits: Int
        switch job.quantizer {
        case .uniform(let number, _, _): bits = number
        case .fixedPoint(let fixed): bits = fixed.bits
        case .exact:
            guard let format = FloatFormat(rawValue: dtype.rawValue) else { return nil }
            return (rows(of: WordBytes.count(of: job.geometry.count, format), job.geometry), 8)
        case .trellis, .bounded: return nil
        }
        // Gates and other matrices are frames each: then the latest frame would be that of another one.
        let isOneFrame = try Tiling(video: job.geometry, block: BlockShape(filmOf: job.geometry)).frameCount == 1
        return (isOneFrame || job.block != nil ? .layer : rows(of: job.geometry.count, job.geometry), bits)
    }

    /// Rows of a layer, several side by side where they are short: inputs that never change are columns that never do.
    private static func rows(of count: Int, _ layer: LayerGeometry) -> Plane.Shape {
        .rows(count, width: layer.rowLength * max(Int(Double(count).squareRoot()) / layer.rowLength, 1))
    }

    /// Where the plane of a layer goes.
    fileprivate func place(_ index: Int) throws(ArchiveError) -> PlacedPlane {
        let layer = layers[index]
        do {
            return try PlacedPlane(
                bits: bits, shape, codec, tensor: layer.tensor, name: layer.name, layer: layer.geometry, block: block,
                frame: index * framesPerLayer)
        } catch {
            throw .layer(tensor: layer.name, reason: "\(error)")
        }
    }
}

extension BlockShape {
    /// The block that fills a frame of a film: all of most layers, so that the latest frame is that of the model before.
    fileprivate init(filmOf geometry: LayerGeometry) { self.init(frameFor: geometry, target: 1 << 23, side: 8192) }
}

/// Puts layers that are the same in several models of a series in films, and leaves others as they are.
///
/// - Throws: as `FilmJob.films` does, by way of `ArchiveError.layer`.
func withFilms(
    _ jobs: [LayerJob], _ tensors: [SelectedTensor], _ model: ModelFile, _ options: PackOptions
) throws(ArchiveError) -> [PackUnit] {
    /// The same layer: what would be the same frames.
    struct Family: Hashable {
        let name: String
        let dtype: DType
        let axes: [LayerGeometry.Axis]
        let bits: Int
    }
    var families: [Family: [LayerJob]] = [:]
    for job in jobs {
        let tensor = tensors[job.tensor]
        guard let member = model.member(of: tensor.record) else { continue }
        let family = Family(
            name: member.tensorName, dtype: tensor.record.dtype, axes: job.geometry.axes, bits: tensor.bits)
        families[family, default: []].append(job)
    }
    var films: [Int: FilmJob] = [:]
    var taken: Set<Int> = []
    for (family, jobs) in families {
        do {
            for film in try FilmJob.films(jobs, family.dtype, codec: options.codec) {
                films[film.layers[0].tensor] = film
                taken.formUnion(film.layers.map(\.tensor))
            }
        } catch {
            throw .layer(tensor: jobs[0].name, reason: "\(error)")
        }
    }
    return jobs.compactMap { job in
        films[job.tensor].map { .film($0) } ?? (taken.contains(job.tensor) ? nil : .layer(job))
    }
}

extension Packer {
    /// Codes a film, or its layers alone where they are smaller so and no codec was asked for.
    func codeFilm(_ job: FilmJob) throws -> CodedUnit {
        guard options.codec == nil else { return try film(job) }
        let film = try mayBeSmaller(job) ? film(job) : nil
        let alone = try alone(job, below: film?.size ?? .max)
        guard let film, film.size <= alone.size else { return alone }
        return film
    }

    /// The layers of a film, each alone; only the first ones where these take as much as `limit`.
    private func alone(_ job: FilmJob, below limit: Int) throws -> CodedUnit {
        var coded = CodedUnit()
        for layer in job.layers {
            let next = try codeLayer(layer)
            coded.layers += next.layers.map { $0.moved(by: coded.streams.count) }
            coded.streams += next.streams
            guard coded.size < limit else { break }
        }
        return coded
    }

    /// Whether a film is worth its time: without loss most bits of a trained layer's weights are noise, which no codec predicts, and of a
    /// large layer that shows in slices of the first models.
    private func mayBeSmaller(_ job: FilmJob) throws -> Bool {
        guard job.layers[0].quantizer.isExact else { return true }
        let layers = Array(job.layers.prefix(3))
        let slices = LayerSlices(layers, of: tensors)
        guard slices.tensors.count > layers.count else { return true }
        let packer = Packer(model, options, tensors: slices.tensors)
        var sizes = (film: 0, alone: 0)
        for number in 0..<slices.parts(of: layers[0]).count {
            let parts = layers.compactMap { slices.job(for: number, of: $0) }
            for film in try FilmJob.films(parts, tensors[layers[0].tensor].record.dtype, codec: nil) {
                sizes.film += try packer.film(film).size
            }
            for part in parts { sizes.alone += try packer.codeLayer(part).size }
        }
        return sizes.film < sizes.alone + sizes.alone / 16
    }

    /// The film, decoded again, compared where the codec is lossless, and measured.
    private func film(_ job: FilmJob) throws -> CodedUnit {
        try job.bits <= 8 ? film(job, UInt8.self) { .narrow($0) } : film(job, UInt16.self) { .wide($0) }
    }

    private func film<Sample: BinScalar>(
        _ job: FilmJob, _: Sample.Type, _ wrap: ([Sample]) -> Plane.Samples
    ) throws -> CodedUnit {
        let places = try job.layers.indices.map { index throws(ArchiveError) in try job.place(index) }
        var group = places[0].group
        group.layers = places.flatMap(\.group.layers)
        group.framesOfStreams = [job.framesPerLayer * places.count]
        var codebooks: [any LayerCodebook] = []
        let (streams, frameHashes) = try encode(group, as: Sample.self) { index, bins in
            let layer = job.layers[index]
            let tensor = tensors[layer.tensor].record
            defer { model.files[tensor.extent.file].file.release(tensor.extent.range) }
            do throws(MapperError) {
                let (plane, codebook) = try filmPlane(layer, tensor, job.shape)
                codebooks.append(codebook)
                bins.withUnsafeMutableBytes { bins in plane.samples.withBytes { bins.copyMemory(from: $0) } }
            } catch {
                throw layerError(tensor, model, options, error)
            }
        }
        let isLossless = job.codec.description.isLossless
        var layers: [GroupRecord.Layer] = []
        try decode(group, as: Sample.self) {
            streams[$0]
        } takeFrame: { index, frame in
            guard !isLossless || Hasher128.hash(frame) == frameHashes[index] else {
                throw ArchiveError.notExact(
                    codec: job.codec.specification, tensor: job.layers[index / job.framesPerLayer].name)
            }
        } takeLayer: { index, bins in
            let layer = job.layers[index]
            let tensor = tensors[layer.tensor].record
            defer { model.files[tensor.extent.file].file.release(tensor.extent.range) }
            let plane = Plane(
                bits: job.bits, shape: job.shape, samples: wrap(bins.withUnsafeBufferPointer { Array($0) }))
            let coded = GroupRecord.CodedPlane(
                codec: job.codec.specification, plane: places[index].record(stream: 0))
            layers.append(try record(tensor, layer, [plane], [coded], codebooks[index], isLossless: isLossless))
        }
        return CodedUnit(layers: layers, streams: streams)
    }

    /// The plane of a layer in a film.
    private func filmPlane(
        _ job: LayerJob, _ tensor: TensorRecord, _ shape: Plane.Shape
    ) throws(MapperError) -> (Plane, any LayerCodebook) {
        if job.quantizer.isExact, let format = FloatFormat(rawValue: tensor.dtype.rawValue) {
            let bytes = model.withBytes(of: tensor.extent) { WordBytes.split($0, format) }
            return (
                Plane(bits: 8, shape: shape, samples: .narrow(bytes)), BytesLayerCodebook(format: format)
            )
        }
        guard case .bins(let plane, let codebook) = try quantize(job, tensor, scale: 1) else {
            throw .parameters(expected: "a quantizer that gives one plane", found: "\(job.quantizer)")
        }
        return (plane, codebook)
    }
}
