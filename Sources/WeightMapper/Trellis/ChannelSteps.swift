import Glibc

/// How much finer than the layer's step the steps of some channels are, so that none of them is lost.
///
/// The least squared error for the bits leaves nothing of a channel (an output, a gate's row, an embedding's row) whose weights are
/// far smaller than the step. The network then loses a feature, or a word its direction. Of such a channel the largest weight stays,
/// in steps short enough for it: that costs some 30 bits, where steps that keep more of such channels were measured to cost 0.05
/// bits for every weight of a network.
struct ChannelSteps: Sendable, Hashable {
    /// One for each channel: the octaves by which its step is finer; none where all channels have the layer's.
    private(set) var octaves: [UInt8] = []

    /// All channels have the layer's step.
    static let alike = ChannelSteps()

    private init() {}

    /// From a packed file.
    init(octaves: [UInt8]) { self.octaves = octaves }

    /// Makes the steps of some channels so short that a search will not make their largest weight 0.
    ///
    /// - Parameters:
    ///   - channels: those that a search made 0.
    ///   - largest: the largest magnitude of each channel of the layer, in the layer's steps.
    ///   - step: the layer's.
    /// - Returns: those whose steps became shorter: all but those of numbers near the least of binary32.
    mutating func shorten(_ channels: [Int], largest: [Float], step: Float) -> [Int] {
        var next = octaves.isEmpty ? [UInt8](repeating: 0, count: largest.count) : octaves
        let shortened = channels.filter { channel in
            let wanted = (log2(EndangeredChannels.safe) - log2(largest[channel])).rounded(.up)
            guard next[channel] == 0, wanted < log2(step) - log2(.leastNonzeroMagnitude) - 4, wanted < 256 else {
                return false
            }
            next[channel] = UInt8(max(wanted, 1))
            return true
        }
        if !shortened.isEmpty { octaves = next }
        return shortened
    }

    /// The step of each channel, a binary32 number; none where all channels have the layer's.
    func steps(_ step: Float) -> [Float] { octaves.map { Float(Double(step) * exp2(-Double($0))) } }
}

/// Channels of a layer that a search may make 0 though they are not.
struct EndangeredChannels {
    /// Largest magnitude of each channel of the layer, in steps; none where none is watched.
    private(set) var largest: [Float] = []
    /// Those that are endangered.
    private(set) var channels: [Int] = []

    /// A weight of so many steps costs more as 0 than any bits that save it.
    static let safe: Float = 4

    /// No channel is watched.
    static let none = EndangeredChannels()

    private init() {}

    /// - Parameter positions: weights in steps, channel by channel; channels that are not whole, as a folded layer's, are not watched.
    init(_ positions: [Float], _ geometry: LayerGeometry) {
        guard WeightOrder.canSort(geometry) else { return }
        let length = WeightOrder.channelLength(geometry)
        positions.withUnsafeBufferPointer { positions in
            for start in stride(from: 0, to: positions.count, by: max(length, 1)) {
                var most = SIMD8<Float>()
                var i = 0
                while i + 8 <= length {
                    let part = UnsafeRawPointer(positions.baseAddress.unsafelyUnwrapped + start + i)
                        .loadUnaligned(as: SIMD8<Float>.self)
                    most = pointwiseMax(most, pointwiseMax(part, -part))
                    i += 8
                }
                var largest = most.max()
                while i < length {
                    largest = max(largest, positions[start + i].magnitude)
                    i += 1
                }
                self.largest.append(largest)
            }
        }
        channels = largest.indices.filter { largest[$0] > 0 && largest[$0] < Self.safe }
    }

    /// Those of which no weight is left.
    ///
    /// - Parameter points: of each weight in its order, without the centers.
    func lost(_ order: WeightOrder, _ centers: WeightCenters, points: [Int32]) -> [Int] {
        guard !channels.isEmpty else { return [] }
        var isLost = [Bool](repeating: false, count: largest.count)
        for channel in channels { isLost[channel] = true }
        order.forEachRun { first, length in
            guard isLost[first.channel] else { return }
            for i in 0..<length {
                let center = centers.value(channel: first.channel, column: first.column &+ i)
                guard points[first.number &+ i] &+ 2 &* center != 0 else { continue }
                isLost[first.channel] = false
                return
            }
        }
        return channels.filter { isLost[$0] }
    }
}

extension WeightOrder {
    /// Leaves of some channels the largest weight, in steps of their own.
    ///
    /// - Parameters:
    ///   - weights: in memory order.
    ///   - steps: of all channels.
    ///   - positions: all weights in steps, in this order.
    /// - Returns: the runs of the trellis in which the channels lie.
    func keepLargest(
        of channels: [Int], _ weights: [Float], _ centers: WeightCenters, _ steps: [Float],
        in positions: inout [Float]
    ) -> [Int] {
        var isChosen = [Bool](repeating: false, count: steps.count)
        for channel in channels { isChosen[channel] = true }
        var largest = [(number: Int, weight: Float)](repeating: (0, 0), count: steps.count)
        var isChanged = [Bool](repeating: false, count: ceilDivide(positions.count, TrellisSearch.runLength))
        forEachRun { first, length in
            guard isChosen[first.channel] else { return }
            for i in 0..<length {
                let (number, weight) = (first.number &+ i, weights[first.offset &+ i])
                positions[number] = -2 * Float(centers.value(channel: first.channel, column: first.column &+ i))
                isChanged[number / TrellisSearch.runLength] = true
                guard weight.magnitude > largest[first.channel].weight.magnitude else { continue }
                largest[first.channel] = (number, weight)
            }
        }
        for channel in channels { positions[largest[channel].number] += largest[channel].weight / steps[channel] }
        return isChanged.indices.filter { isChanged[$0] }
    }
}
