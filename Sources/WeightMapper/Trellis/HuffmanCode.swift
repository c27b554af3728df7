/// Lengths of Huffman codes, to foresee what codecs that use them will spend; no code is ever made here.
enum HuffmanCode {
    /// Bits of each symbol's code word: of a Huffman code, with the longest shortened to `limit` as deflate demands; 0 for symbols
    /// that do not occur.
    ///
    /// - Complexity: O(n log n) in the number of symbols.
    static func lengths(_ counts: [Int], limit: Int) -> [Int] {
        let leaves = counts.indices.filter { counts[$0] > 0 }.sorted { (counts[$0], $0) < (counts[$1], $1) }
        var lengths = [Int](repeating: 0, count: counts.count)
        guard leaves.count > 1 else {
            for leaf in leaves { lengths[leaf] = 1 }
            return lengths
        }
        // Two queues, both rising: the leaves, and the nodes that join the two lightest.
        var weights = leaves.map { counts[$0] }
        var parents = [Int](repeating: 0, count: 2 * leaves.count - 1)
        var leaf = 0
        var node = leaves.count
        func next() -> Int {
            let isLeaf = leaf < leaves.count && (node >= weights.count || weights[leaf] <= weights[node])
            defer { if isLeaf { leaf += 1 } else { node += 1 } }
            return isLeaf ? leaf : node
        }
        while weights.count < parents.count {
            let (a, b) = (next(), next())
            parents[a] = weights.count
            parents[b] = weights.count
            weights.append(weights[a] + weights[b])
        }
        var depths = [Int](repeating: 0, count: parents.count)
        for i in stride(from: parents.count - 2, through: 0, by: -1) { depths[i] = depths[parents[i]] + 1 }
        for (i, symbol) in leaves.enumerated() { lengths[symbol] = min(depths[i], limit) }
        return lengths
    }

    /// What a code takes, in bits.
    struct Bits {
        /// Of all symbols.
        var symbols = 0
        /// Of the lengths of code words, which a decoder needs.
        var table = 0

        var all: Int { symbols + table }
    }

    /// Bits with Ut Video's table of 256 lengths.
    static func frameBits(_ counts: [Int]) -> Bits {
        Bits(symbols: zip(counts, lengths(counts, limit: 24)).reduce(0) { $0 + $1.0 * $1.1 }, table: 8 * 256)
    }

    /// Bits with deflate's table of lengths.
    static func deflateBits(_ counts: [Int]) -> Bits {
        let lengths = lengths(counts, limit: 15)
        // Run lengths of zeros, and about 3 bits for each length that differs from the one before.
        var table = 14 + 17 * 3 / 2
        var last = -1
        for length in lengths where length != last || length > 0 {
            table += length == last ? 2 : length == 0 ? 7 : 4
            last = length
        }
        return Bits(symbols: zip(counts, lengths).reduce(0) { $0 + $1.0 * $1.1 }, table: table)
    }
}
