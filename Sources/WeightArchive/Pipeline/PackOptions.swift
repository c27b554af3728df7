import Codecs
import WeightMapper

/// What to do with a tensor that holds NaN or infinities.
public enum NonFinitePolicy: String, Sendable, CaseIterable {
    /// Refuse the model.
    case error
    /// Keep the tensor exactly as it is.
    case exact
}

/// How a model is packed.
public struct PackOptions: Sendable {
    /// What the weights become.
    public var medium: Medium = .image
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
    /// Where weights are put back.
    public var reconstruction: Reconstruction = .middle
    /// What to do with NaN and infinities.
    public var nonFinite: NonFinitePolicy = .error
    /// (Bin, Bout) or (Bfin, Bfout, Bx, By) of the video frames, cut down to each layer; `nil` for a good default.
    public var block: BlockShape?
    /// Jobs that run at the same time; the packed file does not depend on it.
    public var threads = 1
    /// Whether an existing output is replaced.
    public var force = false

    /// The defaults: lossless PNG images of 8-bit bins with ranges by channel.
    public init() {}
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
