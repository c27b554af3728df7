import Codecs
import FoundationEssentials
import ModelFiles
import WeightMapper

/// A packed file that was opened: whole, and its manifest sound.
public struct PackedModel: Sendable {
    /// The path it was opened by.
    public let path: String
    let reader: ArchiveReader
    let valid: ValidManifest
    /// Quantizer parameters of all tensors.
    let parameters: [UInt8]

    /// Opens a packed file, and checks the hash over all of it and every number in its manifest.
    ///
    /// - Throws: `ArchiveError`.
    public init(_ path: String) throws {
        self.path = path
        reader = try ArchiveReader(path)
        let json = try reader.read(EntryName.manifest)
        struct Version: Decodable {
            let format: String
            let version: Int
        }
        let decoder = JSONDecoder()
        guard let version = try? decoder.decode(Version.self, from: Data(json)), version.format == "wcodec" else {
            throw ArchiveError.notAnArchive(path: path, found: "a ZIP with another kind of \(EntryName.manifest)")
        }
        guard version.version == Manifest.currentVersion else {
            throw ArchiveError.notAnArchive(
                path: path, found: "version \(version.version) (this program reads version \(Manifest.currentVersion))")
        }
        let manifest: Manifest
        do {
            manifest = try decoder.decode(Manifest.self, from: Data(json))
        } catch {
            throw ArchiveError.damaged(
                path: path, part: EntryName.manifest, expected: "every field of the format", found: "\(error)")
        }
        valid = try ValidManifest(manifest, reader)
        if let blob = manifest.parameters {
            let stream = try reader.read(EntryName.parameters)
            try stream.withUnsafeBytes { try expect(blob.hash, Hasher128.hash($0), EntryName.parameters, path) }
            // Deflate does not get 8192 gray pixels into less than a byte.
            let (pixels, overflow) = blob.width.multipliedReportingOverflow(by: blob.height)
            guard blob.width > 0, blob.height > 0, !overflow, pixels / 8192 <= stream.count else {
                throw ArchiveError.damaged(
                    path: path, part: EntryName.parameters, expected: "an image of its size", found: "\(stream.count) bytes")
            }
            parameters = try ParameterImage.read(stream, blob)
        } else {
            parameters = []
        }
    }

    /// Whether a file is a packed one, whole or damaged: a ZIP whose first entry is the manifest.
    ///
    /// - Throws: `ArchiveError.io` when it cannot be read.
    public static func recognizes(_ path: String) throws(ArchiveError) -> Bool {
        try ArchiveReader.recognizes(path)
    }

    /// Contents and costs, layer by layer.
    public var summary: ArchiveSummary { ArchiveSummary(valid.manifest, packedBytes: reader.size) }

    /// Names of the model's files, the one it was opened by first.
    public var fileNames: [String] { valid.manifest.source.files.map(\.name) }

    /// The codebook of a packed layer.
    func codebook(_ layer: PlacedLayer) throws -> any Codebook {
        let tensor = valid.manifest.tensors[layer.tensor]
        let quantizer = valid.manifest.quantizer
        guard let packed = tensor.packed, let scope = RangeScope(rawValue: quantizer.range),
            let reconstruction = Reconstruction(rawValue: quantizer.reconstruct), packed.parameters[0] >= 0,
            packed.parameters[1] >= 0, packed.parameters[0] <= parameters.count,
            packed.parameters[1] <= parameters.count - packed.parameters[0]
        else {
            throw ArchiveError.layer(
                tensor: layer.name, reason: "\(path): expected parameters within \(parameters.count) bytes, found others")
        }
        let bytes = parameters.span.extracting(droppingFirst: packed.parameters[0]).extracting(first: packed.parameters[1])
        do {
            return try UniformCodebook(
                bits: layer.bits, encoding: packed.ranges, bytes, scope: scope, reconstruction: reconstruction,
                geometry: layer.geometry)
        } catch {
            throw ArchiveError.layer(tensor: layer.name, reason: "\(path): \(error)")
        }
    }

    /// Streams of a group, each checked against its hash as it is read.
    func stream(_ group: Int, _ index: Int) throws -> [UInt8] {
        let before = valid.groups[..<group].reduce(0) { $0 + $1.framesOfStreams.count }
        let stream = valid.manifest.streams[before + index]
        let bytes = try reader.read(stream.entry)
        try bytes.withUnsafeBytes { try expect(stream.hash, Hasher128.hash($0), stream.entry, path) }
        return bytes
    }

