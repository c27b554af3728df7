import FoundationEssentials
import WeightMapper

/// What is known of a stream group when it is packed, beside its streams: all that the manifest will say of it.
struct GroupRecord: Codable, Sendable {
    /// What decides, with the weights, which streams the group becomes (`Packer.identity`).
    var identity: String
    /// Hash of the bytes that its tensors had in the model.
    var originals: String
    var streams: [Stream]
    var layers: [Layer]

    struct Stream: Codable, Sendable {
        /// Size in bytes.
        var length: Int
        var hash: String
    }

    struct Layer: Codable, Sendable {
        /// Encoding of the codebook.
        var ranges: String
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
            figures = [
                statistics.entropy, statistics.variance, statistics.meanSquaredError, statistics.maximumError,
            ].map(\.bitPattern)
        }

        /// `nil` when the figures are none that packing gives.
        var statistics: LayerStatistics? {
            let values = figures.map { Double(bitPattern: $0) }
            guard values.count == 4, values.allSatisfy({ $0 >= 0 }), values[0] <= 16 else { return nil }
            return LayerStatistics(
                entropy: values[0], variance: values[1], meanSquaredError: values[2], maximumError: values[3])
        }
    }

    /// Whether the record can be that of a group: it was read from a file that may hold anything.
    func describes(_ group: StreamGroup, _ options: PackOptions) -> Bool {
        guard streams.count == group.framesOfStreams.count, layers.count == group.layers.count else { return false }
        return zip(group.layers, layers).allSatisfy { placed, layer in
            let codebook = try? UniformCodebook(
                bits: placed.bits, encoding: layer.ranges, Array(layer.parameters).span, scope: options.range,
                reconstruction: options.reconstruction, geometry: placed.geometry)
            return codebook != nil && layer.statistics != nil && layer.crc <= UInt32.max
                && layer.hash.utf8.count == 32
                && layer.hash.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
        }
    }
}
