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
    /// How precisions were adjusted along a series of models; empty for other quantizers and a model alone.
    public let adjustments: [SeriesAdjustment]
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
    /// What is packed as one, before the steps of a goal are known.
    let planned: [PackUnit]

    /// Plans the packing of a model.
    ///
    /// - Throws: `ArchiveError` for patterns that match nothing and kinds that do not fit, `CodecError` for codecs and
    ///   parameters that do not exist.
    public init(_ model: ModelFile, _ options: PackOptions) throws {
        try options.validate()
        if let (name, expected) = RelativeName.fault(in: model.files.map(\.name)) {
            throw ArchiveError.io(path: model.path, reason: "file name \(name): expected \(expected)")
        }
        var tensors = try select(model, options)
        if options.nonFinite == .exact, options.quantizer != .exact {
            for i in tensors.indices
            where tensors[i].kept == nil && unfitWeight(of: tensors[i].record, in: model, options) != nil {
                tensors[i].kept = .nonfinite
                tensors[i].geometry = nil
            }
        }
        var options = options
        options.makesFilms = !model.members.isEmpty && options.mayMakeFilms
        if case .fixedPoint = options.quantizer { shareBits(&tensors, model, options) }
        self.model = model
        self.options = options
        self.tensors = tensors
        // Tells what codecs cannot hold.
        planned = try WeightArchive.units(tensors, model, options, bases: baseTensors(of: model, tensors, options))
    }

    /// A packer of some tensors, or parts of tensors, one by one.
    init(_ model: ModelFile, _ options: PackOptions, tensors: [SelectedTensor]) {
        self.model = model
        self.options = options
        self.tensors = tensors
        planned = []
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
        struct Place {
            var codec: String
            var frames: (width: Int, height: Int, count: Int)?
        }
        var places: [Int: Place] = [:]
        for unit in planned {
            switch unit {
            case .group(let group):
                for layer in group.layers {
                    places[layer.tensor] = Place(
                        codec: group.codec.specification,
                        frames: (group.format.width, group.format.height, layer.placement.frameCount))
                }
            case .layer(let job):
                places[job.tensor] = Place(
                    codec: job.codecs.map(\.specification).joined(separator: " or "), frames: nil)
            case .film(let film):
                let codecs = options.codec == nil ? film.layers[0].codecs : []
                for layer in film.layers {
                    places[layer.tensor] = Place(
                        codec: (codecs + [film.codec]).map(\.specification).joined(separator: " or "), frames: nil)
                }
            }
        }
        return tensors.enumerated().map { index, tensor in
            PlannedTensor(
                name: tensor.record.name, dtype: tensor.record.dtype.rawValue, shape: tensor.record.shape,
                bytes: tensor.record.extent.length, kept: tensor.kept, kind: tensor.geometry?.kind,
                bits: tensor.kept == nil && !options.choosesSteps && options.quantizer != .exact ? tensor.bits : nil,
                codec: places[index]?.codec,
                frames: places[index]?.frames)
        }
    }

    /// Weights that will be packed.
    public var weightCount: Int { planned.reduce(0) { $0 + $1.weightCount } }

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
        let writer = try ArchiveWriter(
            path, force: options.force, inputs: (model.files + (options.base?.files ?? [])).map(\.file.path))
        if let refusal = writer.spool.refusal { note("\(refusal); when this run is stopped, the next begins anew") }
        let journal = PackJournal(spool: writer.spool)
        var finished = FinishedUnits(planned)
        do {
            let series = try await PrecisionSeries(self)
            var control = try await RateControl(self)
            // What is kept does not depend on the steps that a goal leads to.
            let skeleton = try Skeleton(model, tensors)
            while true {
                finished = FinishedUnits(
                    try WeightArchive.units(
                        tensors, model, options, steps: control?.steps ?? [:], precisions: series?.precisions ?? [:],
                        bases: baseTensors(of: model, tensors, options)))
                try await resume(journal, into: &finished, progress, note)
                try await packUnits(journal, into: &finished, progress)
                let manifest = try assemble(finished, skeleton, writer)
                guard !Task.isCancelled else { throw ArchiveError.cancelled }
                let size = try writer.zip()
                if try control?.misses(manifest, size: size) == true {
                    try writer.restart()
                    continue
                }
                // Before it has its name: what unpacking will do is done, so that a model that cannot be restored is no success.
                _ = try await Unpacker(writer.complete(base: options.base)).check(threads: max(options.threads, 1))
                try checkSources()
                try writer.commit()
                let original = model.files.reduce(0) { $0 + $1.originalSize }
                return PackResult(
                    originalBytes: original, packedBytes: size, summary: ArchiveSummary(manifest, packedBytes: size),
                    adjustments: series?.adjustments ?? [])
            }
        } catch ArchiveError.cancelled {
            throw keeping(writer.spool, finished, .cancelled)
        } catch {
            // Whatever went wrong, that is why.
            try checkSources()
            throw (error as? ArchiveError).map { keeping(writer.spool, finished, $0) } ?? error
        }
    }

    /// Makes sure that all files are what they were when they were opened.
    private func checkSources() throws(ModelFileError) {
        try model.checkUnchanged()
        try options.base?.checkUnchanged()
    }

    /// Packs what is not finished.
    private func packUnits(
        _ journal: PackJournal, into finished: inout FinishedUnits, _ progress: ProgressHandler
    ) async throws {
        let largest = model.tensors.map(\.extent.length).max() ?? 0
        let units = finished.units
        let total = finished.weightCount
        let resumed = finished.finishedCount
        var done = resumed
        // Large units first, so that no core waits long for the last one.
        let order = units.indices.filter { finished.entries[$0] == nil }.sorted {
            (units[$1].weightCount, $0) < (units[$0].weightCount, $1)
        }
        progress(Progress(done: done, total: total, resumed: resumed))
        try await runJobs(
            memory: order.map { units[$0].memory }, limit: max(options.threads, 1), budget: 2 * largest + 64 << 20
        ) { job in
            try pack(units[order[job]])
        } done: { job, result in
            let places = try journal.append(result.record, result.streams)
            finished.entries[order[job]] = PackJournal.Entry(record: result.record, streams: places)
            done += units[order[job]].weightCount
            progress(Progress(done: done, total: total, resumed: resumed))
        }
    }
}