    /// Bins of one layer, in memory order, as the pictures that hold them: decoded again from its streams.
    ///
    /// - Parameter name: a name or alias of a packed tensor.
    /// - Returns: for each picture of the layer (one for each gate of an LSTM) its PNG, at the layer's bit depth.
    /// - Throws: `ArchiveError.option` when no packed tensor has that name.
    public func pictures(of name: String) throws -> [[UInt8]] {
        let place = valid.groups.indices.lazy.compactMap { group in
            valid.groups[group].layers.firstIndex { layer in
                layer.name == name || valid.manifest.tensors[layer.tensor].aliases?.contains(name) == true
            }.map { (group, $0) }
        }.first
        guard let (group, layer) = place else {
            throw ArchiveError.option("\(path): expected the name of a packed layer, found '\(name)'")
        }
        return valid.groups[group].format.bytesPerSample == 1
            ? try pictures(group, layer, UInt8.self) : try pictures(group, layer, UInt16.self)
    }

    private func pictures<Bin: BinScalar>(_ group: Int, _ wanted: Int, _: Bin.Type) throws -> [[UInt8]] {
        var pictures: [[UInt8]] = []
        try decode(valid.groups[group], as: Bin.self) { try stream(group, $0) } takeLayer: { index, bins in
            guard index == wanted else { return }
            let layer = valid.groups[group].layers[index]
            pictures = try layerPictures(bins, layer.geometry, bits: layer.bits)
        }
        return pictures
    }

    /// Calls `body` with the bins of every layer, one byte or two (little-endian) each, layers of one group in order.
    public func forEachLayer(threads: Int, _ body: @escaping @Sendable (String, Int, UnsafeRawBufferPointer) -> Void) async throws {
        try await runJobs(
            memory: valid.groups.map(\.memory), limit: threads, budget: .max
        ) { group in
            func run<Bin: BinScalar>(_: Bin.Type) throws {
                try decode(valid.groups[group], as: Bin.self) { try stream(group, $0) } takeLayer: { index, bins in
                    let layer = valid.groups[group].layers[index]
                    bins.withUnsafeBufferPointer { body(layer.name, layer.bits, UnsafeRawBufferPointer($0)) }
                }
            }
            try valid.groups[group].format.bytesPerSample == 1 ? run(UInt8.self) : run(UInt16.self)
        } done: { _, _ in
        }
    }
}

/// Compares a hash.
func expect(_ expected: String, _ found: String, _ part: String, _ path: String) throws(ArchiveError) {
    guard expected == found else {
        throw .damaged(path: path, part: part, expected: "hash \(expected)", found: found)
    }
}

/// The pictures of a layer as claims 1, 4 and 5 have them, each a PNG.
func layerPictures<Bin: BinScalar>(_ bins: Span<Bin>, _ geometry: LayerGeometry, bits: Int) throws -> [[UInt8]] {
    let tiling = Tiling(image: geometry)
    let codec = try CodecRegistry.codec("png")
    let format = try FrameFormat(width: tiling.frameWidth, height: tiling.frameHeight, bitDepth: bits)
    return try (0..<tiling.frameCount).map { frame in
        try codec.encode(format, count: 1) { _, buffer in
            buffer.withMemoryRebound(to: Bin.self) { samples in
                var samples = samples.mutableSpan
                tiling.tile(bins, frame: frame, padding: 1 << (bits - 1), into: &samples)
            }
        }
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
        var bins = [Bin](repeating: 0, count: geometry.count)
        var span = bins.mutableSpan
        let quantizer = try UniformQuantizer(bits: tensor.bits, scope: options.range)
        do throws(MapperError) {
            _ =
                tensor.record.dtype == .f64
                ? try quantizer.quantize(TensorWeights<Double>(model, tensor.record), geometry, into: &span)
                : try quantizer.quantize(TensorWeights<Float>(model, tensor.record), geometry, into: &span)
        } catch {
            throw ArchiveError.layer(tensor: name, reason: error.description)
        }
        return try layerPictures(bins.span, geometry, bits: tensor.bits)
    }
    return tensor.bits <= 8 ? try make(UInt8.self) : try make(UInt16.self)
}
