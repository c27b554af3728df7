import Codecs
import ModelFiles
import WeightMapper

/// What to do with a tensor that holds NaN, infinities or numbers too large to be quantized.
public enum NonFinitePolicy: String, Sendable, CaseIterable {
    /// Refuse the model.
    case error
    /// Keep the tensor exactly as it is.
    case exact
}

/// How weights are put on grids.
public enum QuantizerChoice: Sendable, Hashable {
    /// Claims 2 and 3: [Wmin, Wmax] divided into 2^n equal intervals.
    case uniform
    /// k * 2^s or k * f, with precisions that adjust themselves along a series of models.
    case fixedPoint(FixedPointChoice)
    /// Entropy-constrained trellis-coded quantization: the least error for the bits.
    case trellis
    /// None: every bit comes back.
    case exact
}

/// What packing aims at.
public enum Goal: Sendable, Hashable {
    /// Bits per weight of the packed layers, at most and as nearly as possible.
    case bitsPerWeight(Double)
    /// Size of the packed file in bytes, at most and as nearly as possible.
    case size(Int)
    /// Signal-to-noise ratio over all packed weights in dB, at least.
    case signalToNoise(Double)
    /// Largest error of a weight.
    case maximumError(Double)
}

/// By what the errors of layers count when bits are shared among them.
public enum ErrorMeasure: Sendable {
    /// The squared error of every weight counts the same.
    case total
    /// Errors count in proportion to their layer's variance, so that every layer has the same signal-to-noise ratio.
    case size
    /// Squared errors of the tensors whose names match a pattern count so many times; the last match wins, others count once.
    case importance([(pattern: String, factor: Double)])
}

/// How a model is packed.
public struct PackOptions: Sendable {
    /// What the weights become.
    public var medium: Medium = .image
    /// Whether each layer becomes whatever is smallest, of what `effort` allows.
    public var choosesMedium = false
    /// How weights are put on grids.
    public var quantizer = QuantizerChoice.uniform
    /// How hard a trellis quantizer, and the choice of media, try.
    public var effort = Effort.standard
    /// What a trellis quantizer aims at; `nil` for the bits per weight n of each layer.
    public var goal: Goal?
    /// By what the errors of layers count when a goal shares bits among them.
    public var measure = ErrorMeasure.total
    /// The model that tensors are packed against, bit for bit; `quantizer` is `exact` then.
    public var base: ModelFile?
    /// Codec with parameters, as `hevc:qp=20`; `nil` for the medium's default at each layer's bit depth.
    public var codec: String?
    /// Bits per weight n, 1...16; `nil` for 8, and more for layers whose outliers would drown the other weights
    /// (`bitsThatResolve`).
    public var bits: Int?
    /// Bits of the tensors whose name matches a pattern; the last match wins.
    public var bitsByName: [(pattern: String, bits: Int)] = []
    /// Kinds of the layers whose name matches a pattern; the last match wins.
    public var kindsByName: [(pattern: String, kind: LayerKind)] = []
    /// Tensors to pack although they are small, vectors or optimizer state.
    public var include: [String] = []
    /// Tensors to keep exactly.
    public var exclude: [String] = []
    /// Over what [Wmin, Wmax] is taken.
    public var range: RangeScope = .channel
    /// Where weights are put back; `nil` for the middles of intervals, but with a lossy codec for means of what it decodes, where the
    /// lower error is worth more than their bytes.
    public var reconstruction: Reconstruction?
    /// What to do with NaN and infinities.
    public var nonFinite: NonFinitePolicy = .error
    /// (Bin, Bout) or (Bfin, Bfout, Bx, By) of the video frames, cut down to each layer; `nil` for a good default.
    public var block: BlockShape?
    /// Jobs that run at the same time; the packed file does not depend on it.
    public var threads = 1
    /// Whether an existing output is replaced.
    public var force = false

