import Codecs
import ModelFiles
import WeightMapper

/// A manifest whose every number was checked against the others and against what the archive holds, so that what follows
/// may allocate and index by them.
struct ValidManifest: Sendable {
    let manifest: Manifest
    /// Sizes of the tensors' bytes, by tensor.
    let byteCounts: [Int]
    let groups: [StreamGroup]

    /// Samples that one byte of a stream may stand for: beyond what deflate, FLAC and an empty video frame of the largest
    /// size reach, so only a forged manifest asks for more.
    private static let samplesPerByte = 1 << 20

    /// - Parameters:
    ///   - manifest: as read.
    ///   - reader: the archive it came from, asked for the sizes of entries.
    /// - Throws: `ArchiveError.damaged`, or `.layer` naming the tensor whose description is wrong.
    init(_ manifest: Manifest, _ reader: ArchiveReader) throws {
        func damaged(_ part: String, _ expected: String, _ found: String) -> ArchiveError {
            .damaged(path: reader.path, part: "manifest: \(part)", expected: expected, found: found)
        }
        let files = manifest.source.files
        guard !files.isEmpty, Set(files.map(\.name)).count == files.count else {
            throw damaged("files", "distinct names", "\(files.map(\.name))")
        }
        for file in files where !isPlainName(file.name) || file.size < 0 {
            throw damaged("file \(file.name)", "a plain name and a size", "\(file.size) bytes")
        }
        guard manifest.quantizer.name == "uniform", RangeScope(rawValue: manifest.quantizer.range) != nil,
            Reconstruction(rawValue: manifest.quantizer.reconstruct) != nil
        else {
            throw damaged("quantizer", "uniform by layer or channel, at middle or mean", "\(manifest.quantizer)")
        }

        var byteCounts: [Int] = []
        var stored: [Int: [Range<Int>]] = [:]
        for tensor in manifest.tensors {
            let extent = try Self.extent(of: tensor, files) { found in
                ArchiveError.layer(
                    tensor: tensor.name,
                    reason: "\(reader.path): manifest: expected a known type at a place inside its file, found \(found)")
            }
            byteCounts.append(extent.count)
            guard (tensor.packed == nil) != (tensor.kept == nil) else {
                throw damaged("tensor \(tensor.name)", "packed or kept", "both or neither")
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
        var exactBytes = 0
        for (tensor, bytes) in zip(manifest.tensors, byteCounts) where tensor.kept != nil && tensor.inSkeleton != true {
            let (sum, overflow) = exactBytes.addingReportingOverflow(bytes)
            guard !overflow else { throw damaged(EntryName.exact, "sizes that can be added", "\(bytes) bytes more") }
            exactBytes = sum
        }
        if exactBytes > 0 {
            let found = try reader.size(of: EntryName.exact) ?? 0
            guard manifest.exact != nil, found - 8 >= exactBytes else {
                throw damaged(EntryName.exact, "\(exactBytes) bytes of tensors", "\(found)")
            }
        }
        self.manifest = manifest
        self.byteCounts = byteCounts
        groups = try Self.groups(manifest, reader)
    }

    /// The bytes of a tensor in its file.
    private static func extent(
        of tensor: Manifest.Tensor, _ files: [Manifest.File], error: (String) -> ArchiveError
    ) throws(ArchiveError) -> Range<Int> {
        // What lies in the skeleton may be of a type unknown here, or a view that repeats its bytes.
        var bits = tensor.packed == nil && tensor.inSkeleton == true ? 0 : DType(rawValue: tensor.dtype).bitWidth
        if tensor.packed != nil, !DType(rawValue: tensor.dtype).isPackableFloat { bits = nil }
        guard let bits, tensor.at.count == 2, files.indices.contains(tensor.at[0]), tensor.at[1] >= 0 else {
            throw error("\(tensor.dtype) at \(tensor.at)")
        }
        var length = bits
        for size in tensor.shape.contains(0) ? [0] : tensor.shape {
            let (product, overflow) = length.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { throw error("shape \(tensor.shape)") }
            length = product
        }
        let (end, overflow) = tensor.at[1].addingReportingOverflow(length / 8)
        guard !overflow, length % 8 == 0, end <= files[tensor.at[0]].size else {
            throw error("\(length / 8) bytes at \(tensor.at[1]) of \(files[tensor.at[0]].size)")
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
        for tensor in manifest.tensors where (tensor.packed?.bytes ?? 0) < 0 || (tensor.packed?.bytes ?? 0) > reader.size {
            throw damaged("tensor \(tensor.name)", "a share of \(reader.size) bytes", "\(tensor.packed?.bytes ?? 0)")
        }
        let packed = manifest.tensors.enumerated().filter { $1.packed != nil }
            .sorted { ($0.1.packed?.stream ?? 0, $0.1.packed?.frame ?? 0) < ($1.1.packed?.stream ?? 0, $1.1.packed?.frame ?? 0) }
        var open: (frames: Int, total: Int)?
        for (index, tensor) in packed {
            guard let layer = tensor.packed else { continue }
            try checkEvidence(layer, tensor, index, manifest, reader)
            let placed = try place(layer, tensor, index, medium)
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
            guard layer.stream == stream, layer.frame == 0, manifest.streams.count - stream >= streams, streams > 0 else {
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
            else { throw damaged("tensor \(tensor.name)", "streams that fit its frames", "\(first.width)x\(first.height)") }
            for stream in described {
                let bytes = try reader.size(of: stream.entry) ?? 0
                let (samples, overflow) = format.sampleCount.multipliedReportingOverflow(by: stream.frames)
                guard !overflow, samples / samplesPerByte <= bytes else {
                    throw damaged("stream \(stream.entry)", "as many frames as its \(bytes) bytes can hold", "\(stream.frames)")
                }
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

    /// Refuses a layer of more weights than the frames of its streams have samples, before anything of its size is made.
    private static func checkEvidence(
        _ packed: Manifest.Packed, _ tensor: Manifest.Tensor, _ index: Int, _ manifest: Manifest, _ reader: ArchiveReader
    ) throws {
        func refuse(_ expected: String, _ found: String) -> ArchiveError {
            .damaged(path: reader.path, part: "manifest: tensor \(tensor.name)", expected: expected, found: found)
        }
        let streams = manifest.streams.count
        guard (0..<streams).contains(packed.stream), packed.frames > 0 else {
            throw refuse("frames of one of \(streams) streams", "\(packed.frames) of stream \(packed.stream)")
        }
        let count = tensor.shape.contains(0) ? 0 : tensor.shape.reduce(1, *)
        let stream = manifest.streams[packed.stream]
        let format = try FrameFormat(width: stream.width, height: stream.height, bitDepth: stream.bits)
        let (samples, overflow) = format.sampleCount.multipliedReportingOverflow(by: packed.frames)
        let inStreams = manifest.medium == Medium.image.rawValue ? packed.frames : 1
        guard !overflow, count <= samples, streams - packed.stream >= inStreams else {
            throw refuse("at most \(samples) weights in \(packed.frames) frames", "\(count)")
        }
        // Deflate and FLAC do not get beyond this; videos may repeat a frame for little more than its header.
        let limit = manifest.medium == Medium.video.rawValue ? samplesPerByte : 1 << 14
        let bytes = try manifest.streams[packed.stream..<packed.stream + inStreams].reduce(0) {
            try $0 + (reader.size(of: $1.entry) ?? 0)
        }
        guard count / limit <= bytes else { throw refuse("as many weights as \(bytes) bytes can hold", "\(count)") }
        let codec = try CodecRegistry.codec(stream.codec).description
        guard format.width <= codec.maximumWidth, format.height <= codec.maximumHeight else {
            throw refuse("frames that \(codec.name) can hold", "\(format.width)x\(format.height)")
        }
    }

    private static func place(
        _ packed: Manifest.Packed, _ tensor: Manifest.Tensor, _ index: Int, _ medium: Medium
    ) throws(ArchiveError) -> PlacedLayer {
        do {
            guard let kind = LayerKind(rawValue: packed.kind), (1...16).contains(packed.bits),
                packed.parameters.count == 2
            else { throw MapperError.parameters(expected: "a known kind and bit depth", found: "\(packed.kind), \(packed.bits)") }
            let axes = try packed.axes.map { axis in
                guard let role = LayerGeometry.Role(rawValue: axis.role) else {
                    throw MapperError.parameters(expected: "known axes", found: axis.role)
                }
                return LayerGeometry.Axis(role, axis.count)
            }
            // Sizes beside a zero may be of any size.
            let count = tensor.shape.contains(0) ? 0 : tensor.shape.reduce(1, *)
            guard count > 0 else { throw MapperError.parameters(expected: "weights", found: "none") }
            let geometry = try LayerGeometry(kind: kind, axes: axes, count: count)
            var block: BlockShape?
            if medium == .video {
                guard let sides = packed.block, sides.count == 4 else {
                    throw MapperError.parameters(expected: "a block of four sides", found: "\(packed.block ?? [])")
                }
                block = BlockShape(bfin: sides[0], bfout: sides[1], bx: sides[2], by: sides[3])
            }
            return PlacedLayer(
                tensor: index, name: tensor.name, bits: packed.bits, geometry: geometry,
                placement: try Placement(geometry, medium, block: block), isDouble: tensor.dtype == DType.f64.rawValue)
        } catch {
            throw .layer(tensor: tensor.name, reason: "manifest: \(error)")
        }
    }
}

extension PlacedLayer {
    /// The geometry of the layer's frames; `nil` when no codec could hold such frames.
    fileprivate var frameSize: FrameFormat? {
        let size = placement.frameSize
        return try? FrameFormat(width: size.width, height: size.height, bitDepth: bits)
    }
}

/// Whether a name from an archive may become a file's name.
func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
        && !name.unicodeScalars.contains { $0 == "/" || $0.value < 32 || $0.value == 127 }
}
