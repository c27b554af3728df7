import CZlib
import Codecs
import Glibc
import ModelFiles
import WeightMapper

/// What packing gave.
public struct PackResult: Sendable {
    /// Size of the model's files, in bytes.
    public let originalBytes: Int
    /// Size of the packed file, in bytes.
    public let packedBytes: Int
    /// The packed file's contents, layer by layer.
    public let summary: ArchiveSummary
}

/// Packs a model: tensors become bins, bins pictures, frames or samples, these streams, and the streams a packed file.
///
/// What is not a packed weight goes along as it is: tensors in `exact.safetensors`, all other bytes as the skeleton. The
/// streams are decoded again, compared where the codec is lossless, and measured. Memory is bounded by the largest tensor.
public struct Packer: Sendable {
    /// The model.
    public let model: ModelFile
    /// How it is packed.
    public let options: PackOptions
    let tensors: [SelectedTensor]
    let groups: [StreamGroup]

    /// Plans the packing of a model.
    ///
    /// - Throws: `ArchiveError` for patterns that match nothing and kinds that do not fit, `CodecError` for codecs and
    ///   parameters that do not exist.
    public init(_ model: ModelFile, _ options: PackOptions) throws {
        if let codec = try options.codec.map({ try CodecRegistry.codec($0) })?.description,
            codec.medium != options.medium
        {
            throw ArchiveError.option(
                "codec \(codec.name): expected one for \(options.medium.rawValue), found one for \(codec.medium.rawValue)"
            )
        }
        if let (name, expected) = RelativeName.fault(in: model.files.map(\.name)) {
            throw ArchiveError.io(path: model.path, reason: "file name \(name): expected \(expected)")
        }
        var tensors = try select(model, options)
        guard (1...16).contains(options.bits ?? 8), options.bitsByName.allSatisfy({ (1...16).contains($0.bits) }) else {
            throw ArchiveError.option("--bits: expected 1 to 16 bits per weight")
        }
        if options.nonFinite == .exact {
            for i in tensors.indices where tensors[i].kept == nil && !isFiniteThroughout(tensors[i].record, model) {
                tensors[i].kept = .nonfinite
                tensors[i].geometry = nil
            }
        }
        self.model = model
        self.options = options
        self.tensors = tensors
        groups = try WeightArchive.groups(tensors, options)
    }

    /// One line of the plan: a tensor and what will become of it.
    public struct PlannedTensor: Sendable {
        public let name: String
        public let dtype: String
        public let shape: [Int]
        /// Size in the model file, in bytes.
        public let bytes: Int
        /// Why it is kept exactly; `nil` when it is packed.
        public let kept: KeepReason?
        public let kind: LayerKind?
        public let bits: Int?
        public let codec: String?
        /// Frame width and height in samples, and number of frames.
        public let frames: (width: Int, height: Int, count: Int)?
    }

    /// What would be packed and how.
    public var plan: [PlannedTensor] {
        var places: [Int: (StreamGroup, PlacedLayer)] = [:]
        for group in groups { for layer in group.layers { places[layer.tensor] = (group, layer) } }
        return tensors.enumerated().map { index, tensor in
            let place = places[index]
            return PlannedTensor(
                name: tensor.record.name, dtype: tensor.record.dtype.rawValue, shape: tensor.record.shape,
                bytes: tensor.record.extent.length, kept: tensor.kept, kind: tensor.geometry?.kind,
                bits: tensor.kept == nil ? tensor.bits : nil, codec: place?.0.codec.specification,
                frames: place.map { ($0.0.format.width, $0.0.format.height, $0.1.placement.frameCount) })
        }
    }

    /// Weights that will be packed.
    public var weightCount: Int { groups.reduce(0) { $0 + $1.weightCount } }