// MARK: - One unit

extension Packer {
    /// Packs a unit.
    private func pack(_ unit: PackUnit) throws -> (record: GroupRecord, streams: [[UInt8]]) {
        // Weights are read several times, and must be the same. Not every write to a file shows in its times at once.
        let originals = hashOfOriginals(unit)
        let coded = try code(unit)
        guard hashOfOriginals(unit) == originals else {
            try checkSources()
            throw ModelFileError.changed(
                path: model.files[tensors[unit.tensors[0]].record.extent.file].file.path,
                expected: "the same weights each time", found: "others")
        }
        let record = GroupRecord(
            identity: try identity(of: unit), originals: originals,
            streams: coded.streams.map { .init(length: $0.count, hash: $0.withUnsafeBytes { Hasher128.hash($0) }) },
            layers: coded.layers, corrected: coded.corrected)
        return (record, coded.streams)
    }

    /// Quantizes the layers of a unit, encodes them, and measures them as they are decoded.
    func code(_ unit: PackUnit) throws -> CodedUnit {
        switch unit {
        case .group(let group):
            try group.format.bytesPerSample == 1 ? codeGroup(group, UInt8.self) : codeGroup(group, UInt16.self)
        case .layer(let layer): try codeLayer(layer)
        case .film(let film): try codeFilm(film)
        }
    }

    private func codeGroup<Bin: BinScalar>(_ group: StreamGroup, _: Bin.Type) throws -> CodedUnit {
        var codebooks: [any Codebook] = []
        let (streams, frameHashes) = try encode(group, as: Bin.self) { index, bins in
            let layer = group.layers[index]
            let quantizer = try UniformQuantizer(
                bits: layer.bits, scope: options.range, reconstruction: options.reconstruction ?? .middle)
            let tensor = tensors[layer.tensor].record
            do throws(MapperError) {
                codebooks.append(
                    layer.isDouble
                        ? try quantizer.quantize(TensorWeights<Double>(model, tensor), layer.geometry, into: &bins)
                        : try quantizer.quantize(TensorWeights<Float>(model, tensor), layer.geometry, into: &bins))
            } catch {
                throw layerError(tensor, model, options, error)
            }
        }
        var results: [GroupRecord.Layer] = []
        var corrected: [GroupRecord.Layer] = []
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
            func add<Scalar: WeightScalar>(_ weights: TensorWeights<Scalar>) {
                results.append(measure(weights, bins, codebooks[index], bits: layer.bits))
                guard !isLossless, options.reconstruction != .middle,
                    let codebook = (codebooks[index] as? UniformCodebook)?.corrected(for: weights, decodedAs: bins)
                else { return }
                corrected.append(measure(weights, bins, codebook, bits: layer.bits))
            }
            layer.isDouble
                ? add(TensorWeights<Double>(model, tensor)) : add(TensorWeights<Float>(model, tensor))
        }
        return CodedUnit(
            layers: options.reconstruction == .mean && !isLossless ? corrected : results,
            corrected: options.reconstruction == nil && !isLossless ? corrected : nil, streams: streams)
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
