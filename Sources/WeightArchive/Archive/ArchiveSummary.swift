import Glibc
import ModelFiles

/// What a packed file holds, layer by layer, and what it cost.
public struct ArchiveSummary: Sendable {
    /// Format of the model file, as a person reads it.
    public let sourceFormat: String
    /// Names of the model's files.
    public let sourceFiles: [String]
    /// Size of the model's files, in bytes.
    public let originalBytes: Int
    /// Size of the packed file, in bytes.
    public let packedBytes: Int
    /// "image", "video" or "audio".
    public let medium: String
    /// The quantizer with its settings, for people.
    public let quantizer: String
    /// The packed layers, in the order of the model file.
    public let layers: [LayerSummary]
    /// The tensors that were kept exactly, but those that are too small for the packed file to list.
    public let kept: [KeptTensor]
    /// The others: how many there are, and their bytes together.
    public let unlisted: (count: Int, bytes: Int)

    /// How many tensors were kept exactly, and their bytes together.
    public var keptTotal: (count: Int, bytes: Int) {
        (kept.count + unlisted.count, kept.reduce(unlisted.bytes) { $0 + $1.bytes })
    }
    /// Weights of all packed layers.
    public var weights: Int { layers.reduce(0) { $0 + $1.weights } }
    /// Streams and parameters of all packed layers, in bytes.
    public var layerPackedBytes: Int { layers.reduce(0) { $0 + $1.packedBytes } }
    /// Signal-to-noise ratio over all packed weights in dB; infinite when they came back exactly.
    public var signalToNoise: Double {
        let signal = layers.reduce(0.0) { $0 + $1.statistics.variance * Double($1.weights) }
        let error = layers.reduce(0.0) { $0 + $1.statistics.meanSquaredError * Double($1.weights) }
        return WeightArchive.signalToNoise(signal, error)
    }

    /// One packed layer.
    public struct LayerSummary: Sendable {
        public let name: String
        /// Further names of the same weights.
        public let aliases: [String]
        public let kind: String
        public let dtype: String
        public let shape: [Int]
        /// Number of weights.
        public let weights: Int
        /// Bits per weight n of the quantizer.
        public let bits: Int
        public let codec: String
        /// Entries of the packed file that hold the layer.
        public let entries: [String]
        /// Frame width and height in samples, and number of frames.
        public let frame: (width: Int, height: Int, count: Int)
        /// Size in the model file, in bytes.
        public let originalBytes: Int
        /// Share of the streams, in bytes; exact where streams hold one layer, by entropy where a video holds several.
        public let streamBytes: Int
        /// Ranges and bin means, in bytes: the layer's share of the entry that holds all layers'.
        public let parameterBytes: Int
        public let statistics: LayerStatistics

        /// Streams and parameters, in bytes.
        public var packedBytes: Int { streamBytes + parameterBytes }
        /// Original by packed bytes.
        public var ratio: Double { Double(originalBytes) / Double(max(packedBytes, 1)) }
        /// Bits per weight of streams and parameters.
        public var bitsPerWeight: Double { Double(packedBytes) * 8 / Double(max(weights, 1)) }
        /// Bits per weight of the streams alone.
        public var streamBitsPerWeight: Double { Double(streamBytes) * 8 / Double(max(weights, 1)) }
        /// Bits per weight that the streams spend above the entropy of the bins.
        public var aboveEntropy: Double { streamBitsPerWeight - statistics.entropy }
        /// Bits per weight above Shannon's bound R(D) = SNR / 6.0206 for a Gaussian source at the same error; `nil` when the
        /// weights came back exactly.
        public var aboveRateDistortion: Double? {
            statistics.signalToNoise.isFinite ? bitsPerWeight - statistics.signalToNoise / (20 * log10(2)) : nil
        }
    }

    /// One tensor that was kept.
    public struct KeptTensor: Sendable {
        public let name: String
        public let dtype: String
        public let shape: [Int]
        public let bytes: Int
        /// Why.
        public let reason: String
    }

