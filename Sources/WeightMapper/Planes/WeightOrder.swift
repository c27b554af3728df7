/// The order in which the weights of a layer become samples: channel by channel (output channels, gate rows, embedding rows), and
/// weights of like scale together where that pays.
///
/// Each channel may have a class, and so may each place within the channels (an input, a place of a kernel). With classes of
/// channels alone, whole channels follow each other by class within the matrix (gate, direction) that they belong to, so that pictures
/// stay those of the layer. With classes of both, weights follow each other by the sum of both classes, then channel by channel. An
/// entropy coder that adapts, as deflate does block by block, then spends less. The weights of predicted layers follow each other
/// place by place instead, and have no classes.
public struct WeightOrder: Sendable {
    /// Channels in memory.
    public let channels: LayerGeometry.Channels
    /// Number of weights.
    public let count: Int
    /// Classes of places, if any.
    fileprivate let columnClasses: [UInt8]
    fileprivate let channelClasses: [UInt8]
    /// The channel that comes at each place.
    fileprivate let sequence: [Int]
    /// Runs of `channels.inner` neighbors that a channel has.
    private let outer: Int
    private let isByPlaces: Bool

    /// Weights of each channel, but for a folded layer's last.
    static func channelLength(_ geometry: LayerGeometry) -> Int {
        let channels = geometry.channels
        return channels.count > 0 ? ceilDivide(geometry.count, channels.count * channels.inner) * channels.inner : 0
    }

    /// Whether classes can be given to a layer: a folded one's last row may be short.
    static func canSort(_ geometry: LayerGeometry) -> Bool {
        channelLength(geometry) * geometry.channels.count == geometry.count
    }

    /// The order of a layer's weights.
    ///
    /// - Parameters:
    ///   - geometry: the layer.
    ///   - classes: one for each channel; then, if weights are sorted by both, one for each place in a channel; or none.
    /// - Throws: `MapperError.parameters` for another number of classes.
    public init(_ geometry: LayerGeometry, classes: ArraySlice<UInt8> = []) throws(MapperError) {
        channels = geometry.channels
        count = geometry.count
        let (channelCount, length) = (channels.count, Self.channelLength(geometry))
        outer = length / max(channels.inner, 1)
        isByPlaces = false
        let isSorted = !classes.isEmpty
        guard !isSorted || Self.canSort(geometry) && [channelCount, channelCount + length].contains(classes.count)
        else {
            throw .parameters(
                expected: "classes of \(channelCount) channels, or of \(length) places too", found: "\(classes.count)")
        }
        channelClasses = Array(classes.prefix(channelCount))
        columnClasses = Array(classes.dropFirst(channelCount))
        guard isSorted, columnClasses.isEmpty else {
            sequence = Array(0..<channelCount)
            return
        }
        let perMatrix = geometry.channelsPerMatrix
        // One number each sorts faster than three.
        let keys = channelClasses
        sequence = (0..<channelCount).map { ($0 / perMatrix * 256 + Int(keys[$0])) * channelCount + $0 }.sorted().map {
            $0 % channelCount
        }
    }

    /// Place by place, all channels' weights of one after each other.
    static func byPlaces(_ geometry: LayerGeometry) -> WeightOrder { WeightOrder(byPlaces: geometry) }

    private init(byPlaces geometry: LayerGeometry) {
        precondition(Self.canSort(geometry))
        channels = geometry.channels
        count = geometry.count
        (channelClasses, columnClasses) = ([], [])
        sequence = Array(0..<channels.count)
        outer = Self.channelLength(geometry) / max(channels.inner, 1)
        isByPlaces = true
    }

    /// Whether the order is that of memory.
    public var isMemoryOrder: Bool {
        !isByPlaces && columnClasses.isEmpty && outer <= 1 && sequence.elementsEqual(0..<sequence.count)
    }

    /// Whether pictures of the layer still show its rows and columns.
    public var keepsPictures: Bool { columnClasses.isEmpty && !isByPlaces }

    /// A weight, or the first of a run of neighbors.
    struct Place {
        /// Its number in this order.
        let number: Int
        /// Its offset in memory.
        let offset: Int
        /// Its channel, and its place within the channel.
        let channel, column: Int
    }

    /// Calls `body` with runs of weights that are neighbors in memory, in their channel, and in this order.
    @inline(__always)
    func forEachRun(_ body: (_ first: Place, _ length: Int) -> Void) {
        guard columnClasses.isEmpty else { return forEachSorted { body($0, 1) } }
        guard !isByPlaces else { return forEachByPlace { body($0, 1) } }
        var number = 0
        for channel in sequence {
            for block in 0..<outer where number < count {
                let length = min(channels.inner, count - number)
                let offset = (block * channels.count + channel) * channels.inner
                body(
                    Place(number: number, offset: offset, channel: channel, column: block * channels.inner), length)
                number += length
            }
        }
    }

