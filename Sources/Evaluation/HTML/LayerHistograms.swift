import WeightArchive
import WeightMapper

/// How the restored weights of a layer are distributed, and how its bins are used.
struct LayerHistograms: Sendable {
    /// Columns of equal width over the range that all but the rarest weights lie in.
    struct Weights: Sendable, Equatable {
        /// Weight at the left end of the first column and at the right end of the last.
        var low, high: Double
        /// Weights in each column.
        var columns: [Int]
        /// Smallest and largest weight.
        var smallest, largest: Double
        /// Weights left and right of the columns.
        var below, above: Int
    }

    /// Weights in each bin, or in each run of `binsPerColumn` of them.
    let bins: [Int]
    let binsPerColumn: Int
    let weights: Weights

    /// The most columns of a histogram of bins.
    static let binColumns = 256
    /// Columns of a histogram of weights.
    static let weightColumns = 96

    init(_ layer: DecodedLayer) {
        bins = Self.countBins(layer)
        binsPerColumn = (1 << layer.bits) / bins.count
        weights = Self.countWeights(layer)
    }

    private static func countBins(_ layer: DecodedLayer) -> [Int] {
        func count<Bin: BinScalar>(_: Bin.Type) -> [Int] {
            var counts = [Int](repeating: 0, count: min(1 << layer.bits, binColumns))
            let shift = max(layer.bits - 8, 0)
            let last = counts.count - 1
            counts.withUnsafeMutableBufferPointer { counts in
                for bin in layer.bins.bindMemory(to: Bin.self) { counts[min(Int(bin) >> shift, last)] += 1 }
            }
            return counts
        }
        return layer.bits > 8 ? count(UInt16.self) : count(UInt8.self)
    }

    private static func countWeights(_ layer: DecodedLayer) -> Weights {
        var (smallest, largest) = (Double.infinity, -Double.infinity)
        layer.forEachChunkOfWeights { chunk in
            for i in chunk.indices {
                smallest = min(smallest, chunk[i])
                largest = max(largest, chunk[i])
            }
        }
        // Fine cells first: which of them hold the rare outliers, that would squeeze all others into one column?
        let cells = 128 * weightColumns
        let scale = Double(cells) / (largest - smallest)
        // One value, or values so near or far that their distance cannot be divided.
        guard scale.isNormal else {
            return Weights(
                low: smallest, high: largest, columns: [layer.count], smallest: smallest, largest: largest, below: 0,
                above: 0)
        }
        var fine = [Int](repeating: 0, count: cells)
        fine.withUnsafeMutableBufferPointer { fine in
            layer.forEachChunkOfWeights { chunk in
                for i in chunk.indices { fine[min(Int((chunk[i] - smallest) * scale), cells - 1)] += 1 }
            }
        }
        let rare = layer.count / 2000
        var (first, below, end, above) = (0, 0, cells, 0)
        while below + fine[first] <= rare {
            below += fine[first]
            first += 1
        }
        while above + fine[end - 1] <= rare {
            above += fine[end - 1]
            end -= 1
        }
        // Columns of whole cells, or their heights would differ by what falls to each.
        let width = max((end - first + weightColumns - 1) / weightColumns, 1)
        let start = max(min(first, cells - width * weightColumns), 0)
        let columns = (0..<weightColumns).map { column in
            fine[min(start + column * width, cells)..<min(start + (column + 1) * width, cells)].reduce(0, +)
        }
        return Weights(
            low: smallest + Double(start) / scale, high: smallest + Double(start + width * weightColumns) / scale,
            columns: columns, smallest: smallest, largest: largest, below: fine[..<start].reduce(0, +),
            above: fine[min(start + width * weightColumns, cells)...].reduce(0, +))
    }
}

/// The intervals that a layer's channels were quantized in.
struct RangeSummary: Sendable, Equatable {
    let count: Int
    /// Widths Wmax - Wmin.
    let narrowest, median, widest: Double

    /// - Returns: `nil` for no channels.
    init?(_ ranges: ChannelRanges) {
        let widths = zip(ranges.lows, ranges.highs).map { $1 - $0 }.sorted()
        guard let narrowest = widths.first, let widest = widths.last else { return nil }
        count = widths.count
        self.narrowest = narrowest
        self.widest = widest
        median = widths[widths.count / 2]
    }
}