    init(_ manifest: Manifest, packedBytes: Int) {
        sourceFormat = ModelFormatName(rawValue: manifest.source.format)?.title ?? manifest.source.format
        sourceFiles = manifest.source.files.map(\.name)
        originalBytes = manifest.source.files.reduce(0) { $0 + ($1.original ?? $1.size) }
        self.packedBytes = packedBytes
        medium = manifest.medium
        quantizer = Self.quantizers(of: manifest)
        let parameters = share(
            manifest.parameters?.stored ?? 0, by: manifest.tensors.map { Double($0.packed?.parameters[1] ?? 0) })
        /// Layers in each film, by the number of its stream.
        var sharers: [Int: Int] = [:]
        for plane in manifest.tensors.compactMap({ $0.packed?.planes?.planes[0] }) where plane.frame != nil {
            sharers[plane.stream, default: 0] += 1
        }
        var layers: [LayerSummary] = []
        var kept: [KeptTensor] = []
        for (index, tensor) in manifest.tensors.enumerated() {
            let weights = elementCount(tensor.shape) ?? 0
            // Only a view can be larger than its file, which it repeats.
            let (bits, overflow) = weights.multipliedReportingOverflow(by: DType(rawValue: tensor.dtype).bitWidth ?? 0)
            let file = manifest.source.files[tensor.at[0]].size
            let bytes = tensor.bytes ?? (overflow ? file : min(bits / 8, file))
            guard let packed = tensor.packed else {
                let reason = tensor.kept ?? ""
                kept.append(
                    .init(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, bytes: bytes, reason: reason))
                continue
            }
            let streams = packed.streams(medium: manifest.medium)
            let stream = manifest.streams[streams.lowerBound]
            let frames = packed.bins?.frames ?? stream.frames / sharers[streams.lowerBound, default: 1]
            layers.append(
                LayerSummary(
                    name: tensor.name, aliases: tensor.aliases ?? [], kind: packed.kind, dtype: tensor.dtype,
                    shape: tensor.shape, weights: weights, bits: packed.bits, codec: stream.codec,
                    entries: manifest.streams[streams].map(\.entry),
                    frame: (stream.width, stream.height, frames), originalBytes: bytes,
                    streamBytes: packed.bytes, parameterBytes: parameters[index],
                    statistics: LayerStatistics(
                        entropy: packed.entropy, variance: packed.variance, meanSquaredError: packed.mse,
                        maximumError: packed.maxError)))
        }
        self.layers = layers
        self.kept = kept
        unlisted = (manifest.unlisted?.count ?? 0, manifest.unlisted?.bytes ?? 0)
    }
}

extension ArchiveSummary {
    /// The quantizers of a packed file with their settings, for people.
    private static func quantizers(of manifest: Manifest) -> String {
        if let quantizer = manifest.quantizer {
            return "\(quantizer.name), range by \(quantizer.range), reconstructed at bin \(quantizer.reconstruct)s"
        }
        var names: [String] = []
        for planes in manifest.tensors.compactMap({ $0.packed?.planes }) {
            let name = planes.quantizer.title
            if !names.contains(name) { names.append(name) }
        }
        return names.joined(separator: "; ")
    }
}

extension Manifest.LayerQuantizer {
    /// The quantizer with its settings, for people.
    fileprivate var title: String {
        switch name {
        case "trellis": states == 1 ? "entropy-constrained scalar" : "trellis of \(states ?? 0) states"
        case "exact", "bytes": "none, bit-exact"
        case "delta": "none, bit-exact against a base"
        case "uniform": "uniform, range by \(range ?? ""), reconstructed at bin \(reconstruct ?? "")s"
        case "fixed": "fixed point, an exponent by \(range ?? "")"
        case "scaled": "fixed point, a scale by \(range ?? "")"
        default: name
        }
    }
}

extension Manifest.Packed {
    /// Bits of a bin, or of a sample of the first plane.
    var bits: Int {
        switch form {
        case .bins(let bins): bins.bits
        case .planes(let planes): planes.planes[0].bits
        }
    }

    /// Numbers of the streams that hold the layer, of a checked manifest.
    func streams(medium: String) -> Range<Int> {
        switch form {
        case .bins(let bins): bins.stream..<bins.stream + (medium == "image" ? bins.frames : 1)
        case .planes(let planes):
            planes.planes[0].stream..<planes.planes.reduce(planes.planes[0].stream) { $0 + $1.streams }
        }
    }
}

/// Divides a number of bytes in proportion, without losing any.
func share(_ total: Int, by weights: [Double]) -> [Int] {
    let sum = weights.reduce(0, +)
    var given = 0
    var seen = 0.0
    return weights.map { weight in
        seen += weight
        let upTo = sum > 0 ? min(Int((seen / sum * Double(total)).rounded()), total) : total
        defer { given = upTo }
        return upTo - given
    }
}
