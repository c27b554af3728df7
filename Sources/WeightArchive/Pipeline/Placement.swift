import Codecs
import ModelFiles
import WeightMapper

/// Where a layer's bins are put: in pictures of one size (images and video frames) or on one track.
enum Placement: Sendable {
    case pictures(Tiling)
    case track(AudioTiling)

    /// The placement of a layer in a medium.
    ///
    /// - Parameters:
    ///   - block: for video, the sub-block of one frame; `nil` for a good default.
    ///   - isTransposed: for images, whether they lie on their side.
    init(
        _ geometry: LayerGeometry, _ medium: Medium, block: BlockShape?, isTransposed: Bool = false
    ) throws(MapperError) {
        self =
            switch medium {
            case .image: .pictures(Tiling(image: geometry, isTransposed: isTransposed))
            case .video: .pictures(try Tiling(video: geometry, block: block))
            case .audio: .track(AudioTiling(geometry))
            }
    }

    /// Width and height of a frame, in samples.
    var frameSize: (width: Int, height: Int) {
        switch self {
        case .pictures(let tiling): (tiling.frameWidth, tiling.frameHeight)
        case .track(let tiling): (tiling.sampleCount, 1)
        }
    }

    /// Number of frames.
    var frameCount: Int {
        switch self {
        case .pictures(let tiling): tiling.frameCount
        case .track: 1
        }
    }

    /// Whether the only frame holds the bins in their order, padding at its end.
    var keepsOrder: Bool {
        switch self {
        case .pictures(let tiling): tiling.keepsOrder
        case .track(let tiling): tiling.keepsOrder
        }
    }

    /// Whether pictures lie on their side.
    var isTransposed: Bool {
        if case .pictures(let tiling) = self { tiling.isTransposed } else { false }
    }

    /// Writes frame `frame` of `bins`; padding is the middle bin, which is common among weights and so costs little.
    func tile<Bin: BinScalar>(_ bins: Span<Bin>, frame: Int, bits: Int, into samples: inout MutableSpan<Bin>) {
        switch self {
        case .pictures(let tiling): tiling.tile(bins, frame: frame, padding: 1 << (bits - 1), into: &samples)
        case .track(let tiling): tiling.tile(bins, into: &samples)
        }
    }

    /// Takes the bins of frame `frame` back.
    func untile<Bin: BinScalar>(_ samples: Span<Bin>, frame: Int, into bins: inout MutableSpan<Bin>) {
        switch self {
        case .pictures(let tiling): tiling.untile(samples, frame: frame, into: &bins)
        case .track(let tiling): tiling.untile(samples, into: &bins)
        }
    }
}

/// A layer on its way through a codec.
struct PlacedLayer: Sendable {
    /// Index of the tensor in the selection or the manifest.
    let tensor: Int
    /// The tensor's name, for errors.
    let name: String
    let bits: Int
    let geometry: LayerGeometry
    let placement: Placement
    /// Whether weights are reconstructed as `Double` (float64 tensors).
    let isDouble: Bool
}

/// Layers that go through a codec together: the streams they fill hold them and nothing else, one after the other.
struct StreamGroup: Sendable {
    let codec: any MediaCodec
    let format: FrameFormat
    /// Layers in the order of their frames.
    var layers: [PlacedLayer]
    /// Frames in each stream: one a stream for images and audio, all in one for video.
    var framesOfStreams: [Int]

    var frameCount: Int { framesOfStreams.reduce(0, +) }

    /// Weights of all layers.
    var weightCount: Int { layers.reduce(0) { $0 + $1.geometry.count } }

    /// A good guess at the memory that coding the group needs, in bytes: bins, frame, decoded frame and the streams.
    var memory: Int {
        let largest = layers.map(\.geometry.count).max() ?? 0
        return (2 * largest + 2 * format.sampleCount) * format.bytesPerSample + weightCount * format.bytesPerSample
    }
}

/// Weights after which a video ends and the next begins: one video for each frame geometry would leave a core idle.
private let weightsPerVideo = 1 << 22

