/// What gives the planes of a trellis quantizer back as weights: the step, the trellis, and the classes by which weights are
/// sorted.
///
/// A weight is (2 * (k + c) + u) * step, with k from the planes, c its center or prediction, u the union of the trellis's state and
/// the step of its channel; the arithmetic is binary64 with one rounding to the weight's type. Weights follow each other as `WeightOrder` says; after every
/// `runLength` weights, in predicted layers after every place, the state is 0.
public struct TrellisCodebook: Sendable {
    /// Half the distance between neighboring points of one union, in the weights' unit; a binary32 number.
    public let step: Float
    /// How much finer the steps of channels are.
    let finer: ChannelSteps
    /// The step of each channel; none where all channels have the layer's.
    let channelSteps: [Float]
    /// The trellis.
    public let trellis: Trellis
    /// The classes by which weights are sorted (`WeightOrder`): of channels, then perhaps of places within them; or none.
    public let classes: [UInt8]
    /// By what weights are sorted; `nil` for channel by channel, as they are.
    public let sorting: Sorting?
    /// What weights lie around, in indices.
    public let centers: WeightCenters
    /// What predicts weights; then there are neither classes nor centers.
    public let prediction: WeightPrediction?

    /// Weights after which the trellis begins anew.
    public static let runLength = TrellisSearch.runLength

    /// By what weights are sorted.
    public enum Sorting: String, Sendable, Codable {
        /// Whole channels, by their classes.
        case channels
        /// Weights, by the sum of the classes of channel and place.
        case both
    }

    /// Whether channels have steps of their own.
    public var hasChannelSteps: Bool { !channelSteps.isEmpty }

    init(step: Float, finer: ChannelSteps, trellis: Trellis, prediction: WeightPrediction) {
        (self.step, self.trellis, self.prediction) = (step, trellis, prediction)
        (self.finer, channelSteps) = (finer, finer.steps(step))
        (classes, sorting, centers) = ([], nil, .none)
    }

    init(
        step: Float, finer: ChannelSteps, trellis: Trellis, _ geometry: LayerGeometry, classes: [UInt8],
        centers: WeightCenters
    ) {
        prediction = nil
        self.step = step
        (self.finer, channelSteps) = (finer, finer.steps(step))
        self.trellis = trellis
        self.classes = classes
        self.centers = centers
        sorting = classes.isEmpty ? nil : classes.count == geometry.channels.count ? .channels : .both
    }

    /// The bytes that a packed file stores: the step, how much finer those of channels are, the classes, the centers, the
    /// coefficients.
    public var serialized: [UInt8] {
        let signed = centers.values + (prediction?.coefficients ?? [])
        return (0..<4).map { UInt8(truncatingIfNeeded: step.bitPattern >> (8 * $0)) } + finer.octaves + classes
            + signed.map { UInt8(bitPattern: $0) }
    }

    /// Of `serialized`, the bytes for each channel of the layer; the others do not grow with channels.
    public var bytesPerChannel: Int {
        (finer.octaves.isEmpty ? 0 : 1) + (classes.isEmpty ? 0 : 1) + (centers.axis == .channels ? 1 : 0)
            + (prediction?.order ?? 0)
    }

    /// A codebook from a packed file.
    ///
    /// - Parameters:
    ///   - hasChannelSteps: whether channels have steps of their own.
    ///   - prediction: order and lag of a predicted layer, which has neither classes nor centers.
    /// - Throws: `MapperError.parameters` when the bytes are not exactly those of such a codebook.
    public init(
        states: Int, hasChannelSteps: Bool = false, sorting: Sorting?, centers axis: WeightCenters.Axis?,
        prediction: (order: Int, lag: Int)? = nil,
        _ bytes: Span<UInt8>, geometry: LayerGeometry
    ) throws(MapperError) {
        guard prediction == nil || sorting == nil && axis == nil else {
            throw .parameters(expected: "neither classes nor centers in a predicted layer", found: "them")
        }
        guard !hasChannelSteps || WeightOrder.canSort(geometry) else {
            throw .parameters(
                expected: "whole channels, which have steps of their own", found: "\(geometry.count) weights")
        }
        let trellis = try Trellis.known(states: states)
        let length = WeightOrder.channelLength(geometry)
        let classCount =
            switch sorting {
            case nil: 0
            case .channels: geometry.channels.count
            case .both: geometry.channels.count + length
            }
        let orders = min(max(prediction?.order ?? 0, 0), WeightPrediction.mostOrders)
        let signedCount = WeightCenters.count(axis, geometry) + orders * geometry.channels.count
        let finerCount = hasChannelSteps ? geometry.channels.count : 0
        let expected = 4 + finerCount + classCount + signedCount
        guard bytes.count == expected else {
            throw .parameters(
                expected: "\(expected) bytes of steps, classes, centers and coefficients", found: "\(bytes.count)")
        }
        let step = Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[$1]) << UInt32(8 * $1) })
        guard step.isFinite, step > 0 else { throw .parameters(expected: "a step above 0", found: "\(step)") }
        self.step = step
        self.trellis = trellis
        self.sorting = sorting
        finer = ChannelSteps(octaves: (4..<4 + finerCount).map { bytes[$0] })
        channelSteps = finer.steps(step)
        classes = (4 + finerCount..<4 + finerCount + classCount).map { bytes[$0] }
        let signed = (expected - signedCount..<expected).map { Int8(bitPattern: bytes[$0]) }
        centers = WeightCenters(axis: axis, values: prediction == nil ? signed : [])
        guard let prediction else {
            self.prediction = nil
            return
        }
        self.prediction = try WeightPrediction(order: prediction.order, lag: prediction.lag, signed, geometry)
    }
}