    /// Packs the model into a file.
    ///
    /// Layers that are done wait in a file beside the output, named like it with `.partial`. When the work is stopped, or the
    /// disk is full, it stays, and packing the same layers to the same output takes them from there; the packed file is the
    /// same to the byte. Any other end removes it.
    ///
    /// - Parameters:
    ///   - path: the packed file.
    ///   - progress: receives progress.
    ///   - note: receives what a person should know of an earlier run's layers, a line each.
    /// - Returns: sizes and the contents, layer by layer.
    /// - Throws: `ArchiveError`; then no output exists.
    public func pack(
        to path: String, progress: ProgressHandler = { _ in }, note: (String) -> Void = { _ in }
    ) async throws -> PackResult {
        let writer = try ArchiveWriter(path, force: options.force, inputs: model.files.map(\.file.path))
        if let refusal = writer.spool.refusal { note("\(refusal); when this run is stopped, the next begins anew") }
        let journal = PackJournal(spool: writer.spool)
        var finished = FinishedGroups(count: groups.count)
        do {
            try await resume(journal, into: &finished, progress, note)
            try await packGroups(journal, into: &finished, progress)
            let manifest = try assemble(finished, writer)
            guard !Task.isCancelled else { throw ArchiveError.cancelled }
            let size = try writer.finish()
            let original = model.files.reduce(0) { $0 + $1.originalSize }
            return PackResult(
                originalBytes: original, packedBytes: size, summary: ArchiveSummary(manifest, packedBytes: size))
        } catch let error as ArchiveError {
            throw keeping(writer.spool, finished, error)
        }
    }

    /// Packs what is not finished.
    private func packGroups(
        _ journal: PackJournal, into finished: inout FinishedGroups, _ progress: ProgressHandler
    ) async throws {
        let largest = model.tensors.map(\.extent.length).max() ?? 0
        let resumed = weights(of: finished)
        var done = resumed
        // Large groups first, so that no core waits long for the last one.
        let order = groups.indices.filter { finished.entries[$0] == nil }.sorted {
            (groups[$1].weightCount, $0) < (groups[$0].weightCount, $1)
        }
        progress(Progress(done: done, total: weightCount, resumed: resumed))
        try await runJobs(
            memory: order.map { groups[$0].memory }, limit: max(options.threads, 1), budget: 2 * largest + 64 << 20
        ) { job in
            try packGroup(groups[order[job]])
        } done: { job, result in
            let places = try journal.append(result.record, result.streams)
            finished.entries[order[job]] = PackJournal.Entry(record: result.record, streams: places)
            done += groups[order[job]].weightCount
            progress(Progress(done: done, total: weightCount, resumed: resumed))
        }
    }
}

// MARK: - One group

extension Packer {
    private typealias GroupResult = (record: GroupRecord, streams: [[UInt8]])

    private func packGroup(_ group: StreamGroup) throws -> GroupResult {
        try group.format.bytesPerSample == 1 ? packGroup(group, UInt8.self) : packGroup(group, UInt16.self)
    }

    private func packGroup<Bin: BinScalar>(_ group: StreamGroup, _: Bin.Type) throws -> GroupResult {
        // First, so that weights that change while they are packed are noticed.
        let originals = hashOfOriginals(group)
        var codebooks: [any Codebook] = []
        let (streams, frameHashes) = try encode(group, as: Bin.self) { index, bins in
            let layer = group.layers[index]
            let quantizer = try UniformQuantizer(
                bits: layer.bits, scope: options.range, reconstruction: options.reconstruction)
            let tensor = tensors[layer.tensor].record
            do throws(MapperError) {
                codebooks.append(
                    layer.isDouble
                        ? try quantizer.quantize(TensorWeights<Double>(model, tensor), layer.geometry, into: &bins)
                        : try quantizer.quantize(TensorWeights<Float>(model, tensor), layer.geometry, into: &bins))
            } catch {
                throw ArchiveError.layer(tensor: layer.name, reason: error.description)
            }
        }
        var results: [GroupRecord.Layer] = []
        let isLossless = group.codec.description.isLossless
        try decode(group, as: Bin.self) {
            streams[$0]
        } takeFrame: { index, frame in
            guard !isLossless || Hasher128.hash(frame) == frameHashes[index] else {
                let layer = group.layers[min(results.count, group.layers.count - 1)]
                throw ArchiveError.notExact(codec: group.codec.specification, tensor: layer.name)
            }
        } takeLayer: { index, bins in
            let layer = group.layers[index]
            let tensor = tensors[layer.tensor].record
            results.append(
                layer.isDouble
                    ? measure(TensorWeights<Double>(model, tensor), bins, codebooks[index], bits: layer.bits)
                    : measure(TensorWeights<Float>(model, tensor), bins, codebooks[index], bits: layer.bits))
        }
        let record = GroupRecord(
            identity: try identity(of: group), originals: originals,
            streams: streams.map { .init(length: $0.count, hash: $0.withUnsafeBytes { Hasher128.hash($0) }) },
            layers: results)
        return (record, streams)
    }

