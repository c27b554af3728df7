/// Gives the bytes of a tensor back, bit for bit, from those of another with the same type and shape, its *base*: an earlier
/// checkpoint, or the model that it was tuned from.
///
/// Floating-point numbers are counted along the number line, and what is kept is how many numbers a weight has moved, with its
/// direction in the lowest bit. A step of training moves weights by like amounts, so by more numbers the smaller they are: weights
/// are parted by the exponent they have in the base, and each part has bit planes of its own.
public struct DeltaCodebook: Hashable, Sendable {
    /// The type of the tensors' elements.
    public let format: FloatFormat
    /// Number of elements.
    public let count: Int
    /// Bytes of the run.
    public let runCount: Int

    /// Weights whose exponents in the base lie from one part's first on, to the next part's.
    private struct Part: Hashable {
        let firstExponent: Int
        let planes: BitPlanes
    }

    private let parts: [Part]

    /// Weights below which a part is joined to the next: each costs a codebook and codes.
    private static let smallestPart = 4096

    private init(format: FloatFormat, count: Int, parts: [Part]) {
        self.format = format
        self.count = count
        self.parts = parts
        runCount = parts.reduce(0) { $0 + $1.planes.runCount }
    }

    /// Splits a tensor into what differs from its base.
    ///
    /// - Parameters:
    ///   - bytes: the tensor's bytes.
    ///   - base: as many bytes, of the base.
    ///   - format: the type of the elements of both.
    /// - Returns: the codebook and its run.
    /// - Complexity: linear; the differences are in memory at once.
    public static func split(
        _ bytes: UnsafeRawBufferPointer, base: UnsafeRawBufferPointer, format: FloatFormat
    ) -> (DeltaCodebook, run: [UInt8]) {
        precondition(bytes.count == base.count)
        return switch format.bits {
        case 8: split(StoredWords<UInt8>(bytes: bytes), StoredWords<UInt8>(bytes: base), format)
        case 16: split(StoredWords<UInt16>(bytes: bytes), StoredWords<UInt16>(bytes: base), format)
        case 32: split(StoredWords<UInt32>(bytes: bytes), StoredWords<UInt32>(bytes: base), format)
        default: split(StoredWords<UInt64>(bytes: bytes), StoredWords<UInt64>(bytes: base), format)
        }
    }

    private static func split<Word: WeightWord>(
        _ source: StoredWords<Word>, _ base: StoredWords<Word>, _ format: FloatFormat
    ) -> (DeltaCodebook, run: [UInt8]) {
        let exponents = ExponentParts(counts: exponentCounts(base, format), smallest: smallestPart)
        var differences = exponents.sizes.map { size in
            var part: [Word] = []
            part.reserveCapacity(size)
            return part
        }
        withScratch(wordsAtATime, of: Word.self) { words in
            withScratch(wordsAtATime, of: Word.self) { bases in
                for start in stride(from: 0, to: source.count, by: wordsAtATime) {
                    let end = min(start + wordsAtATime, source.count)
                    source.load(start..<end, into: words)
                    base.load(start..<end, into: bases)
                    for i in 0..<end - start {
                        let part = exponents.part(of: exponent(bases[i], format))
                        differences[part].append(moved(from: bases[i], to: words[i]))
                    }
                }
            }
        }
        var parts: [Part] = []
        var run: [UInt8] = []
        for (first, words) in zip(exponents.firsts, differences) {
            let (planes, bytes) = BitPlanes.split(words, BitPlanes.draft(differences: words))
            parts.append(Part(firstExponent: first, planes: planes))
            run += bytes
        }
        return (DeltaCodebook(format: format, count: source.count, parts: parts), run)
    }

    /// Bits that ideal codes would take for a run, one for each of its parts.
    public func entropyBits(of run: [UInt8]) -> Double {
        var rest = run[...]
        return parts.reduce(0) { sum, part in
            defer { rest = rest.dropFirst(part.planes.runCount) }
            return sum + part.planes.entropyBits(of: rest.prefix(part.planes.runCount))
        }
    }

