import Codecs
import Glibc
import ModelFiles
import WeightMapper

extension Packer {
    /// Names the entries in their order: manifest, streams, parameters, kept tensors, skeletons.
    func assemble(_ finished: FinishedUnits, _ skeleton: Skeleton, _ writer: ArchiveWriter) throws -> Manifest {
        var parameters: [UInt8] = []
        var streams: [Manifest.Stream] = []
        var packed: [Int: Manifest.Packed] = [:]
        var restoredCRC: [Int: UInt] = [:]
        var taken: Set<String> = []
        var streamEntries: [(String, ArchiveWriter.Spooled)] = []
        let reconstruction = options.reconstruction ?? (correctionPays(finished) ? .mean : .middle)
        for (unit, entry) in zip(finished.units, finished.entries) {
            guard let entry else { continue }
            let first = streams.count
            func add(_ group: StreamGroup, _ range: Range<Int>, medium: Medium, name: String, ofSeveral: Bool) {
                for (index, number) in range.enumerated() {
                    let suffix =
                        (ofSeveral ? ".\(number)" : "") + ".\(group.codec.description.fileExtension)"
                    let name = EntryName.stream(medium.rawValue, name, suffix, taken: &taken)
                    streamEntries.append((name, entry.streams[number]))
                    streams.append(
                        Manifest.Stream(
                            entry: name, codec: group.codec.specification, width: group.format.width,
                            height: group.format.height, frames: group.framesOfStreams[index],
                            bits: group.format.bitDepth, hash: entry.record.streams[number].hash))
                }
            }
            func add(
                _ tensor: Int, _ geometry: LayerGeometry, _ coded: GroupRecord.Layer, bytes: Int,
                _ form: Manifest.Packed.Form
            ) {
                guard let statistics = coded.statistics else { return }
                packed[tensor] = Manifest.Packed(
                    kind: geometry.kind.rawValue,
                    axes: geometry.axes.map { .init(role: $0.role.rawValue, count: $0.count) },
                    parameters: [parameters.count, coded.parameters.count], hash: coded.hash, bytes: bytes,
                    entropy: rounded(statistics.entropy), variance: rounded(statistics.variance),
                    mse: rounded(statistics.meanSquaredError), maxError: rounded(statistics.maximumError), form: form)
                parameters += coded.parameters
                restoredCRC[tensor] = coded.crc
            }
            let total = entry.streams.reduce(0) { $0 + $1.length }
            switch unit {
            case .group(let group):
                let layers =
                    reconstruction == .mean ? entry.record.corrected ?? entry.record.layers : entry.record.layers
                let shares = shares(of: total, layers, group.layers.map(\.geometry.count))
                var frame = 0
                for (index, (layer, coded)) in zip(group.layers, layers).enumerated() {
                    var block: [Int]?
                    if options.medium == .video, case .pictures(let tiling) = layer.placement {
                        block = tiling.block.sides
                    }
                    add(
                        layer.tensor, layer.geometry, coded, bytes: shares[index],
                        .bins(
                            Manifest.Bins(
                                bits: layer.bits, ranges: coded.ranges, block: block, stream: first, frame: frame,
                                frames: layer.placement.frameCount,
                                transposed: layer.placement.isTransposed ? true : nil)))
                    frame += layer.placement.frameCount
                }
                // A video holds layers of several names; it gets a number.
                let name = options.medium == .video ? "\(first)" : group.layers[0].name
                add(
                    group, entry.streams.indices, medium: options.medium, name: name,
                    ofSeveral: entry.streams.count > 1)
            case .layer, .film:
                // Of a film the first plane is there already, and grows with the others.
                var groups: [(StreamGroup, streams: Range<Int>, name: String, ofSeveral: Bool)] = []
                let shares = shares(of: total, entry.record.layers, unit.jobs.map(\.geometry.count))
                for (number, (job, coded)) in zip(unit.jobs, entry.record.layers).enumerated() {
                    guard let quantizer = coded.quantizer, let planes = try coded.placedPlanes(job) else { continue }
                    let streamCount = planes.reduce(0) { $0 + $1.group.framesOfStreams.count }
                    var bytes = 0
                    var records: [Manifest.Plane] = []
                    for (plane, record) in zip(planes, coded.planes?.map(\.plane) ?? []) {
                        let range = record.stream..<record.stream + record.streams
                        if let frame = plane.frame {
                            bytes = shares[number]
                            if frame > 0 {
                                groups[groups.count - 1].0.framesOfStreams[0] += plane.group.framesOfStreams[0]
                            } else {
                                let name = model.member(of: tensors[job.tensor].record)?.tensorName ?? job.name
                                groups.append((plane.group, range, name, false))
                            }
                        } else {
                            bytes += entry.streams[range].reduce(0) { $0 + $1.length }
                            groups.append((plane.group, range, job.name, streamCount > 1))
                        }
                        records.append(plane.record(stream: first + record.stream))
                    }
                    add(
                        job.tensor, job.geometry, coded, bytes: bytes,
                        .planes(Manifest.Planes(quantizer: quantizer, planes: records)))
                }
                for (group, range, name, ofSeveral) in groups {
                    let medium = group.codec.description.medium
                    add(group, range, medium: medium, name: name, ofSeveral: ofSeveral)
                }
            }
        }
        let image = try ByteImage(
            parameters, rowLength: 1024, codecs: ["png", "png:blocks=best", "png:strategy=default"])
        let exactHash = try skeleton.spoolExact(to: writer)
        let files = try skeleton.spoolFiles(to: writer, restoredCRC: restoredCRC)
        let hasPlanes = packed.values.contains { $0.planes != nil }
        let listed = tensors.indices.filter { skeleton.places[$0] != .unlisted }
        // The tensors that others were packed against, as they are numbered in the manifest.
        let numbers = Dictionary(uniqueKeysWithValues: listed.enumerated().map { ($1, $0) })
        for index in packed.keys { packed[index]?.renumberBase { numbers[$0] } }
        let unlisted = tensors.indices.filter { skeleton.places[$0] == .unlisted }
        var manifest = Manifest(
            source: .init(
                format: model.format.rawValue, files: files.map(\.file),
                directory: model.format == .directory ? true : nil),
            quantizer: hasPlanes
                ? nil
                : .init(name: "uniform", range: options.range.rawValue, reconstruct: reconstruction.rawValue),
            medium: medium(of: streams), parameters: image?.blob, exact: exactHash?.hash, kept: skeleton.picture?.blob,
            unlisted: unlisted.isEmpty
                ? nil
                : .init(
                    count: unlisted.count, bytes: unlisted.reduce(0) { $0 + tensors[$1].record.extent.length }),
            streams: streams,
            tensors: listed.map { index in
                let tensor = tensors[index]
                let place = skeleton.places[index]
                return Manifest.Tensor(
                    name: tensor.record.name, aliases: tensor.aliases.isEmpty ? nil : tensor.aliases,
                    dtype: tensor.record.dtype.rawValue, shape: tensor.record.shape,
                    bytes: tensor.record.dtype.bitWidth == nil ? tensor.record.extent.length : nil,
                    at: [tensor.record.extent.file, tensor.record.extent.offset], kept: tensor.kept?.rawValue,
                    inSkeleton: place == .skeleton ? true : nil, inPicture: place == .picture ? true : nil,
                    packed: packed[index])
            })
        manifest.version = manifest.neededVersion
        writer.add(EntryName.manifest, try writer.spool(try manifest.encoded()))
        for (name, place) in streamEntries { writer.add(name, place) }
        if let image { writer.add(EntryName.parameters, try writer.spool(image.stream)) }
        if let picture = skeleton.picture { writer.add(EntryName.kept, try writer.spool(picture.stream)) }
        if let exactHash { writer.add(EntryName.exact, exactHash.place) }
        for (file, place) in files { writer.add(EntryName.skeleton(file.name), place) }
        return manifest
    }
}

