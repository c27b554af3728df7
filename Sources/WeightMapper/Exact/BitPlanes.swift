/// How the words of a tensor lie in a run of bytes, bit by bit: all that gives them back from the run.
///
/// A word is a sign, a *high* part of up to 15 bits and *low* bits. Of a floating-point number the high part is the exponent and
/// some upper bits of the mantissa. In trained weights the sign and the low bits are nearly random and worth no coding; the high
/// part is not, and becomes one byte, its *symbol*, for a Huffman code to shorten. Joining the mantissa's upper bits to the exponent
/// pays since the density of weights falls within a binade too; powers of two that a row or column has in common are taken out of
/// it; and what remains of such a scale orders the symbols, so that near ones in the run have like statistics.
///
/// The run holds, one after the other, each unless it is constant:
/// 1. the symbols, in the order that `ScaleCodes` says;
/// 2. the low bits from `zeroBits` on, in memory order: sections of 8 bits, then of 4, 2 and 1 as needed, the latter packed; and
///    in the same way the bits between the high part and the sign, of which only whole numbers have any;
/// 3. the signs, packed, in memory order;
/// 4. the high parts that have no symbol, 16 bits each, in memory order.
struct BitPlanes: Hashable, Sendable {
    /// Number of words.
    let count: Int
    /// Bits of a word: 8, 16, 32 or 64.
    let wordBits: Int
    /// Bits below the high part.
    let lowBits: Int
    /// Lowest bits, which are 0 in every word.
    let zeroBits: Int
    /// A binade is 2^stepBits steps of the high part.
    let stepBits: Int
    /// The high part that has symbol 0.
    let base: UInt16
    /// High parts without symbol.
    let escapeCount: Int
    /// Scales of rows and columns.
    let scales: ScaleCodes
    /// Value of each section that is constant, `nil` of those in the run: symbols, low bits from the lowest on, signs.
    let constants: [UInt8?]

    /// Symbol of words whose high part is 0, whatever their scale.
    static let zeroSymbol: UInt8 = 128
    /// Symbol of words whose high part is at the end of the run.
    static let escapeSymbol: UInt8 = 127
    /// Symbols count steps from `base`: from -`reach` to `reach` - 1.
    static let reach = 127

    /// One section of the run.
    struct Section: Hashable {
        /// Bits of a number: 8, 4, 2 or 1.
        let width: Int
        /// Lowest of its bits in a word; that of the high part for symbols.
        let shift: Int
        /// First byte in the run; `nil` for a constant one.
        let start: Int?
        /// The number that all words have, where they have one.
        let constant: UInt8
    }

    /// Symbols, low bits and signs.
    let sections: [Section]
    /// Bytes of the run.
    let runCount: Int

    /// - Precondition: the numbers are within the ranges that `init(parsing:count:format:)` checks.
    init(
        count: Int, wordBits: Int, lowBits: Int, zeroBits: Int, stepBits: Int, base: UInt16, escapeCount: Int,
        scales: ScaleCodes, constants: [UInt8?]
    ) {
        self.count = count
        self.wordBits = wordBits
        self.lowBits = lowBits
        self.zeroBits = zeroBits
        self.stepBits = stepBits
        self.base = base
        self.escapeCount = escapeCount
        self.scales = scales
        self.constants = constants
        let widths = Self.widths(wordBits: wordBits, lowBits: lowBits, zeroBits: zeroBits)
        precondition(widths.count == constants.count)
        var sections: [Section] = []
        var start = 0
        for (place, constant) in zip(widths, constants) {
            sections.append(
                Section(
                    width: place.width, shift: place.shift, start: constant == nil ? start : nil,
                    constant: constant ?? 0))
            start += constant == nil ? packedSize(count, width: place.width) : 0
        }
        self.sections = sections
        runCount = start + 2 * escapeCount
    }

    /// Bits that ideal codes would take, one for each section.
    func entropyBits(of run: ArraySlice<UInt8>) -> Double {
        let stored = sections.compactMap { section in
            section.start.map { $0..<$0 + packedSize(count, width: section.width) }
        }
        return (stored + [runCount - 2 * escapeCount..<runCount]).reduce(0) { sum, section in
            let bytes = run.dropFirst(section.lowerBound).prefix(section.count)
            return sum + Plane(bits: 8, shape: .strip(section.count), samples: .narrow(Array(bytes))).entropyBits
        }
    }

    /// Width and place of each section.
    static func widths(wordBits: Int, lowBits: Int, zeroBits: Int) -> [(width: Int, shift: Int)] {
        var places = [(8, lowBits)]
        let highest = lowBits + highBits(wordBits: wordBits, lowBits: lowBits)
        for range in [zeroBits..<lowBits, highest..<wordBits - 1] {
            var shift = range.lowerBound
            while shift < range.upperBound {
                let width = [8, 4, 2, 1].first { $0 <= range.upperBound - shift } ?? 1
                places.append((width, shift))
                shift += width
            }
        }
        return places + [(1, wordBits - 1)]
    }

    /// Bits of the high part.
    private static func highBits(wordBits: Int, lowBits: Int) -> Int { min(wordBits - 1 - lowBits, 15) }

    /// The high part's bits.
    var highMask: UInt16 { UInt16(1 << Self.highBits(wordBits: wordBits, lowBits: lowBits) - 1) }
}

// MARK: - Storage

extension BitPlanes {
    /// The bytes that a packed file stores.
    var serialized: [UInt8] {
        var bytes = [UInt8(lowBits), UInt8(zeroBits), UInt8(stepBits)]
        bytes.append(number: Int(base))
        bytes.append(number: escapeCount)
        bytes += constants.map { $0 == nil ? 0 : 1 }
        bytes += constants.compactMap { $0 }
        return bytes + scales.serialized
    }

    /// Reads what `serialized` wrote, from the front of `bytes`.
    ///
    /// - Parameters:
    ///   - count: words of the tensor.
    ///   - wordBits: bits of each: 8, 16, 32 or 64.
    /// - Throws: `MapperError.parameters` for numbers out of range, or when bytes are missing.
    init(parsing bytes: inout ParameterReader, count: Int, wordBits: Int) throws(MapperError) {
        let lowBits = try bytes.number("low bits", in: 0...wordBits - 1)
        let zeroBits = try bytes.number("zero bits", in: 0...lowBits)
        let stepBits = try bytes.number("bits of a step", in: 0...7)
        let base = try bytes.number("a base", in: 0...0xffff)
        let escapeCount = try bytes.number("weights without symbol", in: 0...count)
        let widths = Self.widths(wordBits: wordBits, lowBits: lowBits, zeroBits: zeroBits)
        var isConstant: [Bool] = []
        for _ in widths { isConstant.append(try bytes.number("a section's kind", in: 0...1) == 1) }
        var constants: [UInt8?] = []
        for (place, isConstant) in zip(widths, isConstant) {
            let constant = isConstant ? try bytes.bytes(1)[0] : nil
            guard Int(constant ?? 0) < 1 << place.width else {
                throw .parameters(expected: "a constant of \(place.width) bits", found: "\(constant ?? 0)")
            }
            constants.append(constant)
        }
        guard constants.contains(where: { $0 == nil }) else {
            throw .parameters(expected: "a section that is stored", found: "none")
        }
        let scales = try ScaleCodes(parsing: &bytes, count: count)
        self.init(
            count: count, wordBits: wordBits, lowBits: lowBits, zeroBits: zeroBits, stepBits: stepBits,
            base: UInt16(base), escapeCount: escapeCount, scales: scales, constants: constants)
    }
}