    /// Gives the tensor back, in memory order, a piece at a time.
    ///
    /// - Parameters:
    ///   - run: the run.
    ///   - base: the base's bytes.
    ///   - body: receives consecutive bytes; valid during the call.
    /// - Throws: `MapperError.parameters` when the run is not one of this codebook, or belongs to another base.
    public func restore(
        _ run: UnsafeBufferPointer<UInt8>, base: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(MapperError) {
        guard run.count == runCount, base.count == count * format.bits / 8 else {
            throw .parameters(
                expected: "\(runCount) bytes of bit planes, a base of \(count) numbers",
                found: "\(run.count), \(base.count * 8 / format.bits)")
        }
        switch format.bits {
        case 8: try restore(run, StoredWords<UInt8>(bytes: base), body)
        case 16: try restore(run, StoredWords<UInt16>(bytes: base), body)
        case 32: try restore(run, StoredWords<UInt32>(bytes: base), body)
        default: try restore(run, StoredWords<UInt64>(bytes: base), body)
        }
    }

    private func restore<Word: WeightWord>(
        _ run: UnsafeBufferPointer<UInt8>, _ base: StoredWords<Word>, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(MapperError) {
        let exponents = ExponentParts(firsts: parts.map(\.firstExponent), Self.exponentCounts(base, format))
        guard exponents.sizes == parts.map(\.planes.count) else {
            throw .parameters(
                expected: "a base with \(parts.map(\.planes.count)) weights by exponent", found: "\(exponents.sizes)")
        }
        var differences: [[Word]] = []
        var start = 0
        for part in parts {
            var words: [Word] = []
            words.reserveCapacity(part.planes.count)
            let end = start + part.planes.runCount
            try part.planes.restore(UnsafeBufferPointer(rebasing: run[start..<end]), as: Word.self) { words += $0 }
            differences.append(words)
            start = end
        }
        var next = [Int](repeating: 0, count: parts.count)
        withScratch(wordsAtATime, of: Word.self) { words in
            for start in stride(from: 0, to: count, by: wordsAtATime) {
                let length = min(wordsAtATime, count - start)
                base.load(start..<start + length, into: words)
                for i in 0..<length {
                    let part = exponents.part(of: Self.exponent(words[i], format))
                    words[i] = Self.word(words[i], movedBy: differences[part][next[part]])
                    next[part] += 1
                }
                body(UnsafeRawBufferPointer(UnsafeBufferPointer(start: words, count: length)))
            }
        }
    }
}

// MARK: - The number line

extension DeltaCodebook {
    /// A number's exponent, as stored.
    private static func exponent<Word: WeightWord>(_ word: Word, _ format: FloatFormat) -> Int {
        let exponentBits = format.bits - 1 - format.mantissaBits
        return Int(truncatingIfNeeded: word >> Word(format.mantissaBits)) & (1 << exponentBits - 1)
    }

    private static func exponentCounts<Word: WeightWord>(_ base: StoredWords<Word>, _ format: FloatFormat) -> [Int] {
        var counts = [Int](repeating: 0, count: 1 << (format.bits - 1 - format.mantissaBits))
        withScratch(wordsAtATime, of: Word.self) { words in
            for start in stride(from: 0, to: base.count, by: wordsAtATime) {
                let end = min(start + wordsAtATime, base.count)
                base.load(start..<end, into: words)
                for i in 0..<end - start { counts[exponent(words[i], format)] += 1 }
            }
        }
        return counts
    }

    /// Reverses the order of negative numbers, so that words count along the number line, and back.
    @inline(__always)
    private static func counted<Word: WeightWord>(_ word: Word) -> Word {
        let sign = word >> Word(Word.bitWidth - 1)
        return word ^ (0 &- sign) >> 1
    }

    /// How many numbers lie from one to another: twice as many, less one where it goes down.
    @inline(__always)
    private static func moved<Word: WeightWord>(from base: Word, to word: Word) -> Word {
        let difference = counted(word) &- counted(base)
        return difference &<< 1 ^ (0 &- difference >> Word(Word.bitWidth - 1))
    }

    /// The inverse of `moved`.
    @inline(__always)
    private static func word<Word: WeightWord>(_ base: Word, movedBy distance: Word) -> Word {
        counted(counted(base) &+ (distance >> 1 ^ (0 &- distance & 1)))
    }
}

/// Parts of the exponents, each from its first to the next part's.
private struct ExponentParts {
    let firsts: [Int]
    /// Weights in each part.
    let sizes: [Int]
    private let partOfExponent: [Int]

    /// Parts of at least so many weights where there are as many.
    init(counts: [Int], smallest: Int) {
        var firsts = [0]
        var size = 0
        for (exponent, count) in counts.enumerated() {
            if size >= smallest, counts[exponent...].reduce(0, +) >= smallest {
                firsts.append(exponent)
                size = 0
            }
            size += count
        }
        self.init(firsts: firsts, counts)
    }

    init(firsts: [Int], _ counts: [Int]) {
        var sizes = [Int](repeating: 0, count: firsts.count)
        var parts: [Int] = []
        for (exponent, count) in counts.enumerated() {
            let part = (firsts.firstIndex { $0 > exponent } ?? firsts.count) - 1
            parts.append(part)
            sizes[part] += count
        }
        self.firsts = firsts
        self.sizes = sizes
        partOfExponent = parts
    }

    @inline(__always)
    func part(of exponent: Int) -> Int { partOfExponent[exponent] }
}

// MARK: - Choice

extension BitPlanes {
    /// Chooses planes for whole numbers most of which are small.
    static func draft<Source: WordSource>(differences source: Source) -> BitPlanes {
        let survey = WordSurvey(source)
        let sample = RowSample(count: source.count, columnCount: 1).thinned(by: 4)
        var words: [UInt64] = []
        withScratch(sample.columnCount, of: Source.Word.self) { scratch in
            for row in sample.rows {
                source.load(row * sample.columnCount..<(row + 1) * sample.columnCount, into: scratch)
                for i in 0..<sample.columnCount { words.append(UInt64(truncatingIfNeeded: scratch[i])) }
            }
        }
        let largest = 2 * reach
        var best: (cost: Int, lowBits: Int)?
        for lowBits in 0..<Source.Word.bitWidth {
            var counts = [Int](repeating: 0, count: largest + 1)
            for word in words { counts[Int(min(word >> UInt64(lowBits), UInt64(largest)))] += 1 }
            let cost = huffmanCost(counts.filter { $0 > 0 }) + 32 * counts[largest] + lowBits * words.count
            if cost < best?.cost ?? .max { best = (cost, lowBits) }
        }
        let lowBits = best?.lowBits ?? 0
        let zeroBits = min(survey.either.trailingZeroBitCount, lowBits)
        return BitPlanes(
            count: source.count, wordBits: Source.Word.bitWidth, lowBits: lowBits, zeroBits: zeroBits, stepBits: 0,
            // High parts of 1 to 253 have symbols, and 0 its own.
            base: UInt16(reach), escapeCount: 0, scales: .none(count: source.count),
            constants: survey.constants(lowBits: lowBits, zeroBits: zeroBits))
    }
}

// MARK: - Storage

extension DeltaCodebook {
    /// The bytes that a packed file stores.
    public var serialized: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(number: parts.count)
        for part in parts {
            bytes.append(number: part.firstExponent)
            bytes.append(number: part.planes.count)
            bytes += part.planes.serialized
        }
        return bytes
    }

    /// A codebook from a packed file.
    ///
    /// - Parameters:
    ///   - bytes: what `serialized` gave.
    ///   - format: the type of the tensor's elements.
    ///   - count: number of elements.
    /// - Throws: `MapperError.parameters` when the bytes are not exactly those of such a codebook.
    public init(_ bytes: [UInt8], format: FloatFormat, count: Int) throws(MapperError) {
        var reader = ParameterReader(bytes)
        let exponents = 1 << (format.bits - 1 - format.mantissaBits)
        let partCount = try reader.number("parts", in: 1...exponents)
        var parts: [Part] = []
        var left = count
        for number in 0..<partCount {
            let least = parts.last.map { $0.firstExponent + 1 } ?? 0
            let first = try reader.number("an exponent", in: least...(number == 0 ? 0 : max(exponents - 1, least)))
            let size = try reader.number("weights of a part", in: 1...max(left, 1))
            left -= size
            let planes = try BitPlanes(parsing: &reader, count: size, wordBits: format.bits)
            parts.append(Part(firstExponent: first, planes: planes))
        }
        try reader.end()
        guard left == 0 else {
            throw .parameters(expected: "\(count) weights in all parts", found: "\(count - left)")
        }
        self.init(format: format, count: count, parts: parts)
    }
}
