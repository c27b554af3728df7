/// What of a layer has a precision of its own.
public enum PrecisionScope: Hashable, Sendable, LosslessStringConvertible {
    /// The layer.
    case layer
    /// Each output channel, gate row or embedding row.
    case channel
    /// So many inputs of a channel, as they follow each other in memory, at least 1; the last block of a channel may be short.
    case block(Int)

    /// `layer`, `channel`, or `group:K` for blocks of K inputs.
    public init?(_ description: String) {
        switch description {
        case "layer": self = .layer
        case "channel": self = .channel
        default:
            guard description.hasPrefix("group:"), let inputs = Int(description.dropFirst(6)), inputs > 0 else {
                return nil
            }
            self = .block(inputs)
        }
    }

    public var description: String {
        switch self {
        case .layer: "layer"
        case .channel: "channel"
        case .block(let inputs): "group:\(inputs)"
        }
    }
}

/// The groups of a tensor's values that have a precision each: the groups of the claims' third granularity.
///
/// Value number j in memory belongs to channel c = floor(j / inner) mod C and is that channel's value number
/// p = floor(j / (inner * C)) * inner + j mod inner; its group is number floor(p / block) * C + c.
public struct PrecisionGroups: Hashable, Sendable {
    /// Channels C, at least 1.
    public let channels: Int
    /// Values that follow each other in memory before the channel changes, at least 1.
    public let inner: Int
    /// Values of a channel in one group, at least 1.
    public let block: Int
    /// Groups of each channel.
    public let blocks: Int
    /// Values of the tensor.
    public let valueCount: Int

    /// The groups of a layer's weights.
    public init(_ geometry: LayerGeometry, _ scope: PrecisionScope) {
        let channels = geometry.channels
        switch scope {
        case .layer: self.init(valueCount: geometry.count)
        case .channel: self.init(valueCount: geometry.count, channels: channels.count, inner: channels.inner)
        case .block(let inputs):
            self.init(valueCount: geometry.count, channels: channels.count, inner: channels.inner, block: inputs)
        }
    }

    /// The groups of activations, gradients or any tensor that is `[outer, channels, inner]` in memory.
    ///
    /// - Parameters:
    ///   - valueCount: values of the tensor, `outer * channels * inner`.
    ///   - channels: channels, at least 1; 1 for a tensor without.
    ///   - inner: values that follow each other in memory before the channel changes; `nil` when each channel is one run.
    ///   - block: values of a channel in one group, at least 1; `nil` for one group a channel.
    public init(valueCount: Int, channels: Int = 1, inner: Int? = nil, block: Int? = nil) {
        let channels = max(channels, 1)
        let inner = max(inner ?? (valueCount + channels - 1) / channels, 1)
        precondition(valueCount >= 0 && inner <= max(valueCount, 1) && channels <= max(valueCount, 1))
        let row = inner * channels
        let rows = max((valueCount + row - 1) / row, 1)
        let perChannel = rows * inner
        self.channels = channels
        self.inner = inner
        self.block = min(max(block ?? perChannel, 1), perChannel)
        blocks = (perChannel + self.block - 1) / self.block
        self.valueCount = valueCount
    }

    /// Number of groups.
    public var count: Int { channels * blocks }

    /// Group of the value with that number in memory.
    public func group(of value: Int) -> Int {
        let place = value / (inner * channels) * inner + value % inner
        return place / block * channels + value / inner % channels
    }

    /// Number of values of a group; the last one of a channel may be short, and where values end within a row, that of some
    /// channels.
    func valueCount(of group: Int) -> Int {
        let row = inner * channels
        let rest = min(max(valueCount % row - group % channels * inner, 0), inner)
        let ofChannel = valueCount / row * inner + rest
        return min(max(ofChannel - group / channels * block, 0), block)
    }

    /// Whether neighbors in memory belong to different channels, so that a run of values takes a group each.
    var isInterleaved: Bool { inner == 1 && channels > 1 }

    /// Splits a range of values, numbered in memory order, where the group changes.
    ///
    /// - Parameter body: receives a run of values and its group; with `isInterleaved` the group of its first value, and each
    ///   further value's is the next.
    @inline(__always)
    func forEachRun(in range: Range<Int>, _ body: (Range<Int>, Int) -> Void) {
        var position = range.lowerBound
        if isInterleaved {
            while position < range.upperBound {
                let channel = position % channels
                let end = min(position - channel + channels, range.upperBound)
                body(position..<end, position / channels / block * channels + channel)
                position = end
            }
            return
        }
        while position < range.upperBound {
            let run = position / inner
            let end = min((run + 1) * inner, range.upperBound)
            let channel = run % channels
            // The place within the channel.
            let place = run / channels * inner + position % inner
            var group = place / block * channels + channel
            var left = block - place % block
            while position < end {
                let next = min(position + left, end)
                body(position..<next, group)
                position = next
                group += channels
                left = block
            }
        }
    }
}
