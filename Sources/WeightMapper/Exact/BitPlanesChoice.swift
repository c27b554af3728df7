extension BitPlanes {
    /// Chooses planes for the words of floating-point numbers, by what the symbols of a sample of them would cost.
    ///
    /// - Parameters:
    ///   - mantissaBits: bits of the mantissa.
    ///   - columnCount: words in a row of the tensor; neighbors in rows, or in columns, are expected to be of like magnitude.
    /// - Returns: planes that have still to be told which symbols are constant or missing, and about what a word will cost.
    /// - Complexity: linear, about a quarter of what splitting takes.
    static func draft<Source: WordSource>(
        floats source: Source, mantissaBits: Int, columnCount: Int
    ) -> (planes: BitPlanes, bitsPerWord: Double) {
        let survey = WordSurvey(source)
        let zeroBits = min(survey.either.trailingZeroBitCount, mantissaBits)
        let scaler = MagnitudeScaler(source, survey, mantissaBits: mantissaBits)
        let sample = RowSample(count: source.count, columnCount: columnCount)
        // The high part of a 64-bit number has room for 4 bits beside the exponent; others gain nothing by more.
        let finest = min(mantissaBits - zeroBits, 4)
        var best: (cost: Int, scales: ScaleCodes, stepBits: Int, base: UInt16)?
        for scales in scaler.candidates(source, sample) {
            let counts = HighCounts(
                source, sample.thinned(by: 4), scales, lowBits: mantissaBits - finest, stepBits: finest)
            for stepBits in 0...finest {
                let (cost, base) = counts.cost(stepBits: stepBits)
                if best == nil || cost < best?.cost ?? 0 { best = (cost, scales, stepBits, base) }
            }
        }
        let stepBits = best?.stepBits ?? 0
        let lowBits = mantissaBits - stepBits
        let constants = survey.constants(lowBits: lowBits, zeroBits: zeroBits)
        let planes = BitPlanes(
            count: source.count, wordBits: Source.Word.bitWidth, lowBits: lowBits, zeroBits: zeroBits,
            stepBits: stepBits, base: best?.base ?? 0, escapeCount: 0,
            scales: best?.scales ?? .none(count: source.count), constants: constants)
        let stored = planes.sections.dropFirst().reduce(0) { $0 + ($1.start == nil ? 0 : $1.width) }
        let symbolBits = Double(best?.cost ?? 0) / Double(source.count) - Double(finest - stepBits)
        return (planes, symbolBits + Double(stored))
    }
}

/// Which bits words have in common.
struct WordSurvey<Word: WeightWord> {
    /// Bits that are set in any word.
    private(set) var either: Word = 0
    /// Bits that are set in all words.
    private(set) var both: Word = .max

    init<Source: WordSource>(_ source: Source) where Source.Word == Word {
        withScratch(wordsAtATime, of: Word.self) { words in
            for start in stride(from: 0, to: source.count, by: wordsAtATime) {
                let end = min(start + wordsAtATime, source.count)
                source.load(start..<end, into: words)
                var (any, all): (Word, Word) = (0, .max)
                for i in 0..<end - start {
                    any |= words[i]
                    all &= words[i]
                }
                either |= any
                both &= all
            }
        }
    }

    /// The number that all words have in each section, where they have one; symbols are not known yet.
    func constants(lowBits: Int, zeroBits: Int) -> [UInt8?] {
        let varying = either ^ both
        let places = BitPlanes.widths(wordBits: Word.bitWidth, lowBits: lowBits, zeroBits: zeroBits)
        return [nil]
            + places.dropFirst().map { width, shift in
                let mask = Word(truncatingIfNeeded: 1 << width - 1)
                guard varying >> Word(shift) & mask == 0 else { return nil }
                return UInt8(truncatingIfNeeded: both >> Word(shift) & mask)
            }
    }
}

/// Some rows of a tensor, spread over it.
struct RowSample {
    /// Words in a row.
    let columnCount: Int
    /// Numbers of the rows.
    let rows: [Int]
    /// Whether there are whole rows, and more than one.
    let isMatrix: Bool

    /// Words that are enough to know the rest by.
    private static let size = 1 << 18

    init(count: Int, columnCount: Int) {
        isMatrix =
            columnCount > 1 && columnCount <= ScaleCodes.longestRow && count % columnCount == 0 && count > columnCount
        self.columnCount = isMatrix ? columnCount : min(count, wordsAtATime)
        let rowCount = count / self.columnCount
        let step = max(rowCount * self.columnCount / Self.size, 1)
        rows = Array(stride(from: 0, to: rowCount, by: step))
    }

    private init(columnCount: Int, rows: [Int], isMatrix: Bool) {
        self.columnCount = columnCount
        self.rows = rows
        self.isMatrix = isMatrix
    }

    /// One of `step` rows, where there are many.
    func thinned(by step: Int) -> RowSample {
        let some = stride(from: 0, to: rows.count, by: count > Self.size / step ? step : 1).map { rows[$0] }
        return RowSample(columnCount: columnCount, rows: some, isMatrix: isMatrix)
    }

    /// Words in the sample.
    var count: Int { rows.count * columnCount }
}

/// Counts of the high parts of a sample, by class, with their scales taken out.
struct HighCounts {
    /// Words in the tensor for one in the sample.
    private let weight: Double
    private let finestStepBits: Int
    /// Number of words for each class and high part, of the finest steps.
    private var counts: [[UInt32]]
    /// Words of each class whose high part is 0.
    private var zeros: [Int]
    private let sampleCount: Int
    private let scaleCost: Int