/// What of a number of bytes belongs to each of the layers that share them.
private func shares(of total: Int, _ layers: [GroupRecord.Layer], _ counts: [Int]) -> [Int] {
    share(total, by: zip(layers, counts).map { (($0.statistics?.entropy ?? 0) + 0.01) * Double($1) })
}

extension Packer {
    /// Whether stored means of what lossy codecs decoded lower the error by more than their bytes would elsewhere.
    private func correctionPays(_ finished: FinishedUnits) -> Bool {
        var bits = 0.0
        for (unit, entry) in zip(finished.units, finished.entries) {
            guard case .group(let group) = unit, let record = entry?.record, let corrected = record.corrected else {
                return false
            }
            for (placed, layers) in zip(group.layers, zip(record.layers, corrected)) {
                bits += layers.1.bitsSaved(insteadOf: layers.0, weights: placed.geometry.count)
            }
        }
        return bits > 0
    }

    /// The medium that most samples are in.
    private func medium(of streams: [Manifest.Stream]) -> String {
        var samples: [String: Int] = [:]
        for stream in streams {
            let medium = stream.entry.prefix { $0 != "/" }
            samples[String(medium), default: 0] += stream.width * stream.height * stream.frames
        }
        return samples.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key ?? options.medium.rawValue
    }
}

/// Six significant digits: enough to report, short to store.
///
/// JSON has no infinity, which squares of large float64 weights reach: the largest number stands for it.
func rounded(_ value: Double) -> Double {
    guard value.isFinite else { return .greatestFiniteMagnitude }
    guard value != 0 else { return value }
    let scale = pow(10, 5 - log10(value.magnitude).rounded(.down))
    guard scale.isNormal, (value * scale).isFinite else { return value }
    return (value * scale).rounded() / scale
}
