import Glibc

/// How often each index k occurs, by the union of the state that it was chosen in.
///
/// Indices beyond ±`reach` count at its ends: there are few, and what they cost hardly depends on which they are.
struct IndexHistogram: Sendable {
    /// Largest magnitude told apart.
    static let reach = 70
    static let size = 2 * reach + 1

    /// Counts of union 0, then those of union 1.
    private(set) var counts = [Int32](repeating: 0, count: 2 * size)

    @inline(__always)
    static func place(_ k: Int32, union: Int) -> Int {
        let inside = k < Int32(-reach) ? Int32(-reach) : k > Int32(reach) ? Int32(reach) : k
        return union * size + Int(inside) + reach
    }

    init() {}

    init(_ indices: UnsafeBufferPointer<Int32>, _ unions: UnsafeBufferPointer<UInt8>) {
        counts.withUnsafeMutableBufferPointer { counts in
            for i in indices.indices { counts[Self.place(indices[i], union: Int(unions[i]))] &+= 1 }
        }
    }

    /// What rounding to either grid would give, of some positions: a first guess at what the search will.
    init(rounding positions: UnsafeBufferPointer<Float>) {
        let stride = positions.count < 4096 ? 1 : 2
        counts.withUnsafeMutableBufferPointer { counts in
            var i = 0
            while i < positions.count {
                let limited = max(min(positions[i], 1_000_000), -1_000_000)
                counts[Self.place((limited * 0.5 + Float.roundingMagic).roundedBits, union: 0)] &+= 1
                counts[Self.place(((limited - 1) * 0.5 + Float.roundingMagic).roundedBits, union: 1)] &+= 1
                i += stride
            }
        }
    }

    /// These counts eight times, and those of more weights scaled to as many as these.
    func smoothed(by all: IndexHistogram) -> IndexHistogram {
        let own = counts.reduce(0) { $0 + Int($1) }
        let total = max(all.counts.reduce(0) { $0 + Int($1) }, 1)
        var result = self
        for i in counts.indices { result.counts[i] = 8 * counts[i] + Int32(Int(all.counts[i]) * own / total) }
        return result
    }

    /// Counts of both unions together.
    var merged: [Int32] { (0..<Self.size).map { counts[$0] &+ counts[Self.size + $0] } }

    /// Entropy of all that was counted, in bits.
    func bits(isSplit: Bool) -> Double {
        (isSplit ? [Array(counts(ofUnion: 0)), Array(counts(ofUnion: 1))] : [merged]).reduce(0) { sum, counts in
            let total = Double(counts.reduce(0) { $0 + Int($1) })
            return counts.reduce(sum) { $1 == 0 ? $0 : $0 - Double($1) * log2(Double($1) / total) }
        }
    }

    func counts(ofUnion union: Int) -> ArraySlice<Int32> { counts[union * Self.size..<(union + 1) * Self.size] }
}

/// How a codec spends bits on an index, as far as the search needs to know.
public enum RateModel: Sendable, Hashable {
    /// -log2 of its frequency: arithmetic codes, and Huffman codes of several samples in one symbol.
    case entropy
    /// A whole number of bits: a Huffman code of single samples.
    case huffman
    /// Rice's code of the magnitude, as FLAC has it.
    case rice
}

/// What the search weighs: for a weight in each unit cell between grid points, the points around it and the cost of their bits.
///
/// Positions count steps. Four subsets of the grid, numbered 2 * union + parity of k, repeat every four steps, so that each cell
/// has for each subset one point at or below and one above it.
struct RateTable {
    /// Cells on each side of 0; beyond them bits cost as much as in the last four.
    static let cells = 128

    /// For cell i: the four points at or below it, the costs of their bits, the costs of those four steps above, unused.
    let rows: [SIMD4<Float>]

    /// A table from a histogram.
    ///
    /// - Parameters:
    ///   - lambda: squared steps that one bit is worth.
    ///   - isSplit: whether each union is coded by itself.
    init(_ histogram: IndexHistogram, _ model: RateModel, lambda: Double, isSplit: Bool) {
        let bits = (0...1).map { union in
            model.bits(isSplit ? Array(histogram.counts(ofUnion: union)) : histogram.merged)
        }
        let reach = IndexHistogram.reach
        func cost(_ point: Int, _ union: Int) -> Float {
            let k = (point - union) >> 1
            return Float(lambda * bits[union][min(max(k, -reach), reach) + reach])
        }
        var rows: [SIMD4<Float>] = []
        rows.reserveCapacity(8 * Self.cells)
        for cell in -Self.cells..<Self.cells {
            var (points, below, above) = (SIMD4<Float>(), SIMD4<Float>(), SIMD4<Float>())
            for subset in 0..<4 {
                let (union, parity) = (subset >> 1, subset & 1)
                let start = cell - ((cell - 2 * parity - union) & 3)
                points[subset] = Float(start)
                below[subset] = cost(start, union)
                above[subset] = cost(start + 4, union)
            }
            rows += [points, below, above, SIMD4()]
        }
        self.rows = rows
    }
}

extension RateModel {
    /// Bits of each index of a histogram that is centered on 0; of one that did not occur, what a rare one costs.
    func bits(_ counts: [Int32]) -> [Double] {
        let total = Double(counts.reduce(0) { $0 + Int($1) })
        switch self {
        case .entropy:
            return counts.map { -log2((Double($0) + 0.1) / (total + 0.1 * Double(counts.count))) }
        case .huffman:
            let lengths = HuffmanCode.lengths(counts.map { Int($0) }, limit: 15)
            let rare = Double(min((lengths.max() ?? 0) + 2, 16))
            return lengths.map { $0 == 0 ? rare : Double($0) }
        case .rice:
            // Magnitudes zigzag: 0, -1, 1, -2, ...
            let middle = counts.count / 2
            func zigzag(_ i: Int) -> Int { i >= middle ? 2 * (i - middle) : 2 * (middle - i) - 1 }
            let costs = (0...5).map { parameter in
                counts.indices.map { Double(1 + parameter + zigzag($0) >> parameter) }
            }
            return costs.min { a, b in
                zip(a, counts).reduce(0) { $0 + $1.0 * Double($1.1) }
                    < zip(b, counts).reduce(0) { $0 + $1.0 * Double($1.1) }
            } ?? []
        }
    }
}