    init<Source: WordSource>(
        _ source: Source, _ sample: RowSample, _ scales: ScaleCodes, lowBits: Int, stepBits: Int
    ) {
        let classes = scales.isTrivial ? 1 : ScaleCodes.classCount
        let mask = UInt16(1 << (Source.Word.bitWidth - 1 - lowBits) - 1)
        let largest = Int(scales.rows.max() ?? 0) + Int(scales.columns.max() ?? 0)
        let size = Int(mask) + 1 + (largest / ScaleCodes.classCount) << stepBits
        var counts = [[UInt32]](repeating: [UInt32](repeating: 0, count: size), count: classes)
        var zeros = [Int](repeating: 0, count: classes)
        withScratch(sample.columnCount, of: Source.Word.self) { words in
            for row in sample.rows {
                source.load(row * sample.columnCount..<(row + 1) * sample.columnCount, into: words)
                let rowCode = scales.rows.isEmpty ? 0 : Int(scales.rows[row])
                for column in 0..<sample.columnCount {
                    let code = rowCode + (scales.columns.isEmpty ? 0 : Int(scales.columns[column]))
                    let high = UInt16(truncatingIfNeeded: words[column] >> Source.Word(lowBits)) & mask
                    let kind = code % ScaleCodes.classCount
                    if high == 0 {
                        zeros[kind] += 1
                    } else {
                        counts[kind][Int(high &+ UInt16(code / ScaleCodes.classCount) << UInt16(stepBits))] += 1
                    }
                }
            }
        }
        self.counts = counts
        self.zeros = zeros
        finestStepBits = stepBits
        sampleCount = sample.count
        weight = Double(source.count) / Double(max(sample.count, 1))
        scaleCost = codeCost(scales.rows) + codeCost(scales.columns)
    }

    /// Bits that all but the bits below the finest steps cost, and the best base, with steps of `stepBits`.
    func cost(stepBits: Int) -> (bits: Int, base: UInt16) {
        let fold = finestStepBits - stepBits
        let folded = counts.map { counts in
            var folded = [Int](repeating: 0, count: counts.count >> fold + 1)
            for (high, count) in counts.enumerated() where count > 0 { folded[high >> fold] += Int(count) }
            return folded
        }
        var total = folded[0]
        for other in folded.dropFirst() { for i in total.indices { total[i] += other[i] } }
        let base = Self.base(total)
        var bits = 0.0
        for (counts, zeros) in zip(folded, zeros) {
            let reached = counts[max(base - BitPlanes.reach, 0)..<min(base + BitPlanes.reach, counts.count)]
            let escapes = counts.reduce(0, +) - reached.reduce(0, +)
            let used = reached.filter { $0 > 0 } + [zeros, escapes].filter { $0 > 0 }
            bits += weight * Double(huffmanCost(used) + 16 * escapes) + Double(blockCost(symbols: used.count))
        }
        return (Int(bits) + Int(weight * Double(fold * sampleCount)) + scaleCost, UInt16(base))
    }

    /// The high part from which symbols are counted.
    ///
    /// It is the most frequent one where nearly all others are reached from it: the commonest sample is then 0, as is the byte that
    /// PNG puts before each row, and that byte costs little. Else it is what most others are reached from.
    private static func base(_ counts: [Int]) -> Int {
        func reached(_ base: Int) -> Int {
            counts[max(base - BitPlanes.reach, 0)..<min(base + BitPlanes.reach, counts.count)].reduce(0, +)
        }
        let mode = counts.indices.max { counts[$0] < counts[$1] } ?? 0
        let all = counts.reduce(0, +)
        guard reached(mode) < all - all / 1000 else { return mode }
        var (base, most) = (BitPlanes.reach, reached(BitPlanes.reach))
        var inside = most
        for next in BitPlanes.reach + 1..<max(counts.count - BitPlanes.reach, BitPlanes.reach) + 1 {
            inside += next + BitPlanes.reach - 1 < counts.count ? counts[next + BitPlanes.reach - 1] : 0
            inside -= counts[next - 1 - BitPlanes.reach]
            if inside > most { (base, most) = (next, inside) }
        }
        return base
    }
}

/// Bits of a Huffman code for symbols with these counts, without the code itself.
func huffmanCost(_ counts: [Int]) -> Int {
    guard counts.count > 1 else { return counts.first ?? 0 }
    // Two queues in rising order: the symbols, and the sums, which come in rising order by themselves.
    let leaves = counts.sorted()
    var sums: [Int] = []
    var (leaf, sum, cost) = (0, 0, 0)
    func take() -> Int {
        if sum == sums.count || leaf < leaves.count && leaves[leaf] <= sums[sum] {
            leaf += 1
            return leaves[leaf - 1]
        }
        sum += 1
        return sums[sum - 1]
    }
    for _ in 1..<leaves.count {
        let joined = take() + take()
        cost += joined
        sums.append(joined)
    }
    return cost
}

/// Bits that the code of a block of deflate takes, about.
private func blockCost(symbols: Int) -> Int { 80 + 3 * symbols }

/// Bits that scale codes cost, about.
private func codeCost(_ codes: [UInt8]) -> Int {
    guard !codes.isEmpty else { return 0 }
    var counts = [Int](repeating: 0, count: 256)
    for code in codes { counts[Int(code)] += 1 }
    return huffmanCost(counts.filter { $0 > 0 }) + 8 * 8
}
