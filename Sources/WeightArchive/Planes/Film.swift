import Codecs
import WeightMapper

/// A video of one layer in the models of a series, whose codec predicts frames from those of the models before.
struct Film: Sendable {
    /// The video, and the planes that it holds, in order.
    var group: StreamGroup
    /// Numbers of the layers whose only planes these are.
    var layers: [Int]
    /// Number of the stream.
    let stream: Int

    /// Frames that are taken by planes.
    var frameCount: Int { group.framesOfStreams[0] }

    /// Quantizers that give a layer one plane, in which weights that do not move leave samples that do not.
    static let quantizers: Set<String> = ["uniform", "fixed", "scaled", "bytes"]
}

extension PackedModel {
    /// The planes of a layer, decoded; those of a film with all frames of that.
    func planes(of layer: PlanedLayer) throws -> [Plane] {
        guard let film = layer.film else { return try layer.decode { try stream($0) } }
        var found: [Plane] = []
        try forEachLayer(of: valid.films[film]) { other, planes in
            if other.tensor == layer.tensor { found = planes }
        }
        return found
    }

    /// Decodes a film and calls `body` with each of its layers and that one's plane.
    ///
    /// - Throws: `ArchiveError` when the codec fails, and what `body` throws.
    func forEachLayer(of film: Film, _ body: (PlanedLayer, [Plane]) throws -> Void) throws {
        func run<Sample: BinScalar>(_: Sample.Type, _ wrap: ([Sample]) -> Plane.Samples) throws {
            try decode(film.group, as: Sample.self) { _ in
                try stream(film.stream)
            } takeLayer: { index, samples in
                let layer = valid.planed[film.layers[index]]
                let samples = samples.withUnsafeBufferPointer { Array($0) }
                try body(
                    layer, [Plane(bits: layer.planes[0].bits, shape: layer.planes[0].shape, samples: wrap(samples))])
            }
        }
        try film.group.format.bytesPerSample == 1 ? run(UInt8.self) { .narrow($0) } : run(UInt16.self) { .wide($0) }
    }

    /// Decodes layers that share a stream, or one whose streams are its own, and calls `body` with each and its planes.
    ///
    /// - Parameter unit: numbers of the layers.
    func forEachDecoded(_ unit: [Int], _ body: (PlanedLayer, [Plane]) throws -> Void) throws {
        let layer = valid.planed[unit[0]]
        guard let film = layer.film else { return try body(layer, planes(of: layer)) }
        try forEachLayer(of: valid.films[film], body)
    }
}
