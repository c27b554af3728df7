import Glibc

/// Where the deflate blocks of a picture had better end: after rows where the frequencies of its bytes change.
///
/// zlib ends a block after each 32,767 symbols, wherever that is. Where the rows of a picture differ in scale, Huffman codes of
/// their own save more than the 5 bytes and the table that a block more takes: 0.02 to 0.3 bits a sample in small layers whose
/// weights are sorted by scale. Readers need to know nothing of it.
enum DeflateBlocks {
    /// Bytes of the runs of rows that are told apart, at least.
    private static let unit = 1024
    /// The most such runs.
    private static let mostUnits = 512
    /// Bits of a table's header, of a length in it, and of the end of a block.
    private static let header = 100.0
    private static let perSymbol = 3.3
    private static let end = 45.0

    /// Rows after which a block ends, rising; the last row is none.
    ///
    /// - Parameters:
    ///   - samples: one byte each, row by row.
    ///   - perByte: samples that share a byte: 1, 2 or 4.
    /// - Complexity: linear in the samples, and n log n in the runs, of which there are at most 512.
    static func ends(_ samples: UnsafeRawBufferPointer, width: Int, height: Int, perByte: Int) -> [UInt32] {
        let rowBytes = (width + perByte - 1) / perByte
        let rows = max((unit + rowBytes - 1) / rowBytes, (height + mostUnits - 1) / mostUnits)
        guard height > rows else { return [] }
        var runs: [Run] = []
        for first in stride(from: 0, to: height, by: rows) {
            let last = min(first + rows, height)
            var counts = [UInt32](repeating: 0, count: 256)
            for row in first..<last {
                count(samples, from: row * width, width: width, perByte: perByte, &counts)
            }
            runs.append(Run(counts, end: last))
        }
        // Neighbors are joined as long as that saves bits, the pair that saves most first.
        var savings = zip(runs, runs.dropFirst()).map { $0.joined(to: $1).saving }
        while let best = savings.indices.max(by: { savings[$0] < savings[$1] }), savings[best] > 0 {
            runs[best] = runs[best].joined(to: runs[best + 1]).run
            runs.remove(at: best + 1)
            savings.remove(at: best)
            if best > 0 { savings[best - 1] = runs[best - 1].joined(to: runs[best]).saving }
            if best < savings.count { savings[best] = runs[best].joined(to: runs[best + 1]).saving }
        }
        return runs.dropLast().map { UInt32($0.end) }
    }

    /// Rows with one code.
    private struct Run {
        let counts: [UInt32]
        /// The row after the last.
        let end: Int
        /// Bits of their bytes and the code's table.
        let bits: Double

        init(_ counts: [UInt32], end: Int) {
            self.counts = counts
            self.end = end
            var total = 0.0
            var sum = 0.0
            var symbols = 0.0
            for count in counts where count > 0 {
                let count = Double(count)
                total += count
                sum += count * log2(count)
                symbols += 1
            }
            bits = (total > 0 ? total * log2(total) - sum : 0) + perSymbol * symbols + header
        }

        func joined(to next: Run) -> (run: Run, saving: Double) {
            let run = Run(zip(counts, next.counts).map { $0 + $1 }, end: next.end)
            return (run, bits + next.bits + DeflateBlocks.end - run.bits)
        }
    }

    private static func count(
        _ samples: UnsafeRawBufferPointer, from start: Int, width: Int, perByte: Int, _ counts: inout [UInt32]
    ) {
        let bits = 8 / perByte
        counts.withUnsafeMutableBufferPointer { counts in
            var x = 0
            while x < width {
                var byte = 0
                for i in 0..<perByte {
                    byte = byte << bits | (x + i < width ? Int(samples[start + x + i]) : 0)
                }
                counts[byte & 255] += 1
                x += perByte
            }
        }
    }
}