/// Arranges what is packed: layers of bins in the streams that they share, or every layer for itself where they become planes.
///
/// - Parameters:
///   - steps: steps of trellis quantizers by tensor, once they are known.
///   - precisions: precisions that a series gave, by tensor.
///   - bases: what tensors are packed against.
/// - Throws: `ArchiveError.layer` when a codec cannot take a layer.
func units(
    _ tensors: [SelectedTensor], _ model: ModelFile, _ options: PackOptions, steps: [Int: Float] = [:],
    precisions: [Int: GivenPrecisions] = [:], bases: [Int: BaseTensor] = [:]
) throws(ArchiveError) -> [PackUnit] {
    guard options.usesPlanes else { return try groups(tensors, options).map { .group($0) } }
    var jobs: [LayerJob] = []
    for (index, tensor) in tensors.enumerated() {
        guard let geometry = tensor.geometry else { continue }
        do {
            let quantizer: LayerQuantizer =
                if options.quantizer == .exact {
                    .exact(against: bases[index])
                } else if case .maximumError(let error) = options.goal {
                    // No more than asked for, which may lie between two numbers of `Float` or beyond all of them.
                    .bounded(error: Double(Float(error)) > error ? Float(error).nextDown : Float(error), options.effort)
                } else if options.choosesSteps {
                    .trellis(step: steps[index] ?? 1, options.effort)
                } else if case .fixedPoint(let choice) = options.quantizer {
                    .fixedPoint(
                        FixedPointJob(
                            kind: choice.kind, bits: tensor.bits, scope: choice.scope ?? .layer,
                            measure: choice.strategy.initialMeasure, given: precisions[index]))
                } else {
                    .uniform(bits: tensor.bits, options.range, options.reconstruction ?? .middle)
                }
            jobs.append(
                LayerJob(
                    tensor: index, name: tensor.record.name, geometry: geometry, quantizer: quantizer,
                    codecs: try options.codecs(bitDepth: options.choosesSteps ? 8 : tensor.bits), block: options.block))
        } catch {
            throw .layer(tensor: tensor.record.name, reason: "\(error)")
        }
    }
    return options.makesFilms ? try withFilms(jobs, tensors, model, options) : jobs.map { .layer($0) }
}

/// Arranges layers in streams: an image for each picture, a track for each layer, and for each frame geometry videos that
/// hold whole layers.
///
/// - Throws: `ArchiveError.layer` when a codec cannot take a layer.
func groups(_ tensors: [SelectedTensor], _ options: PackOptions) throws(ArchiveError) -> [StreamGroup] {
    var groups: [StreamGroup] = []
    var open: [FrameFormat: Int] = [:]
    for (index, tensor) in tensors.enumerated() {
        guard let geometry = tensor.geometry else { continue }
        let name = tensor.record.name
        do {
            let codec =
                try options.codec.map { specification in try CodecRegistry.codec(specification) }
                ?? CodecRegistry.defaultCodec(for: options.medium, bitDepth: tensor.bits)
            let placement = try Placement(
                geometry, options.medium, block: options.block?.clamped(to: geometry),
                isTransposed: geometry.suitsTransposedPictures)
            let size = placement.frameSize
            let format = try FrameFormat(width: size.width, height: size.height, bitDepth: tensor.bits)
            let layer = PlacedLayer(
                tensor: index, name: name, bits: tensor.bits, geometry: geometry, placement: placement,
                isDouble: tensor.record.dtype == .f64)
            let frames = placement.frameCount
            if options.medium == .video, let group = open[format],
                groups[group].weightCount + geometry.count <= weightsPerVideo,
                groups[group].frameCount + frames <= codec.description.maximumCount
            {
                groups[group].layers.append(layer)
                groups[group].framesOfStreams[0] += frames
                continue
            }
            open[format] = groups.count
            groups.append(
                StreamGroup(
                    codec: codec, format: format, layers: [layer],
                    framesOfStreams: options.medium == .image ? Array(repeating: 1, count: frames) : [frames]))
        } catch {
            throw .layer(tensor: name, reason: "\(error)")
        }
    }
    return groups
}