    /// Whether layers that are the same in several models of a series may become films.
    var makesFilms = false

    /// The defaults: lossless PNG images of 8-bit bins with ranges by channel.
    public init() {}

    /// Whether layers become planes: version 3 of the packed file.
    var usesPlanes: Bool { choosesMedium || quantizer != .uniform || goal != nil || makesFilms }

    /// Whether videos whose codec predicts frames are among what layers may become, and samples stay where weights do.
    var mayMakeFilms: Bool {
        guard medium == .video || choosesMedium, !choosesSteps else { return false }
        return codec.map { (try? CodecRegistry.codec($0))?.description.predictsFrames == true } ?? true
    }

    /// Whether layers are quantized with steps that a goal, or their bits, lead to.
    var choosesSteps: Bool { quantizer == .trellis || goal != nil }

    /// Whether channels have a range or precision each.
    var separatesChannels: Bool {
        if case .fixedPoint(let choice) = quantizer { choice.scope == .channel } else { range == .channel }
    }

    /// The codecs to try for a layer.
    ///
    /// - Throws: `CodecError` for a codec that does not exist here.
    func codecs(bitDepth: Int) throws(CodecError) -> [any MediaCodec] {
        if let codec { return [try CodecRegistry.codec(codec)] }
        var specifications: [String] = []
        for medium in choosesMedium ? [.image, .video, .audio] : [medium] {
            switch medium {
            // Weights are sorted by scale where that pays.
            case .image: specifications.append("png:blocks=best")
            case .video where bitDepth > 8: specifications.append("ffv1")
            case .video: specifications += ["utvideo:pack=2", "utvideo"]
            case .audio: specifications += bitDepth > 8 ? ["flac"] : ["flac:pack=2", "flac"]
            }
        }
        if choosesMedium, let picture = effort.pictureCodec { specifications.append(picture) }
        let codecs = try specifications.map { (name) throws(CodecError) in try CodecRegistry.codec(name) }
        // Where the number of bits is free, planes of fewer suit codecs that hold pairs.
        return codecs.filter { choosesSteps || $0.description.bitDepths.contains(bitDepth) }
    }

    /// - Throws: `ArchiveError.option` for options that do not go together, `CodecError` for codecs that do not exist here.
    func validate() throws {
        let description = try codec.map { try CodecRegistry.codec($0) }?.description
        // Those that nobody named may be missing too.
        if codec == nil { _ = try codecs(bitDepth: 8) }
        if let description, description.medium != medium, !choosesMedium {
            throw ArchiveError.option(
                "codec \(description.name): expected one for \(medium.rawValue), found one for \(description.medium.rawValue)"
            )
        }
        guard (1...16).contains(bits ?? 8), bitsByName.allSatisfy({ (1...16).contains($0.bits) }) else {
            throw ArchiveError.option("--bits: expected 1 to 16 bits per weight")
        }
        if case .fixedPoint = quantizer, bits == 1 || bitsByName.contains(where: { $0.bits == 1 }) {
            throw ArchiveError.option("--bits: expected 2 to 16 bits for signed numbers, found 1")
        }
        if choosesSteps || quantizer == .exact, let description, !description.isLossless {
            let reason = choosesSteps ? "a trellis" : "--lossless"
            throw ArchiveError.option(
                "codec \(description.name): expected a lossless one, which \(reason) needs, found a lossy one")
        }
    }
}

/// How far a long operation has come.
public struct Progress: Sendable {
    /// Weights finished.
    public var done: Int
    /// Weights in all.
    public var total: Int
    /// Those of `done` that an earlier run finished.
    public var resumed = 0

    /// Progress of `done` out of `total` weights, of which `resumed` are not this run's work.
    public init(done: Int, total: Int, resumed: Int = 0) {
        self.done = done
        self.total = total
        self.resumed = resumed
    }
}

/// Receives progress, from any thread.
public typealias ProgressHandler = @Sendable (Progress) -> Void