    /// Restores a layer as unpacking will, and compares it with the original.
    private func measure<Scalar: WeightScalar, Bin: BinScalar>(
        _ weights: TensorWeights<Scalar>, _ bins: Span<Bin>, _ codebook: any Codebook, bits: Int
    ) -> GroupRecord.Layer {
        var histogram = BinHistogram(bits: bits)
        var meter = ErrorMeter()
        let hasher = Hasher128()
        var crc: UInt = 0
        let dtype = weights.tensor.dtype
        var restored = [Scalar](repeating: 0, count: min(TensorWeights<Scalar>.chunk, weights.count))
        var bytes = [UInt8](repeating: 0, count: restored.count * (dtype.bitWidth ?? 0) / 8)
        histogram.add(bins)
        weights.forEachChunk { (start, originals) in
            restored.withUnsafeMutableBufferPointer { restored in
                let restored = UnsafeMutableBufferPointer(rebasing: restored[..<originals.count])
                var span = restored.mutableSpan
                codebook.reconstruct(bins.extracting(start..<start + originals.count), at: start, into: &span)
                bytes.withUnsafeMutableBytes { bytes in
                    let size = (dtype.bitWidth ?? 0) / 8
                    let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(originals.count * size)])
                    store(UnsafeBufferPointer(restored), dtype, into: bytes)
                    hasher.update(UnsafeRawBufferPointer(bytes))
                    if !model.checksums.isEmpty { crc = crc32_z(crc, bytes.baseAddress, bytes.count) }
                    // The error is that of what the file will hold, rounding to its type included.
                    load(UnsafeRawBufferPointer(bytes), dtype, into: restored)
                }
                meter.add(originals, restored.span)
            }
        }
        // Pages that were read count as the process's memory until they are given back.
        model.files[weights.tensor.extent.file].file.release(weights.tensor.extent.range)
        return GroupRecord.Layer(
            codebook: codebook, hash: hasher.digest, crc: crc,
            statistics: LayerStatistics(
                entropy: histogram.entropy, variance: meter.variance, meanSquaredError: meter.meanSquaredError,
                maximumError: meter.maximumError))
    }
}

// MARK: - The archive

