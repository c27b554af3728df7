import Codecs
import FoundationEssentials
import Glibc
import ModelFiles
import WeightMapper

/// What is known of a stream group when it is packed, beside its streams: all that the manifest will say of it.
struct GroupRecord: Codable, Sendable {
    /// What decides, with the weights, which streams the group becomes (`Packer.identity`).
    var identity: String
    /// Hash of the bytes that its tensors had in the model.
    var originals: String
    var streams: [Stream]
    var layers: [Layer]
    /// The layers with means of what a lossy codec decoded, where these may pay.
    var corrected: [Layer]?

    struct Stream: Codable, Sendable {
        /// Size in bytes.
        var length: Int
        var hash: String
    }

    struct CodedPlane: Codable, Sendable {
        var codec: String
        var plane: Manifest.Plane
    }

    struct Layer: Codable, Sendable {
        /// Encoding of the codebook; empty for layers of planes.
        var ranges: String
        /// What gives planes back as weights, and the planes; streams are numbered within the record.
        var quantizer: Manifest.LayerQuantizer?
        var planes: [CodedPlane]?
        /// The codebook.
        var parameters: Data
        /// Hash and CRC-32 of the restored bytes; the latter is 0 where the source has no checksums.
        var hash: String
        var crc: UInt
        /// Bits of entropy, variance, mean squared and largest error: exact, and JSON has no infinity, which errors reach.
        private var figures: [UInt64]

        init(codebook: any Codebook, hash: String, crc: UInt, statistics: LayerStatistics) {
            ranges = codebook.encoding
            parameters = Data(codebook.serialized)
            self.hash = hash
            self.crc = crc
            figures = Self.figures(statistics)
        }

        init(
            _ codebook: any LayerCodebook, _ planes: [CodedPlane], hash: String, crc: UInt, statistics: LayerStatistics
        ) {
            ranges = ""
            quantizer = codebook.record
            self.planes = planes
            parameters = Data(codebook.serialized)
            self.hash = hash
            self.crc = crc
            figures = Self.figures(statistics)
        }

        private static func figures(_ statistics: LayerStatistics) -> [UInt64] {
            [statistics.entropy, statistics.variance, statistics.meanSquaredError, statistics.maximumError]
                .map(\.bitPattern)
        }

        /// Bits that a layer with stored means saves: those by which its streams could be smaller at the error of that without, less
        /// those of the means.
        func bitsSaved(insteadOf plain: Layer, weights: Int) -> Double {
            guard let error = statistics?.meanSquaredError, let before = plain.statistics?.meanSquaredError,
                error > 0, before > 0
            else { return 0 }
            return Double(weights) * log2(before / error) / 2 - Double(8 * (parameters.count - plain.parameters.count))
        }

        /// The same layer, its streams numbered so much higher.
        func moved(by streams: Int) -> Layer {
            var moved = self
            moved.planes = planes?.map { coded in
                var coded = coded
                coded.plane.stream += streams
                return coded
            }
            return moved
        }

        /// Where the planes of a layer go; `nil` when it has none.
        ///
        /// - Throws: `MapperError` or `CodecError` for planes that cannot be.
        func placedPlanes(_ job: LayerJob) throws -> [PlacedPlane]? {
            try planes?.map {
                try PlacedPlane(
                    $0.plane, $0.codec, tensor: job.tensor, name: job.name, layer: job.geometry,
                    capacity: 16 * job.geometry.count)
            }
        }

        /// `nil` when the figures are none that packing gives.
        var statistics: LayerStatistics? {
            let values = figures.map { Double(bitPattern: $0) }
            guard values.count == 4, values.allSatisfy({ $0 >= 0 }), values[0] <= 64 else { return nil }
            return LayerStatistics(
                entropy: values[0], variance: values[1], meanSquaredError: values[2], maximumError: values[3])
        }
    }

    /// Whether the record can be that of a unit: it was read from a file that may hold anything.
    func describes(_ unit: PackUnit, _ tensors: [SelectedTensor], _ options: PackOptions) -> Bool {
        guard layers.count == unit.tensors.count, (corrected ?? layers).count == layers.count,
            (layers + (corrected ?? [])).allSatisfy({ layer in
                layer.statistics != nil && layer.crc <= UInt32.max && layer.hash.utf8.count == 32
                    && layer.hash.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
            })
        else { return false }
        switch unit {
        case .group(let group):
            func fit(_ layers: [Layer], _ reconstruction: Reconstruction) -> Bool {
                zip(group.layers, layers).allSatisfy { placed, layer in
                    let codebook = try? UniformCodebook(
                        bits: placed.bits, encoding: layer.ranges, Array(layer.parameters).span, scope: options.range,
                        reconstruction: reconstruction, geometry: placed.geometry)
                    return codebook != nil
                }
            }
            let mayBeCorrected = options.reconstruction == nil && !group.codec.description.isLossless
            return streams.count == group.framesOfStreams.count && (corrected != nil) == mayBeCorrected
                && fit(layers, options.reconstruction ?? .middle) && fit(corrected ?? [], .mean)
        case .layer, .film:
            var streamCount = 0
            for (job, layer) in zip(unit.jobs, layers) {
                guard let quantizer = layer.quantizer, let planes = try? layer.placedPlanes(job),
                    let first = planes.first,
                    (try? layerCodebook(
                        quantizer, Array(layer.parameters).span, job.geometry, tensors[job.tensor].record.dtype,
                        bits: first.bits)) != nil
                else { return false }
                // The layers of a film have one stream together.
                for (plane, coded) in zip(planes, layer.planes ?? []) where plane.frame ?? 0 == 0 {
                    guard coded.plane.stream == streamCount else { return false }
                    streamCount += plane.group.framesOfStreams.count
                }
            }
            return streamCount == streams.count
        }
    }
}
