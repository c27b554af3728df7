import Codecs
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
    /// The model that it was packed against.
    let base: ModelFile?

    /// Opens a packed file, and checks the hash over all of it and every number in its manifest.
    ///
    /// - Parameter base: the model that it was packed against, where there was one.
    /// - Throws: `ArchiveError`.
    public init(_ path: String, base: ModelFile? = nil) throws { try self.init(path, at: nil, base: base) }

    /// Opens a packed file that does not have its name yet.
    ///
    /// - Parameter place: where it is until then.
    init(_ path: String, at place: String?, base: ModelFile?) throws {
        self.path = path
        self.base = base
        reader = try ArchiveReader(path, at: place)
        let manifest = try ManifestText.decode(reader)
        valid = try ValidManifest(manifest, reader)
        parameters =
            if let blob = manifest.parameters { try ByteImage.read(EntryName.parameters, blob, reader) } else { [] }
    }

    /// Does what reads the packed file, and makes sure that this, and the model that it was packed against, stayed as they were.
    ///
    /// - Throws: what `work` throws, or instead `ModelFileError.changed`.
    func whileUnchanged<Result>(_ work: () async throws -> Result) async throws -> Result {
        let result: Result
        do {
            result = try await work()
        } catch ArchiveError.cancelled {
            throw ArchiveError.cancelled
        } catch {
            // Whatever went wrong, that is why.
            try checkUnchanged()
            throw error
        }
        try checkUnchanged()
        return result
    }

    private func checkUnchanged() throws(ModelFileError) {
        try reader.file.checkUnchanged()
        try base?.checkUnchanged()
    }

    /// Whether a file is a packed one, whole or damaged: a ZIP whose first entry is the manifest.
    ///
    /// - Throws: `ArchiveError.io` when it cannot be read.
    public static func recognizes(_ path: String) throws(ArchiveError) -> Bool {
        try ArchiveReader.recognizes(path)
    }

    /// Contents and costs, layer by layer.
    public var summary: ArchiveSummary { ArchiveSummary(valid.manifest, packedBytes: reader.size) }

    /// Names of the model's files, the one it was opened by first; one in a subfolder is a path with `/`.
    public var fileNames: [String] { valid.manifest.source.files.map(\.name) }

    /// Whether the model is restored as a folder of files rather than as one file.
    public var isFolder: Bool { valid.manifest.source.isFolder }

    /// The path by which the restored model is opened.
    ///
    /// - Parameter restored: the file or folder that it was restored to.
    public func modelPath(in restored: String) -> String {
        let isWhole = !isFolder || valid.manifest.source.directory == true
        return isWhole ? restored : "\(restored)/\(fileNames[0])"
    }

    /// The codebook of a packed layer of bins.
    func codebook(_ layer: PlacedLayer) throws -> any Codebook {
        guard let bins = valid.manifest.tensors[layer.tensor].packed?.bins, let quantizer = valid.manifest.quantizer,
            let scope = RangeScope(rawValue: quantizer.range),
            let reconstruction = Reconstruction(rawValue: quantizer.reconstruct)
        else { throw ArchiveError.layer(tensor: layer.name, reason: "\(path): expected a quantizer, found none") }
        return try withParameters(of: layer.tensor) { bytes throws(MapperError) in
            try UniformCodebook(
                bits: layer.bits, encoding: bins.ranges, bytes, scope: scope, reconstruction: reconstruction,
                geometry: layer.geometry)
        }
    }

    /// The codebook of a packed layer of planes.
    func codebook(_ layer: PlanedLayer) throws -> any LayerCodebook {
        try codebook(layer, earlier: restoredBytes)
    }

    /// The codebook of a packed layer of planes.
    ///
    /// - Parameter earlier: gives the bytes of a tensor of this packed file, for a layer that was packed against it.
    private func codebook(_ layer: PlanedLayer, earlier: (Int) throws -> BaseBytes) throws -> any LayerCodebook {
        let tensor = valid.manifest.tensors[layer.tensor]
        guard let planes = tensor.packed?.planes else {
            throw ArchiveError.layer(tensor: layer.name, reason: "\(path): expected planes, found none")
        }
        let base = planes.quantizer.name == "delta" ? try base(of: layer, planes.quantizer, earlier: earlier) : nil
        return try withParameters(of: layer.tensor) { bytes throws(MapperError) in
            try layerCodebook(
                planes.quantizer, bytes, layer.geometry, DType(rawValue: tensor.dtype), bits: layer.planes[0].bits,
                base: base)
        }
    }

    /// Calls `body` with the codebook of a layer and the bytes of its tensor, whose planes were decoded.
    ///
    /// - Parameter earlier: gives the bytes of a tensor of this packed file, for a layer that was packed against it; by
    ///   restoring that where it is left out.
    func withBytes<Result>(
        of layer: PlanedLayer, _ planes: [Plane], earlier: ((Int) throws -> BaseBytes)? = nil,
        _ body: (any LayerCodebook, UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        let dtype = DType(rawValue: valid.manifest.tensors[layer.tensor].dtype)
        let size = layer.geometry.count * (dtype.bitWidth ?? 0) / 8
        let codebook = try codebook(layer, earlier: earlier ?? restoredBytes)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        defer { bytes.deallocate() }
        do throws(MapperError) {
            try codebook.restore(planes, layer.geometry, dtype, into: bytes)
        } catch {
            throw ArchiveError.layer(tensor: layer.name, reason: "\(path): \(error)")
        }
        return try body(codebook, UnsafeRawBufferPointer(bytes))
    }

    /// Calls `body` with the bytes of a tensor, in memory order, piece by piece.
    ///
    /// - Parameter planes: the layer's, where they were decoded already.
    func forEachPiece(
        of layer: PlanedLayer, _ planes: [Plane]? = nil, earlier: (Int) throws -> BaseBytes,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let dtype = DType(rawValue: valid.manifest.tensors[layer.tensor].dtype)
        let codebook = try codebook(layer, earlier: earlier)
        do {
            if let planes {
                try codebook.forEachPiece(planes, layer.geometry, dtype, body)
            } else if let exact = codebook as? ExactLayerCodebook, layer.planes.count == 1, layer.planes[0].isOneFrame,
                layer.planes[0].bits == 8
            {
                // Stream and plane, each about as large as the tensor, need not be in memory twice.
                try withStream(layer.firstStream) { stream in
                    try layer.planes[0].withSamples(of: stream) { try exact.forEachPiece(ofRun: $0, body) }
                }
            } else if let trellis = codebook as? TrellisCodebook, layer.planes.allSatisfy(\.isOneFrame) {
                // Nor need planes leave the memory that they were decoded to.
                try withViews(of: layer) { try trellis.forEachPiece($0, layer.geometry, dtype, body) }
            } else {
                try codebook.forEachPiece(self.planes(of: layer), layer.geometry, dtype, body)
            }
        } catch let error as MapperError {
            throw ArchiveError.layer(tensor: layer.name, reason: "\(path): \(error)")
        }
    }

    /// Calls `body` with the planes of a layer, of one frame each, where they were decoded.
    private func withViews(of layer: PlanedLayer, _ body: ([PlaneView]) throws -> Void) throws {
        func next(_ views: [PlaneView]) throws {
            guard views.count < layer.planes.count else { return try body(views) }
            let plane = layer.planes[views.count]
            try withStream(layer.firstStream + views.count) { stream in
                try plane.withSamples(of: stream) { try next(views + [PlaneView(bits: plane.bits, $0)]) }
            }
        }
        try next([])
    }

    /// Calls `body` with the bytes of a tensor whose bins were decoded, in memory order, piece by piece.
    func forEachPiece<Bin: BinScalar>(
        of layer: PlacedLayer, _ bins: Span<Bin>, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try layer.isDouble
            ? forEachPiece(of: layer, bins, Double.self, body) : forEachPiece(of: layer, bins, Float.self, body)
    }

    private func forEachPiece<Scalar: WeightScalar, Bin: BinScalar>(
        of layer: PlacedLayer, _ bins: Span<Bin>, _: Scalar.Type, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let dtype = DType(rawValue: valid.manifest.tensors[layer.tensor].dtype)
        let size = (dtype.bitWidth ?? 0) / 8
        let codebook = try codebook(layer)
        let chunk = TensorWeights<Scalar>.chunk
        var weights = [Scalar](repeating: 0, count: min(chunk, bins.count))
        var bytes = [UInt8](repeating: 0, count: weights.count * size)
        for start in stride(from: 0, to: bins.count, by: chunk) {
            let count = min(chunk, bins.count - start)
            try weights.withUnsafeMutableBufferPointer { weights in
                let weights = UnsafeMutableBufferPointer(rebasing: weights[..<count])
                var span = weights.mutableSpan
                codebook.reconstruct(bins.extracting(start..<start + count), at: start, into: &span)
                try bytes.withUnsafeMutableBytes { bytes in
                    let bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(count * size)])
                    store(UnsafeBufferPointer(weights), dtype, into: bytes)
                    try body(UnsafeRawBufferPointer(bytes))
                }
            }
        }
    }

    private func withParameters<Result>(
        of index: Int, _ body: (Span<UInt8>) throws(MapperError) -> Result
    ) throws(ArchiveError) -> Result {
        let tensor = valid.manifest.tensors[index]
        guard let place = tensor.packed?.parameters, place.count == 2, place[0] >= 0, place[1] >= 0,
            place[0] <= parameters.count, place[1] <= parameters.count - place[0]
        else {
            throw .layer(
                tensor: tensor.name,
                reason: "\(path): expected parameters within \(parameters.count) bytes, found others")
        }
        do throws(MapperError) {
            return try body(parameters.span.extracting(droppingFirst: place[0]).extracting(first: place[1]))
        } catch {
            throw .layer(tensor: tensor.name, reason: "\(path): \(error)")
        }
    }

    /// Streams of a group, each checked against its hash as it is read.
    func stream(_ group: Int, _ index: Int) throws -> [UInt8] {
        let before = valid.groups[..<group].reduce(0) { $0 + $1.framesOfStreams.count }
        return try stream(before + index)
    }

    /// Calls `body` with the stream with that number, checked against its hash, as it lies in the file.
    func withStream(_ number: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let stream = valid.manifest.streams[number]
        try reader.withBytes(of: stream.entry) { bytes in
            try expect(stream.hash, Hasher128.hash(bytes), stream.entry, path)
            try body(bytes)
        }
    }

    /// The stream with that number, checked against its hash.
    func stream(_ number: Int) throws -> [UInt8] {
        let stream = valid.manifest.streams[number]
        let bytes = try reader.read(stream.entry)
        try bytes.withUnsafeBytes { try expect(stream.hash, Hasher128.hash($0), stream.entry, path) }
        return bytes
    }
}

/// Compares a hash.
func expect(_ expected: String, _ found: String, _ part: String, _ path: String) throws(ArchiveError) {
    guard expected == found else {
        throw .damaged(path: path, part: part, expected: "hash \(expected)", found: found)
    }
}