    @inline(__always)
    private func forEachByPlace(_ body: (Place) -> Void) {
        var number = 0
        for column in 0..<outer * channels.inner {
            let (block, i) = column.quotientAndRemainder(dividingBy: channels.inner)
            for channel in 0..<channels.count {
                let offset = (block &* channels.count &+ channel) &* channels.inner &+ i
                body(Place(number: number, offset: offset, channel: channel, column: column))
                number &+= 1
            }
        }
    }

    /// Where the weights of each sum of classes begin.
    fileprivate var starts: [Int] {
        var rows = [Int](repeating: 0, count: 256)
        var columns = rows
        for value in channelClasses { rows[Int(value)] += 1 }
        for value in columnClasses { columns[Int(value)] += 1 }
        var starts = [Int](repeating: 0, count: 512)
        for (row, many) in rows.enumerated() where many > 0 {
            for (column, times) in columns.enumerated() where times > 0 { starts[row + column] += many * times }
        }
        var sum = 0
        for place in starts.indices {
            (starts[place], sum) = (sum, sum + starts[place])
        }
        return starts
    }

    /// Calls `body` with each weight, channel by channel, where both have classes.
    @inline(__always)
    private func forEachSorted(_ body: (Place) -> Void) {
        var next = starts
        next.withUnsafeMutableBufferPointer { next in
            columnClasses.withUnsafeBufferPointer { columns in
                for channel in 0..<channels.count {
                    let row = Int(channelClasses[channel])
                    for block in 0..<outer {
                        let offset = (block &* channels.count &+ channel) &* channels.inner
                        let first = block &* channels.inner
                        for i in 0..<channels.inner {
                            let value = row &+ Int(columns[first &+ i])
                            let number = next[value]
                            next[value] = number &+ 1
                            body(Place(number: number, offset: offset &+ i, channel: channel, column: first &+ i))
                        }
                    }
                }
            }
        }
    }
}

extension WeightOrder {
    /// Weights of a channel where channels follow each other in memory, the last perhaps with fewer; else `nil`.
    var channelsInMemory: Int? { !isByPlaces && outer <= 1 ? channels.inner : nil }

    /// Finds the weights of channels, one channel after the other.
    struct Gathering {
        /// Weights of a channel, of which the last may have fewer.
        let length: Int
        private let count: Int
        /// Where each channel begins in the order; where both are sorted, its class.
        private let starts: [Int]
        /// Where both are sorted: places by rising class, and for each class that occurs its number and its places.
        private let places: [UInt32]
        private let columns: [(value: Int, places: Range<Int>)]
        /// Where the next weights of each sum of classes are.
        private var next: [Int]

        /// - Parameter order: one that is not place by place.
        init(_ order: WeightOrder) {
            let length = max(order.outer, 1) * order.channels.inner
            // Only where channels follow each other in memory the last may be shorter.
            precondition(!order.isByPlaces && (order.outer <= 1 || order.count == length * order.channels.count))
            (self.length, count) = (length, order.count)
            guard !order.columnClasses.isEmpty else {
                var starts = [Int](repeating: 0, count: order.channels.count)
                for (place, channel) in order.sequence.enumerated() { starts[channel] = place * length }
                self.starts = starts
                (places, columns, next) = ([], [], [])
                return
            }
            starts = order.channelClasses.map(Int.init)
            next = order.starts
            var byClass = [[UInt32]](repeating: [], count: 256)
            for (place, value) in order.columnClasses.enumerated() { byClass[Int(value)].append(UInt32(place)) }
            var columns: [(value: Int, places: Range<Int>)] = []
            var sorted: [UInt32] = []
            for (value, places) in byClass.enumerated() where !places.isEmpty {
                columns.append((value, sorted.count..<sorted.count + places.count))
                sorted += places
            }
            (self.columns, places) = (columns, sorted)
        }

        /// Calls `body` with runs of neighbors in the order that belong to a channel.
        ///
        /// Of each it gets the number of the first, the places in the channel to which they belong unless these are the first ones,
        /// and how many they are. Channels come in turn.
        ///
        /// - Returns: how many weights the channel has.
        @inline(__always)
        mutating func forEachRun(_ channel: Int, _ body: (Int, UnsafePointer<UInt32>?, Int) -> Void) -> Int {
            let size = max(min(length, count - channel * length), 0)
            guard !columns.isEmpty else {
                body(starts[channel], nil, size)
                return size
            }
            let row = starts[channel]
            next.withUnsafeMutableBufferPointer { next in
                places.withUnsafeBufferPointer { places in
                    columns.withUnsafeBufferPointer { columns in
                        for column in columns {
                            let run = column.places
                            body(next[row &+ column.value], places.baseAddress.map { $0 + run.lowerBound }, run.count)
                            next[row &+ column.value] &+= run.count
                        }
                    }
                }
            }
            return size
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
        guard let chosen = channelAxes, let inside = axes[chosen].firstIndex(where: { !$0.role.isPicture }),
            axes[inside...chosen.upperBound].allSatisfy({ !$0.role.isPicture })
            // Axes of pictures after others would mix matrices: then the order stays.
        else { return 1 }
        return axes[inside...chosen.upperBound].reduce(1) { $0 * $1.count }
    }
}
