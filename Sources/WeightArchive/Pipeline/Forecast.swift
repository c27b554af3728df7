import Codecs
import ModelFiles
import WeightMapper

/// What packing would give, foreseen from parts of the layers.
public struct Forecast: Sendable {
    /// Size of the packed file, in bytes.
    public let bytes: Int
    /// Weights that would be packed.
    public let weights: Int
    /// Streams and parameters of the layers, in bits per weight.
    public let bitsPerWeight: Double
}

extension Packer {
    /// Foresees the size of the packed file: within 3 % on networks of a megabyte and more.
    ///
    /// Small layers are packed, of large ones some slices; a goal's steps are chosen first.
    ///
    /// - Complexity: linear in the number of layers, of large ones some 800,000 weights each; and in what is kept.
    /// - Throws: `ArchiveError` as packing would.
    public func forecast() async throws -> Forecast {
        let units = try WeightArchive.units(
            tensors, model, options, steps: try await RateControl(self)?.steps ?? [:],
            bases: baseTensors(of: model, tensors, options))
        let items = units.flatMap(items)
        let jobs = items.flatMap(\.jobs)
        let slices = LayerSlices(jobs, of: tensors)
        var partUnits: [PackUnit] = []
        var itemOfPart: [Int] = []
        for (index, item) in items.enumerated() {
            for number in 0..<slices.parts(of: item.jobs[0]).count {
                let layers = item.jobs.compactMap { slices.job(for: number, of: $0) }
                let found: [PackUnit] =
                    if case .film = item {
                        try FilmJob.films(layers, tensors[item.tensors[0]].record.dtype, codec: options.codec).map {
                            .film($0)
                        }
                    } else {
                        layers.map { .layer($0) }
                    }
                partUnits += found
                itemOfPart += found.map { _ in index }
            }
        }
        let packer = Packer(model, options, tensors: slices.tensors)
        let work = partUnits
        var sizes = [PartSize](repeating: PartSize(), count: items.count)
        try await runJobs(
            memory: work.map(\.memory), limit: max(options.threads, 1), budget: 1 << 28
        ) { index in
            let coded = try packer.code(work[index])
            let jobs = work[index].jobs
            var size = PartSize(
                streams: coded.streams.count, bytes: coded.streams.reduce(0) { $0 + $1.count },
                fixed: jobs[0].codecs[0].fixedBytes * coded.streams.count)
            for (job, layer) in zip(jobs, coded.layers) {
                size.parameters += Array(layer.parameters).withUnsafeBytes { WeightArchive.deflatedSize($0) }
                let count = Double(job.geometry.count)
                size.signal += (layer.statistics?.variance ?? 0) * count
                size.error += (layer.statistics?.meanSquaredError ?? 0) * count
            }
            return size
        } done: {
            sizes[itemOfPart[$0]].add($1)
        }
        var layerBytes = 0.0
        var streams = 0
        var (signal, error) = (0.0, 0.0)
        for (item, total) in zip(items, sizes) {
            let parts = item.jobs.flatMap(slices.parts)
            let many = max(slices.parts(of: item.jobs[0]).count, 1)
            let scale = Double(item.weightCount) / Double(max(parts.reduce(0) { $0 + $1.record.count }, 1))
            // Parameters are mostly those of channels, which slices may share.
            let channels = parts.reduce(0) { $0 + ($1.geometry?.channels.count ?? 0) }
            let channelsOfAll = item.jobs.reduce(0) { $0 + $1.geometry.channels.count }
            let parameterScale = Double(channelsOfAll) / Double(max(channels, 1))
            layerBytes +=
                Double(max(total.bytes - total.fixed, 0)) * scale + Double(total.fixed) / Double(many)
                + Double(total.parameters) * parameterScale
            signal += total.signal * scale
            error += total.error * scale
            streams += max(total.streams / many, 1)
        }
        let beside = bytesBeside(streams: streams, hasPlanes: options.usesPlanes)
        let weights = jobs.reduce(0) { $0 + $1.geometry.count }
        // Packing tries until such goals are met.
        switch options.goal {
        case .bitsPerWeight(let bits): layerBytes = 0.993 * bits * Double(weights) / 8
        case .size(let bytes): layerBytes = 0.995 * Double(bytes) - Double(beside)
        case .signalToNoise(let decibel) where error > 0:
            layerBytes -= (signalToNoise(signal, error) - decibel) / 6.0206 * Double(weights) / 8
        default: break
        }
        return Forecast(
            bytes: Int(layerBytes) + beside, weights: weights,
            bitsPerWeight: weights > 0 ? 8 * layerBytes / Double(weights) : 0)
    }

