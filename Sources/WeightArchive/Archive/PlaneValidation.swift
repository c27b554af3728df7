import Codecs
import ModelFiles
import WeightMapper

// Version 3: what a manifest says of planes, and of the films that hold those of several layers.
extension ValidManifest {
    /// Arranges layers of planes by their streams, which follow each other without a gap.
    static func planed(
        _ manifest: Manifest, _ reader: ArchiveReader
    ) throws -> (layers: [PlanedLayer], films: [Film]) {
        func damaged(_ part: String, _ expected: String, _ found: String) -> ArchiveError {
            .damaged(path: reader.path, part: "manifest: \(part)", expected: expected, found: found)
        }
        let packed = manifest.tensors.enumerated().filter { $1.packed != nil }
            .sorted { firstPlace(of: $0.1) < firstPlace(of: $1.1) }
        var layers: [PlanedLayer] = []
        var films: [Film] = []
        var stream = 0
        for (index, tensor) in packed {
            guard let packed = tensor.packed, let described = packed.planes, !described.planes.isEmpty else {
                throw damaged("tensor \(tensor.name)", "planes, as in all of version \(manifest.version)", "none")
            }
            // A film goes on in the last stream.
            let isContinued =
                films.last.map { $0.stream == stream - 1 && described.planes[0].stream == $0.stream } ?? false
            if isContinued { stream -= 1 }
            let first = stream
            // Before anything grows with the tensor, its streams must be large enough to hold it.
            var capacity = 0
            var streamsOfPlanes: [ArraySlice<Manifest.Stream>] = []
            for plane in described.planes {
                guard plane.stream == stream, plane.streams > 0, plane.streams <= manifest.streams.count - stream else {
                    throw damaged(
                        "tensor \(tensor.name)", "planes that go on at stream \(stream) of \(manifest.streams.count)",
                        "\(plane.streams) from \(plane.stream)")
                }
                let streams = manifest.streams[stream..<stream + plane.streams]
                for entry in streams {
                    let medium = try CodecRegistry.codec(entry.codec).description.medium
                    capacity += try samples(in: entry, medium, reader)
                }
                streamsOfPlanes.append(streams)
                stream += plane.streams
            }
            // Eight signs are a sample.
            let isExact = ["exact", "delta"].contains(described.quantizer.name)
            let (most, overflow) = capacity.multipliedReportingOverflow(by: isExact ? 8 : 1)
            guard !overflow, let weights = elementCount(tensor.shape), weights <= most else {
                throw damaged("tensor \(tensor.name)", "at most \(most) weights", "shape \(tensor.shape)")
            }
            do {
                let geometry = try geometry(of: packed, tensor)
                let planes = try zip(described.planes, streamsOfPlanes).map { plane, streams in
                    try place(plane, streams, tensor.name, index, geometry, capacity: capacity)
                }
                try checkBase(of: tensor, index, described.quantizer, manifest.tensors)
                var layer = PlanedLayer(
                    tensor: index, name: tensor.name, geometry: geometry, planes: planes, firstStream: first)
                if described.planes.contains(where: { $0.frame != nil }) || isContinued {
                    try add(layer, described, number: layers.count, to: &films, isContinued: isContinued)
                    layer.film = films.count - 1
                }
                layers.append(layer)
            } catch {
                throw ArchiveError.layer(tensor: tensor.name, reason: "manifest: \(error)")
            }
        }
        guard stream == manifest.streams.count else {
            throw damaged("streams", "\(stream) that are filled by tensors", "\(manifest.streams.count)")
        }
        for film in films where film.frameCount != manifest.streams[film.stream].frames {
            throw damaged(
                "stream \(manifest.streams[film.stream].entry)", "\(film.frameCount) frames, those of its layers",
                "\(manifest.streams[film.stream].frames)")
        }
        return (layers, films)
    }

    /// Puts a layer in the film that its plane begins or continues.
    private static func add(
        _ layer: PlanedLayer, _ described: Manifest.Planes, number: Int, to films: inout [Film], isContinued: Bool
    ) throws(MapperError) {
        let next = isContinued ? films[films.count - 1].frameCount : 0
        let plane = layer.planes[0]
        guard layer.planes.count == 1, plane.frame == next, Film.quantizers.contains(described.quantizer.name) else {
            throw .parameters(
                expected: "one plane of \(Film.quantizers.sorted().joined(separator: ", ")) from frame \(next) on",
                found:
                    "\(layer.planes.count) of \(described.quantizer.name) from \(plane.frame.map(String.init) ?? "none")"
            )
        }
        if isContinued {
            films[films.count - 1].group.layers += plane.group.layers
            films[films.count - 1].group.framesOfStreams[0] += plane.group.framesOfStreams[0]
            films[films.count - 1].layers.append(number)
        } else {
            films.append(Film(group: plane.group, layers: [number], stream: layer.firstStream))
        }
    }

    /// Checks that what a layer was packed against is restored before it.
    private static func checkBase(
        of tensor: Manifest.Tensor, _ index: Int, _ quantizer: Manifest.LayerQuantizer, _ tensors: [Manifest.Tensor]
    ) throws(MapperError) {
        guard quantizer.name == "delta", let earlier = quantizer.earlier else { return }
        guard (0..<index).contains(earlier), tensors[earlier].packed != nil, tensors[earlier].dtype == tensor.dtype,
            tensors[earlier].shape == tensor.shape
        else {
            throw .parameters(
                expected: "a base among the packed tensors before, of its type and shape", found: "\(earlier)")
        }
    }

    private static func firstPlace(of tensor: Manifest.Tensor) -> (stream: Int, frame: Int) {
        let plane = tensor.packed?.planes?.planes.first
        return (plane?.stream ?? 0, plane?.frame ?? 0)
    }

    private static func place(
        _ plane: Manifest.Plane, _ streams: ArraySlice<Manifest.Stream>, _ name: String, _ tensor: Int,
        _ layer: LayerGeometry, capacity: Int
    ) throws -> PlacedPlane {
        guard let first = streams.first else { throw MapperError.bits(plane.bits) }
        let placed = try PlacedPlane(
            plane, first.codec, tensor: tensor, name: name, layer: layer, capacity: capacity)
        let format = placed.group.format
        // The frames of a film are counted when it is complete.
        guard plane.frame != nil || streams.map(\.frames) == placed.group.framesOfStreams,
            streams.allSatisfy({
                ($0.codec, $0.width, $0.height, $0.bits) == (first.codec, format.width, format.height, plane.bits)
            })
        else {
            throw MapperError.parameters(
                expected: "\(placed.group.framesOfStreams.count) streams of \(format.width)x\(format.height)",
                found: "\(streams.count) of \(first.width)x\(first.height)")
        }
        return placed
    }
}
