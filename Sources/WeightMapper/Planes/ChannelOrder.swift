/// The weights of a layer channel by channel: output channels, gate rows or embedding rows one after the other, each whole.
///
/// Channels of like scale may stand together: then each has a class, and channels follow each other by class within the matrix
/// (gate, direction) that they belong to, which a picture shows. An entropy coder that adapts, as deflate does block by block,
/// then spends less.
public struct ChannelOrder: Sendable {
    /// Channels in memory.
    public let channels: LayerGeometry.Channels
    /// Number of weights.
    public let count: Int
    /// The channel that comes at each place.
    let sequence: [Int]
    /// Weights of one channel that are neighbors in memory, and how many such runs it has.
    private let outer: Int

    /// The order of a layer's channels.
    ///
    /// - Parameters:
    ///   - geometry: the layer.
    ///   - classes: one for each channel, or none for the order of memory.
    /// - Throws: `MapperError.parameters` for another number of classes.
    public init(_ geometry: LayerGeometry, classes: [UInt8] = []) throws(MapperError) {
        channels = geometry.channels
        count = geometry.count
        let channelCount = channels.count
        guard classes.isEmpty || classes.count == channelCount else {
            throw .parameters(expected: "a class for each of \(channelCount) channels", found: "\(classes.count)")
        }
        outer = channelCount > 0 ? ceilDivide(count, channelCount * channels.inner) : 0
        // A folded layer's last row may be short: it must stay last.
        guard !classes.isEmpty, outer * channelCount * channels.inner == count else {
            sequence = Array(0..<channelCount)
            return
        }
        let perMatrix = geometry.channelsPerMatrix
        sequence = (0..<channelCount).sorted {
            ($0 / perMatrix, classes[$0], $0) < ($1 / perMatrix, classes[$1], $1)
        }
    }

    /// Whether the order is that of memory.
    public var isMemoryOrder: Bool { outer <= 1 && sequence.elementsEqual(0..<sequence.count) }

    /// Weights of each channel, but for a folded layer's last.
    var channelLength: Int { outer * channels.inner }

    /// Calls `body` with the runs of weights that are neighbors in memory and in this order, for those of the order's places in
    /// `range`: place of the first in the order, offset in memory, and length.
    @inline(__always)
    func forEachRun(in range: Range<Int>, _ body: (_ place: Int, _ offset: Int, _ length: Int) -> Void) {
        guard !isMemoryOrder else { return body(range.lowerBound, range.lowerBound, range.count) }
        var place = range.lowerBound
        while place < range.upperBound {
            let rest = place % channelLength
            let inside = rest % channels.inner
            let length = min(channels.inner - inside, range.upperBound - place)
            let block = rest / channels.inner * channels.count + sequence[place / channelLength]
            body(place, block * channels.inner + inside, length)
            place += length
        }
    }

    /// Copies weights from memory order: those of the order's places in `range`.
    @specialized(where Element == Float)
    @specialized(where Element == Double)
    @specialized(where Element == UInt8)
    @specialized(where Element == UInt16)
    @specialized(where Element == UInt32)
    public func gather<Element: BitwiseCopyable>(
        _ range: Range<Int>, from memory: UnsafeBufferPointer<Element>, into target: UnsafeMutableBufferPointer<Element>
    ) {
        precondition(memory.count == count && target.count >= range.count && range.upperBound <= count)
        let start = range.lowerBound
        forEachRun(in: range) { place, offset, length in
            if length == 1 {
                target[place - start] = memory[offset]
            } else {
                _ = UnsafeMutableBufferPointer(rebasing: target[place - start..<place - start + length])
                    .update(from: UnsafeBufferPointer(rebasing: memory[offset..<offset + length]))
            }
        }
    }

    /// The inverse of `gather`.
    @specialized(where Element == Float)
    @specialized(where Element == Double)
    @specialized(where Element == UInt8)
    @specialized(where Element == UInt16)
    @specialized(where Element == UInt32)
    public func scatter<Element: BitwiseCopyable>(
        _ range: Range<Int>, from source: UnsafeBufferPointer<Element>, into memory: UnsafeMutableBufferPointer<Element>
    ) {
        precondition(memory.count == count && source.count >= range.count && range.upperBound <= count)
        let start = range.lowerBound
        forEachRun(in: range) { place, offset, length in
            if length == 1 {
                memory[offset] = source[place - start]
            } else {
                _ = UnsafeMutableBufferPointer(rebasing: memory[offset..<offset + length])
                    .update(from: UnsafeBufferPointer(rebasing: source[place - start..<place - start + length]))
            }
        }
    }
}

extension LayerGeometry {
    /// Axes of the channels; `nil` where they are not neighbors in memory or none exists.
    private var channelAxes: ClosedRange<Int>? {
        guard let first = axes.firstIndex(where: \.role.isChannel), let last = axes.lastIndex(where: \.role.isChannel),
            axes[first...last].allSatisfy(\.role.isChannel)
        else { return nil }
        return first...last
    }

    /// The layer as it would lie in memory channel by channel, in the order of its channels.
    var channelsFirst: LayerGeometry {
        guard let chosen = channelAxes, chosen.lowerBound > 0 else { return self }
        let reordered = axes[chosen] + axes[..<chosen.lowerBound] + axes[(chosen.upperBound + 1)...]
        // The product of the counts is the same.
        do { return try LayerGeometry(kind: kind, axes: Array(reordered), count: count) } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Channels that follow each other within one matrix.
    fileprivate var channelsPerMatrix: Int {
        guard let chosen = channelAxes else { return 1 }
        let isGrouped = axes[chosen].contains { !$0.role.isPicture }
        // Axes of pictures after others would mix matrices: then the order stays.
        guard isGrouped, let firstInside = axes[chosen].firstIndex(where: { !$0.role.isPicture }),
            axes[firstInside...chosen.upperBound].allSatisfy({ !$0.role.isPicture })
        else { return 1 }
        return axes[firstInside...chosen.upperBound].reduce(1) { $0 * $1.count }
    }
}
