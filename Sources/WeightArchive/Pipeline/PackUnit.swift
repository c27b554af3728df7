import Codecs
import ModelFiles
import WeightMapper

/// What is packed, and taken up again after a stop, as one: layers of bins that share streams, one layer of planes, or that layer in
/// several models of a series.
enum PackUnit: Sendable {
    case group(StreamGroup)
    case layer(LayerJob)
    case film(FilmJob)

    /// Layers of planes.
    var jobs: [LayerJob] {
        switch self {
        case .group: []
        case .layer(let job): [job]
        case .film(let film): film.layers
        }
    }

    /// Indexes of its tensors in the selection.
    var tensors: [Int] {
        switch self {
        case .group(let group): group.layers.map(\.tensor)
        case .layer, .film: jobs.map(\.tensor)
        }
    }

    /// Weights of all its layers.
    var weightCount: Int {
        switch self {
        case .group(let group): group.weightCount
        case .layer, .film: jobs.reduce(0) { $0 + $1.geometry.count }
        }
    }

    /// A good guess at the memory that packing it needs, in bytes.
    var memory: Int {
        switch self {
        case .group(let group): group.memory
        case .layer(let job): job.memory
        case .film(let film): film.memory
        }
    }
}

/// What coding a unit gives.
struct CodedUnit {
    var layers: [GroupRecord.Layer] = []
    /// The layers with means of what a lossy codec decoded, where these may pay.
    var corrected: [GroupRecord.Layer]?
    var streams: [[UInt8]] = []

    /// Bytes of the streams, each with its headers in the archive and its line in the manifest.
    var size: Int { streams.reduce(0) { $0 + $1.count + CodedLayer.bytesBesideStream } }
}

/// A layer that becomes planes.
struct LayerJob: Sendable {
    /// Index of the tensor in the selection.
    let tensor: Int
    let name: String
    let geometry: LayerGeometry
    var quantizer: LayerQuantizer
    /// Codecs to try; the smallest result is taken.
    let codecs: [any MediaCodec]
    /// The sub-block of a video's frames; `nil` for a good default.
    let block: BlockShape?

    /// Weights, indices with their unions, planes, restored weights and streams.
    var memory: Int { geometry.count * 16 }

    /// The same for another tensor: a part of this one.
    func with(tensor: Int, _ geometry: LayerGeometry) -> LayerJob {
        LayerJob(tensor: tensor, name: name, geometry: geometry, quantizer: quantizer, codecs: codecs, block: block)
    }
}

/// How the weights of a layer become planes.
enum LayerQuantizer: Hashable, Sendable {
    case uniform(bits: Int, RangeScope, Reconstruction)
    case fixedPoint(FixedPointJob)
    case trellis(step: Float, Effort)
    /// Equal steps as wide as no error exceeds this.
    case bounded(error: Float, Effort)
    /// None: every bit comes back.
    case exact(against: BaseTensor?)

    /// Whether every bit comes back.
    var isExact: Bool {
        if case .exact = self { true } else { false }
    }

    /// What a layer is packed against.
    var base: BaseTensor? {
        if case .exact(let base) = self { base } else { nil }
    }
}

/// The units that were planned, with those that are packed.
struct FinishedUnits: Sendable {
    let units: [PackUnit]
    var entries: [PackJournal.Entry?]

    init(_ units: [PackUnit]) {
        self.units = units
        entries = Array(repeating: nil, count: units.count)
    }

    /// Weights of all units.
    var weightCount: Int { units.reduce(0) { $0 + $1.weightCount } }

    /// Weights of the units that are packed.
    var finishedCount: Int { zip(units, entries).reduce(0) { $0 + ($1.1 == nil ? 0 : $1.0.weightCount) } }
}