extension Packer {
    /// Names the entries in their order: manifest, streams, parameters, exact tensors, skeletons.
    private func assemble(_ finished: FinishedGroups, _ writer: ArchiveWriter) throws -> Manifest {
        var parameters: [UInt8] = []
        var streams: [Manifest.Stream] = []
        var packed: [Int: Manifest.Packed] = [:]
        var restoredCRC: [Int: UInt] = [:]
        var taken: Set<String> = []
        var streamEntries: [(String, ArchiveWriter.Spooled)] = []
        for (group, entry) in zip(groups, finished.entries) {
            guard let entry else { continue }
            let total = entry.streams.reduce(0) { $0 + $1.length }
            let statistics = entry.record.layers.compactMap(\.statistics)
            let shares = share(
                total, by: zip(group.layers, statistics).map { ($1.entropy + 0.01) * Double($0.geometry.count) })
            var frame = 0
            for (index, (layer, coded)) in zip(group.layers, entry.record.layers).enumerated() {
                var block: [Int]?
                if options.medium == .video, case .pictures(let tiling) = layer.placement {
                    block = [tiling.block.bfin, tiling.block.bfout, tiling.block.bx, tiling.block.by]
                }
                packed[layer.tensor] = Manifest.Packed(
                    kind: layer.geometry.kind.rawValue,
                    axes: layer.geometry.axes.map { .init(role: $0.role.rawValue, count: $0.count) }, bits: layer.bits,
                    ranges: coded.ranges, parameters: [parameters.count, coded.parameters.count], block: block,
                    stream: streams.count, frame: frame, frames: layer.placement.frameCount, hash: coded.hash,
                    bytes: shares[index],
                    entropy: rounded(statistics[index].entropy), variance: rounded(statistics[index].variance),
                    mse: rounded(statistics[index].meanSquaredError), maxError: rounded(statistics[index].maximumError))
                parameters += coded.parameters
                restoredCRC[layer.tensor] = coded.crc
                frame += layer.placement.frameCount
            }
            for (index, (place, stream)) in zip(entry.streams, entry.record.streams).enumerated() {
                let suffix = (entry.streams.count > 1 ? ".\(index)" : "") + ".\(group.codec.description.fileExtension)"
                // A video holds layers of several names; it gets a number.
                let name = options.medium == .video ? "\(streams.count)" : group.layers[0].name
                let entry = EntryName.stream(options.medium.rawValue, name, suffix, taken: &taken)
                streamEntries.append((entry, place))
                streams.append(
                    Manifest.Stream(
                        entry: entry, codec: group.codec.specification, width: group.format.width,
                        height: group.format.height, frames: group.framesOfStreams[index], bits: group.format.bitDepth,
                        hash: stream.hash))
            }
        }
        let image = try ParameterImage(parameters)
        let skeleton = Skeleton(model, tensors)
        let exactHash = try skeleton.spoolExact(to: writer)
        let files = try skeleton.spoolFiles(to: writer, restoredCRC: restoredCRC)
        let manifest = Manifest(
            version: Manifest.version(of: files.map(\.file)),
            source: .init(
                format: model.format.rawValue, files: files.map(\.file),
                directory: model.format == .directory ? true : nil),
            quantizer: .init(
                name: "uniform", range: options.range.rawValue, reconstruct: options.reconstruction.rawValue),
            medium: options.medium.rawValue, parameters: image?.blob, exact: exactHash?.hash, streams: streams,
            tensors: tensors.enumerated().map { index, tensor in
                Manifest.Tensor(
                    name: tensor.record.name, aliases: tensor.aliases.isEmpty ? nil : tensor.aliases,
                    dtype: tensor.record.dtype.rawValue, shape: tensor.record.shape,
                    bytes: tensor.record.dtype.bitWidth == nil ? tensor.record.extent.length : nil,
                    at: [tensor.record.extent.file, tensor.record.extent.offset], kept: tensor.kept?.rawValue,
                    inSkeleton: tensor.kept != nil && !skeleton.isExact(index) ? true : nil, packed: packed[index])
            })
        writer.add(EntryName.manifest, try writer.spool(try manifest.encoded()))
        for (name, place) in streamEntries { writer.add(name, place) }
        if let image { writer.add(EntryName.parameters, try writer.spool(image.stream)) }
        if let exactHash { writer.add(EntryName.exact, exactHash.place) }
        for (file, place) in files { writer.add(EntryName.skeleton(file.name), place) }
        return manifest
    }
}

/// Six significant digits: enough to report, short to store.
///
/// JSON has no infinity, which squares of large float64 weights reach: the largest number stands for it.
private func rounded(_ value: Double) -> Double {
    guard value.isFinite else { return .greatestFiniteMagnitude }
    guard value != 0 else { return value }
    let scale = pow(10, 5 - log10(value.magnitude).rounded(.down))
    guard scale.isNormal, (value * scale).isFinite else { return value }
    return (value * scale).rounded() / scale
}

/// Whether every weight of a tensor is finite.
private func isFiniteThroughout(_ tensor: TensorRecord, _ model: ModelFile) -> Bool {
    func check<Scalar: WeightScalar>(_ weights: TensorWeights<Scalar>) -> Bool {
        var isFinite = true
        weights.forEachChunk { (_, chunk) in
            for i in chunk.indices where !chunk[i].isFinite { isFinite = false }
        }
        return isFinite
    }
    return tensor.dtype == .f64
        ? check(TensorWeights<Double>(model, tensor)) : check(TensorWeights<Float>(model, tensor))
}