    /// What of a unit is foreseen by itself: its layers, but films as they are.
    private func items(_ unit: PackUnit) -> [PackUnit] {
        switch unit {
        case .layer, .film: [unit]
        case .group(let group):
            group.layers.map { layer in
                .layer(
                    LayerJob(
                        tensor: layer.tensor, name: layer.name, geometry: layer.geometry,
                        quantizer: .uniform(bits: layer.bits, options.range, options.reconstruction ?? .middle),
                        codecs: [group.codec],
                        block: options.block))
            }
        }
    }

    /// Bytes of the packed file that are no layer's.
    private func bytesBeside(streams: Int, hasPlanes: Bool) -> Int {
        let packed = tensors.count { $0.kept == nil }
        let kept = model.files.indices.reduce(0) { sum, file in
            let layers = tensors.filter { $0.kept == nil && $0.record.extent.file == file }
                .map(\.record.extent.range).sorted { $0.lowerBound < $1.lowerBound }
            var bytes = 0
            var start = 0
            for range in layers + [model.files[file].file.size..<model.files[file].file.size] {
                if range.lowerBound > start {
                    bytes +=
                        hasPlanes ? deflatedSize(file, start..<range.lowerBound) : range.lowerBound - start
                }
                start = max(start, range.upperBound)
            }
            return sum + bytes
        }
        // Headers of ZIP entries, and the manifest.
        let names = tensors.reduce(0) { $0 + $1.record.name.utf8.count }
        let entries = (streams + 3) * 140 + 2 * names
        let manifest =
            hasPlanes
            ? 400 + 110 * packed + 45 * streams + 30 * (tensors.count - packed)
            : 400 + 480 * packed + 180 * streams + 110 * (tensors.count - packed) + 2 * names
        return kept + entries + manifest
    }

    /// Size of some bytes of a file as deflate leaves them; of many, foreseen from some.
    private func deflatedSize(_ file: Int, _ range: Range<Int>) -> Int {
        let piece = 1 << 20
        let pieces = (range.count + piece - 1) / piece
        let stride = max(pieces / 16, 1)
        var (seen, size) = (0, 0)
        var number = 0
        model.files[file].file.forEachPiece(of: range, size: piece) { _, bytes in
            defer { number += 1 }
            guard number % stride == 0 else { return }
            seen += bytes.count
            size += WeightArchive.deflatedSize(bytes)
        }
        return seen > 0 ? Int(Double(size) * Double(range.count) / Double(seen)) : 0
    }
}

/// What a part of a layer took.
private struct PartSize: Sendable {
    var streams = 0
    var bytes = 0
    /// Deflated.
    var parameters = 0
    /// Of `bytes`, those that do not grow with the layer.
    var fixed = 0
    /// Sums over its weights: of variance and of squared errors.
    var signal = 0.0
    var error = 0.0

    mutating func add(_ other: PartSize) {
        streams += other.streams
        bytes += other.bytes
        parameters += other.parameters
        fixed += other.fixed
        signal += other.signal
        error += other.error
    }
}

extension MediaCodec {
    /// Bytes of a stream beside its samples.
    fileprivate var fixedBytes: Int {
        switch description.medium {
        case .image: 70
        case .video: 700
        case .audio: 90
        }
    }
}
