import WeightArchive

/// The compression report as data, for JSON and CSV.
public struct ReportDocument: Encodable, Sendable {
    /// One packed layer: the figures of `ArchiveSummary.LayerSummary`, sizes in bytes.
    public struct Layer: Encodable, Sendable {
        public let name, kind, dtype: String
        public let aliases: [String]
        public let shape: [Int]
        public let weights, bits: Int
        public let codec: String
        public let entries: [String]
        public let frameWidth, frameHeight, frames: Int
        public let originalBytes, packedBytes, parameterBytes: Int
        public let ratio, bitsPerWeight, streamBits, entropy, aboveEntropy: Double
        /// dB; `nil` when the weights came back exactly.
        public let snr: Double?
        public let maxError: Double
        /// Bits per weight above the Gaussian rate-distortion bound.
        public let aboveRateDistortion: Double?
    }

    /// One tensor that was kept.
    public struct Kept: Encodable, Sendable {
        public let name, dtype, reason: String
        public let shape: [Int]
        public let bytes: Int
    }

    /// Kept tensors that are not listed, all together.
    public struct Unlisted: Encodable, Sendable {
        public let count, bytes: Int
    }

    /// The whole file.
    public struct Total: Encodable, Sendable {
        /// Sizes of the model's files and of the packed file.
        public let originalBytes, packedBytes: Int
        public let ratio: Double
        public let weights: Int
        /// Bytes of the packed layers: in the model, and as streams and parameters.
        public let layerOriginalBytes, layerPackedBytes: Int
        /// Of streams and parameters; `nil` when no layer is packed.
        public let bitsPerWeight: Double?
        /// dB; `nil` when no layer is packed or all weights came back exactly.
        public let snr: Double?
    }

    /// Sizes of the same tensors elsewhere, in bytes.
    public struct Comparison: Encodable, Sendable {
        /// Bins stored plainly with n bits each.
        public let plainBins: Int
        /// Bins through zip's deflate and through zstd.
        public let zipBins, zstdBins: Int
        /// The original model file through the same; only when it was given.
        public let zipOriginal, zstdOriginal: Int?

        /// The bins' sizes, and the original's where it was measured.
        public init(bins: GeneralCompressors, original: GeneralCompressors?) {
            plainBins = bins.plain
            zipBins = bins.zip
            zstdBins = bins.zstd
            zipOriginal = original?.zip
            zstdOriginal = original?.zstd
        }
    }

    /// Format of the model, and names of its files.
    public let source: String
    public let files: [String]
    public let medium, quantizer: String
    public let total: Total
    public var comparison: Comparison?
    public let layers: [Layer]
    public let kept: [Kept]
    /// Kept tensors that are too small for the packed file to list; `nil` when there are none.
    public let unlisted: Unlisted?

    /// The report of a packed file.
    public init(_ summary: ArchiveSummary) {
        source = summary.sourceFormat
        files = summary.sourceFiles
        medium = summary.medium
        quantizer = summary.quantizer
        layers = summary.layers.map { layer in
            let snr = layer.statistics.signalToNoise
            return Layer(
                name: layer.name, kind: layer.kind, dtype: layer.dtype, aliases: layer.aliases, shape: layer.shape,
                weights: layer.weights, bits: layer.bits, codec: layer.codec, entries: layer.entries,
                frameWidth: layer.frame.width, frameHeight: layer.frame.height, frames: layer.frame.count,
                originalBytes: layer.originalBytes, packedBytes: layer.packedBytes,
                parameterBytes: layer.parameterBytes,
                ratio: layer.ratio, bitsPerWeight: layer.bitsPerWeight, streamBits: layer.streamBitsPerWeight,
                entropy: layer.statistics.entropy, aboveEntropy: layer.aboveEntropy, snr: snr.isFinite ? snr : nil,
                maxError: layer.statistics.maximumError, aboveRateDistortion: layer.aboveRateDistortion)
        }
        kept = summary.kept.map {
            Kept(name: $0.name, dtype: $0.dtype, reason: $0.reason, shape: $0.shape, bytes: $0.bytes)
        }
        unlisted =
            summary.unlisted.count > 0
            ? Unlisted(count: summary.unlisted.count, bytes: summary.unlisted.bytes) : nil
        let (weights, packed, snr) = (summary.weights, summary.layerPackedBytes, summary.signalToNoise)
        total = Total(
            originalBytes: summary.originalBytes, packedBytes: summary.packedBytes,
            ratio: Double(summary.originalBytes) / Double(max(summary.packedBytes, 1)), weights: weights,
            layerOriginalBytes: layers.reduce(0) { $0 + $1.originalBytes }, layerPackedBytes: packed,
            bitsPerWeight: weights > 0 ? Double(packed) * 8 / Double(weights) : nil,
            snr: weights > 0 && snr.isFinite ? snr : nil)
    }

    /// How many tensors were kept exactly, and their bytes together.
    var keptTotal: (count: Int, bytes: Int) {
        (kept.count + (unlisted?.count ?? 0), kept.reduce(unlisted?.bytes ?? 0) { $0 + $1.bytes })
    }

    /// The layers as CSV (RFC 4180), one line each after a heading; texts that a spreadsheet would take for a formula follow a
    /// single quote.
    public var csv: String {
        var lines = [
            "name,kind,dtype,shape,weights,bits,codec,original_bytes,packed_bytes,ratio,bits_per_weight,stream_bits,entropy,"
                + "above_entropy,snr_db,max_error,above_rate_distortion"
        ]
        for layer in layers {
            let fields: [String] = [
                Self.cell(layer.name), Self.cell(layer.kind), Self.cell(layer.dtype),
                layer.shape.map(String.init).joined(separator: "x"), "\(layer.weights)", "\(layer.bits)",
                Self.cell(layer.codec), "\(layer.originalBytes)",
                "\(layer.packedBytes)",
                "\(layer.ratio)", "\(layer.bitsPerWeight)", "\(layer.streamBits)", "\(layer.entropy)",
                "\(layer.aboveEntropy)",
                layer.snr.map { "\($0)" } ?? "", "\(layer.maxError)", layer.aboveRateDistortion.map { "\($0)" } ?? "",
            ]
            lines.append(fields.joined(separator: ","))
        }
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    /// A text as a cell: on one line, no formula, and in quotes where RFC 4180 wants them.
    private static func cell(_ text: String) -> String {
        var text = printable(text)
        if let first = text.unicodeScalars.first, "=+-@＝＋－＠".unicodeScalars.contains(first) { text = "'" + text }
        // By bytes: to a Character, a comma with an accent is no comma.
        guard text.utf8.contains(where: { ",\"".utf8.contains($0) }) else { return text }
        let quote = UInt8(ascii: "\"")
        let doubled = text.utf8.flatMap { $0 == quote ? [quote, quote] : [$0] }
        return "\"" + String(decoding: doubled, as: UTF8.self) + "\""
    }
}
