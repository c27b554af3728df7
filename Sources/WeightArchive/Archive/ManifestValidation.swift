import Codecs
import Glibc
import ModelFiles
import WeightMapper

/// A manifest whose every number was checked against the others and against what the archive holds, so that what follows
/// may allocate and index by them.
struct ValidManifest: Sendable {
    let manifest: Manifest
    /// Sizes of the tensors' bytes, by tensor.
    let byteCounts: [Int]
    /// Layers of bins, by the streams that hold them; none in version 3.
    let groups: [StreamGroup]
    /// Layers of planes; none before version 3.
    let planed: [PlanedLayer]
    /// Videos that hold planes of several layers.
    let films: [Film]

    /// Samples that one byte of a stream may stand for: more than deflate and FLAC reach on constant bins, or a video on
    /// empty frames of the largest size, so only a forged manifest asks for more.
    private static func samplesPerByte(_ medium: Medium) -> Int { medium == .video ? 1 << 22 : 1 << 14 }

    /// Memory of this machine, in bytes: a layer that needs more is refused before it is allocated.
    private static let physicalMemory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))

    /// - Parameters:
    ///   - manifest: as read.
    ///   - reader: the archive it came from, asked for the sizes of entries.
    /// - Throws: `ArchiveError.damaged`, or `.layer` naming the tensor whose description is wrong.
    init(_ manifest: Manifest, _ reader: ArchiveReader) throws {
        func damaged(_ part: String, _ expected: String, _ found: String) -> ArchiveError {
            .damaged(path: reader.path, part: "manifest: \(part)", expected: expected, found: found)
        }
        let files = manifest.source.files
        guard !files.isEmpty else { throw damaged("files", "at least one", "none") }
        if let (name, expected) = RelativeName.fault(in: files.map(\.name)) {
            throw damaged("files", expected, name)
        }
        for file in files where file.size < 0 {
            throw damaged("file \(file.name)", "a size", "\(file.size) bytes")
        }
        for file in files where file.recoding != nil && file.original == nil || file.original ?? 0 < 0 {
            throw damaged("file \(file.name)", "the original's size beside a recoding", "\(file.original ?? 0)")
        }
        var entries: Set<String> = []
        for stream in manifest.streams where !entries.insert(stream.entry.lowercased()).inserted {
            throw damaged("stream \(stream.entry)", "a name of its own, letter case ignored", "that of another")
        }
        guard manifest.version == manifest.neededVersion else {
            throw damaged("format", "version \(manifest.neededVersion)", "version \(manifest.version)")
        }
        if let quantizer = manifest.quantizer {
            guard quantizer.name == "uniform", RangeScope(rawValue: quantizer.range) != nil,
                Reconstruction(rawValue: quantizer.reconstruct) != nil
            else { throw damaged("quantizer", "uniform by layer or channel, at middle or mean", "\(quantizer)") }
        } else if !manifest.hasPlanes {
            throw damaged("quantizer", "one", "none")
        }

        var byteCounts: [Int] = []
        var stored: [Int: [Range<Int>]] = [:]
        for tensor in manifest.tensors {
            let extent = try Self.extent(of: tensor, files) { found in
                ArchiveError.layer(
                    tensor: tensor.name,
                    reason: "\(reader.path): manifest: expected a known type at a place inside its file, found \(found)"
                )
            }
            byteCounts.append(extent.count)
            guard (tensor.packed == nil) != (tensor.kept == nil) else {
                throw damaged("tensor \(tensor.name)", "packed or kept", "both or neither")
            }
            guard tensor.inPicture != true || tensor.isInPicture else {
                throw damaged("tensor \(tensor.name)", "numbers in a picture", tensor.dtype)
            }
            if tensor.inSkeleton != true, !extent.isEmpty { stored[tensor.at[0], default: []].append(extent) }
        }
        for (index, file) in files.enumerated() {
            let extents = stored[index, default: []]
            guard zip(extents, extents.dropFirst()).allSatisfy({ $0.upperBound <= $1.lowerBound }) else {
                throw damaged("file \(file.name)", "tensors in order of place, apart", "an overlap")
            }
            let rest = file.size - extents.reduce(0) { $0 + $1.count }
            let found = try reader.size(of: EntryName.skeleton(file.name))
            guard found == rest else {
                throw damaged("skeleton of \(file.name)", "\(rest) bytes", found.map { "\($0) bytes" } ?? "none")
            }
        }
        // Each tensor lies in its file and apart from the others; but there may be several files of any size.
        func sum(_ entry: String, where isThere: (Manifest.Tensor) -> Bool) throws(ArchiveError) -> Int {
            var total = 0
            for (tensor, bytes) in zip(manifest.tensors, byteCounts) where isThere(tensor) {
                let (sum, overflow) = total.addingReportingOverflow(bytes)
                guard !overflow else { throw damaged(entry, "sizes that can be added", "\(bytes) bytes more") }
                total = sum
            }
            return total
        }
        // With a byte for each tensor.
        let picture = manifest.tensors.count { $0.isInPicture }
        let pictureBytes = try sum(EntryName.kept, where: \.isInPicture)
        guard manifest.kept?.bytes ?? 0 == pictureBytes + picture, (manifest.kept == nil) == (picture == 0) else {
            throw damaged(EntryName.kept, "\(picture) tensors of \(pictureBytes) bytes", "\(manifest.kept?.bytes ?? 0)")
        }
        let exactBytes = try sum(EntryName.exact, where: \.isInExact)
        if exactBytes > 0 {
            let found = try reader.size(of: EntryName.exact) ?? 0
            guard manifest.exact != nil, found - 8 >= exactBytes else {
                throw damaged(EntryName.exact, "\(exactBytes) bytes of tensors", "\(found)")
            }
        }
        // Reports add these up.
        let shares = manifest.tensors.compactMap { $0.packed?.bytes } + [manifest.parameters?.stored ?? 0]
        if let unlisted = manifest.unlisted {
            // As many as their directories have names for, and no more than the skeletons hold.
            let most = files.reduce(0) { $0.addingReportingOverflow($1.size).partialValue }
            guard unlisted.count > 0, (0...max(most, 0)).contains(unlisted.bytes), unlisted.count <= max(most, 0) else {
                throw damaged("unlisted", "tensors within \(most) bytes", "\(unlisted.count) of \(unlisted.bytes)")
            }
        }
        for share in shares where !(0...reader.size).contains(share) {
            throw damaged("bytes", "a share of the file's \(reader.size)", "\(share)")
        }
        self.manifest = manifest
        self.byteCounts = byteCounts
        groups = manifest.hasPlanes ? [] : try Self.groups(manifest, reader)
        (planed, films) = manifest.hasPlanes ? try Self.planed(manifest, reader) : ([], [])
        let needs = groups.map { ($0.layers[0].name, $0.memory) } + planed.map { ($0.name, $0.memory) }
        for (name, memory) in needs where memory > Self.physicalMemory {
            throw ArchiveError.layer(
                tensor: name,
                reason: "\(reader.path): needs \(memory) bytes of memory to decode, found \(Self.physicalMemory)")
        }
    }

    /// The bytes of a tensor in its file.
    private static func extent(
        of tensor: Manifest.Tensor, _ files: [Manifest.File], error: (String) -> ArchiveError
    ) throws(ArchiveError) -> Range<Int> {
        let dtype = DType(rawValue: tensor.dtype)
        // The type of a tensor that stays in the skeleton may be unknown: nobody reads its elements.
        let isInSkeleton = tensor.inSkeleton == true
        let isKnown =
            tensor.packed != nil ? dtype.isExactlyPackable && !isInSkeleton : isInSkeleton || dtype.bitWidth != nil
        guard isKnown, tensor.at.count == 2, files.indices.contains(tensor.at[0]),
            (0...files[tensor.at[0]].size).contains(tensor.at[1])
        else { throw error("\(tensor.dtype) at \(tensor.at)") }
        guard let count = elementCount(tensor.shape) else { throw error("shape \(tensor.shape)") }
        // Reports add these sizes up.
        if let bytes = tensor.bytes {
            guard isInSkeleton, (0...files[tensor.at[0]].size - tensor.at[1]).contains(bytes) else {
                throw error("\(bytes) bytes at \(tensor.at[1]) of \(files[tensor.at[0]].size) bytes")
            }
        }
        // A view may have gaps, or more elements than there are bytes in the file; none of them is touched.
        guard !isInSkeleton, let bits = dtype.bitWidth else { return tensor.at[1]..<tensor.at[1] }
        let (length, isHuge) = count.multipliedReportingOverflow(by: bits)
        let (end, overflow) = tensor.at[1].addingReportingOverflow(length / 8)
        guard !isHuge, !overflow, length % 8 == 0, end <= files[tensor.at[0]].size else {
            throw error("\(count) elements of \(bits) bits at \(tensor.at[1]) of \(files[tensor.at[0]].size) bytes")
        }
        return tensor.at[1]..<end
    }

    /// Arranges the layers by the streams that hold them, as packing did.
    private static func groups(_ manifest: Manifest, _ reader: ArchiveReader) throws -> [StreamGroup] {
        func damaged(_ part: String, _ expected: String, _ found: String) -> ArchiveError {
            .damaged(path: reader.path, part: "manifest: \(part)", expected: expected, found: found)
        }
        guard let medium = Medium(rawValue: manifest.medium) else {
            throw damaged("medium", "image, video or audio", manifest.medium)
        }
        var groups: [StreamGroup] = []
        var stream = 0
        let packed = manifest.tensors.enumerated().filter { $1.packed != nil }
            .sorted {
                ($0.1.packed?.bins?.stream ?? 0, $0.1.packed?.bins?.frame ?? 0) < (
                    $1.1.packed?.bins?.stream ?? 0, $1.1.packed?.bins?.frame ?? 0
                )
            }
        var open: (frames: Int, total: Int)?
        for (index, tensor) in packed {
            guard let packed = tensor.packed, let layer = packed.bins else { continue }
            // Before anything grows with the tensor, its streams must be large enough to hold it.
            let last = layer.stream.addingReportingOverflow(medium == .image ? layer.frames : 1)
            guard layer.stream >= 0, layer.frames > 0, !last.overflow, last.partialValue <= manifest.streams.count
            else {
                throw damaged(
                    "tensor \(tensor.name)", "streams among the \(manifest.streams.count)",
                    "\(layer.stream), \(layer.frames)")
            }
            var capacity = 0
            for stream in manifest.streams[layer.stream..<last.partialValue] {
                capacity += try samples(in: stream, medium, reader)
            }
            guard let weights = elementCount(tensor.shape), weights <= capacity else {
                throw damaged("tensor \(tensor.name)", "at most \(capacity) weights", "shape \(tensor.shape)")
            }
            let placed = try place(packed, layer, tensor, index, medium)
            let count = placed.placement.frameCount
            guard layer.frames == count else {
                throw damaged("tensor \(tensor.name)", "\(count) frames", "\(layer.frames)")
            }
            if let current = open, current.frames < current.total {
                guard medium == .video, layer.stream == stream - 1, layer.frame == current.frames,
                    layer.bits == groups[groups.count - 1].format.bitDepth,
                    placed.frameSize == groups[groups.count - 1].format, current.total - current.frames >= count
                else { throw damaged("tensor \(tensor.name)", "frames that continue stream \(stream - 1)", "others") }
                groups[groups.count - 1].layers.append(placed)
                open = (current.frames + count, current.total)
                continue
            }
            let streams = medium == .image ? count : 1
            guard layer.stream == stream, layer.frame == 0, manifest.streams.count - stream >= streams, streams > 0
            else {
                throw damaged("tensor \(tensor.name)", "stream \(stream), frame 0", "\(layer.stream), \(layer.frame)")
            }
            let described = manifest.streams[stream..<stream + streams]
            let first = described[stream]
            let format = try FrameFormat(width: first.width, height: first.height, bitDepth: first.bits)
            guard placed.frameSize == format, layer.bits == first.bits,
                described.allSatisfy({
                    ($0.codec, $0.width, $0.height, $0.bits) == (first.codec, first.width, first.height, first.bits)
                        && (medium == .video ? $0.frames >= count : $0.frames == 1)
                })
            else {
                throw damaged("tensor \(tensor.name)", "streams that fit its frames", "\(first.width)x\(first.height)")
            }
            let codec = try CodecRegistry.codec(first.codec)
            guard codec.description.medium == medium else {
                throw damaged("stream \(first.entry)", "a codec for \(medium.rawValue)", first.codec)
            }
            groups.append(
                StreamGroup(
                    codec: codec, format: format, layers: [placed], framesOfStreams: described.map(\.frames)))
            stream += streams
            open = (count, described.reduce(0) { $0 + $1.frames })
        }
        guard stream == manifest.streams.count, open.map({ $0.frames == $0.total }) ?? true else {
            throw damaged("streams", "\(stream) that are filled by tensors", "\(manifest.streams.count)")
        }
        return groups
    }

    /// Samples that a stream says it holds, which must not be more than its bytes can.
    static func samples(
        in stream: Manifest.Stream, _ medium: Medium, _ reader: ArchiveReader
    ) throws(ArchiveError) -> Int {
        let bytes = try reader.size(of: stream.entry) ?? 0
        var samples = 1
        for factor in [stream.width, stream.height, stream.frames] {
            let (product, overflow) = samples.multipliedReportingOverflow(by: factor)
            guard factor > 0, !overflow, product / samplesPerByte(medium) <= bytes else {
                throw .damaged(
                    path: reader.path, part: "manifest: stream \(stream.entry)",
                    expected: "no more frames than its \(bytes) bytes can hold",
                    found: "\(stream.frames) of \(stream.width)x\(stream.height)")
            }
            samples = product
        }
        return samples
    }

    private static func place(
        _ packed: Manifest.Packed, _ bins: Manifest.Bins, _ tensor: Manifest.Tensor, _ index: Int, _ medium: Medium
    ) throws(ArchiveError) -> PlacedLayer {
        do {
            guard (1...16).contains(bins.bits) else { throw MapperError.bits(bins.bits) }
            let geometry = try geometry(of: packed, tensor)
            let block = medium == .video ? try BlockShape(sides: bins.block) : nil
            guard bins.transposed != true || medium == .image else {
                throw MapperError.parameters(expected: "images, which may be transposed", found: medium.rawValue)
            }
            return PlacedLayer(
                tensor: index, name: tensor.name, bits: bins.bits, geometry: geometry,
                placement: try Placement(geometry, medium, block: block, isTransposed: bins.transposed == true),
                isDouble: tensor.dtype == DType.f64.rawValue)
        } catch {
            throw .layer(tensor: tensor.name, reason: "manifest: \(error)")
        }
    }

    static func geometry(
        of packed: Manifest.Packed, _ tensor: Manifest.Tensor
    ) throws(MapperError) -> LayerGeometry {
        guard let kind = LayerKind(rawValue: packed.kind), packed.parameters.count == 2 else {
            throw .parameters(expected: "a known kind, and the place of parameters", found: packed.kind)
        }
        let axes = try packed.axes.map { axis throws(MapperError) in
            guard let role = LayerGeometry.Role(rawValue: axis.role) else {
                throw .parameters(expected: "known axes", found: axis.role)
            }
            return LayerGeometry.Axis(role, axis.count)
        }
        guard let count = elementCount(tensor.shape), count > 0 else {
            throw .parameters(expected: "weights", found: "none")
        }
        return try LayerGeometry(kind: kind, axes: axes, count: count)
    }
}

extension PlacedLayer {
    /// The geometry of the layer's frames; `nil` when no codec could hold such frames.
    fileprivate var frameSize: FrameFormat? {
        let size = placement.frameSize
        return try? FrameFormat(width: size.width, height: size.height, bitDepth: bits)
    }
}
