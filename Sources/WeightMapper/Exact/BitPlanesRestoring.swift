import Glibc

extension BitPlanes {
    /// Gives the words back, in memory order, some rows at a time.
    ///
    /// - Parameters:
    ///   - run: the run, of `runCount` bytes.
    ///   - body: receives consecutive words; valid during the call.
    /// - Throws: `MapperError.parameters` unless as many words have no symbol as the run holds.
    /// - Complexity: linear; a few operations on vectors for each word, and one gather where columns have scales.
    func restore<Word: WeightWord>(
        _ run: UnsafeBufferPointer<UInt8>, as: Word.Type, _ body: (UnsafeBufferPointer<Word>) -> Void
    ) throws(MapperError) {
        precondition(run.count == runCount && Word.bitWidth == wordBits)
        let rowLength = scales.isTrivial ? min(count, wordsAtATime) : scales.columnCount
        let rowsAtATime = max(wordsAtATime / rowLength, 1)
        let batch = rowsAtATime * rowLength
        var order = SymbolOrder(scales, count: count)
        let shifts = ScaleShifts(scales, stepBits: stepBits)
        let highs = UnsafeMutablePointer<UInt16>.allocate(capacity: batch)
        let symbols = UnsafeMutablePointer<UInt8>.allocate(capacity: rowLength)
        let gathered = UnsafeMutablePointer<UInt8>.allocate(capacity: rowLength)
        let batchesInPiece = max(wordsInPiece / batch, 1)
        let words = UnsafeMutablePointer<Word>.allocate(capacity: batchesInPiece * batch)
        let joiner = BitJoiner(self, run, batch: batch, as: Word.self)
        defer {
            highs.deallocate()
            symbols.deallocate()
            gathered.deallocate()
            words.deallocate()
            joiner.deallocate()
        }
        var filled = 0
        var nextEscape = runCount - 2 * escapeCount
        for start in stride(from: 0, to: count, by: batch) {
            let end = min(start + batch, count)
            for rowStart in stride(from: start, to: end, by: rowLength) {
                let length = min(rowLength, end - rowStart)
                let code = scales.rows.isEmpty ? 0 : scales.rows[rowStart / rowLength]
                let places = order.advance(rowCode: code, length: length)
                let found = rowSymbols(run, order, places, length, gathered, symbols)
                let offset = base &- shifts.row(code)
                let target = highs + (rowStart - start)
                if shifts.columns.isEmpty {
                    makeHighs(found, length, target) { _ in offset }
                } else {
                    shifts.columns[Int(code) % ScaleCodes.classCount].withUnsafeBufferPointer { shifts in
                        makeHighs(found, length, target) { offset &- shifts[$0] }
                    }
                }
                if escapeCount > 0 { try putEscapes(run, found, length, target, &nextEscape) }
            }
            joiner.join(highs, start..<end, words + filled)
            filled += end - start
            if filled == batchesInPiece * batch || end == count {
                body(UnsafeBufferPointer(start: words, count: filled))
                filled = 0
            }
        }
        guard nextEscape == runCount else {
            throw .parameters(
                expected: "\(escapeCount) weights without symbol", found: "\(escapeCount - (runCount - nextEscape) / 2)"
            )
        }
    }

    /// A row's symbols in memory order, in one of the buffers or in the run itself.
    private func rowSymbols(
        _ run: UnsafeBufferPointer<UInt8>, _ order: SymbolOrder, _ places: InlineArray<4, Int>, _ length: Int,
        _ gathered: UnsafeMutablePointer<UInt8>, _ symbols: UnsafeMutablePointer<UInt8>
    ) -> UnsafePointer<UInt8> {
        guard let start = sections[0].start, let run = run.baseAddress else {
            symbols.update(repeating: sections[0].constant, count: length)
            return UnsafePointer(symbols)
        }
        guard !order.columns.isEmpty else { return run + start + places[0] }
        for kind in 0..<ScaleCodes.classCount {
            let (first, end) = (order.columnStarts[kind], order.columnStarts[kind + 1])
            (gathered + first).update(from: run + start + places[kind], count: end - first)
        }
        order.places.withUnsafeBufferPointer { places in
            for i in 0..<length { symbols[i] = gathered[Int(places[i])] }
        }
        return UnsafePointer(symbols)
    }

    @inline(__always)
    private func makeHighs(
        _ symbols: UnsafePointer<UInt8>, _ count: Int, _ highs: UnsafeMutablePointer<UInt16>, offset: (Int) -> UInt16
    ) {
        let mask = highMask
        for i in 0..<count {
            let symbol = UInt16(truncatingIfNeeded: symbols[i])
            // Symbols above 127 stand for steps down.
            let steps = (symbol ^ 128) &- 128
            let isZero: UInt16 = symbol == UInt16(Self.zeroSymbol) ? 0 : mask
            highs[i] = (steps &+ offset(i)) & isZero
        }
    }

    private func putEscapes(
        _ run: UnsafeBufferPointer<UInt8>, _ symbols: UnsafePointer<UInt8>, _ count: Int,
        _ highs: UnsafeMutablePointer<UInt16>, _ next: inout Int
    ) throws(MapperError) {
        var position = 0
        while let found = memchr(symbols + position, Int32(Self.escapeSymbol), count - position) {
            let place = UnsafePointer(found.assumingMemoryBound(to: UInt8.self)) - symbols
            guard next < runCount else {
                throw .parameters(expected: "\(escapeCount) weights without symbol", found: "more")
            }
            highs[place] = (UInt16(run[next]) | UInt16(run[next + 1]) << 8) & highMask
            next += 2
            position = place + 1
        }
    }
}

/// Words that are handed over at a time: few enough for a cache, enough to be worth a call.
private let wordsInPiece = 1 << 15

/// Puts the parts of words together.
private struct BitJoiner<Word: WeightWord> {
    private let run: UnsafeBufferPointer<UInt8>
    private let sections: [BitPlanes.Section]
    private let highShift: Word
    /// What all words have in constant sections.
    private let constant: Word
    /// For each section the bits of a batch, one number to a byte.
    private let numbers: UnsafeMutablePointer<UnsafePointer<UInt8>>
    private let shifts: UnsafeMutablePointer<Word>
    /// Room for those that are packed.
    private let unpacked: UnsafeMutablePointer<UInt8>
    private let stride: Int

    init(_ planes: BitPlanes, _ run: UnsafeBufferPointer<UInt8>, batch: Int, as: Word.Type) {
        self.run = run
        highShift = Word(truncatingIfNeeded: planes.lowBits)
        let bits = planes.sections.dropFirst()
        sections = bits.filter { $0.start != nil }
        constant = bits.filter { $0.start == nil }.reduce(0) {
            $0 | Word(truncatingIfNeeded: $1.constant) << Word(truncatingIfNeeded: $1.shift)
        }
        stride = batch + 16
        unpacked = .allocate(capacity: max(sections.count, 1) * stride)
        numbers = .allocate(capacity: max(sections.count, 1))
        shifts = .allocate(capacity: max(sections.count, 1))
        for (i, section) in sections.enumerated() { shifts[i] = Word(truncatingIfNeeded: section.shift) }
    }

    func deallocate() {
        unpacked.deallocate()
        numbers.deallocate()
        shifts.deallocate()
    }

    /// Joins the high parts of the words of `range` with their other bits.
    func join(_ highs: UnsafePointer<UInt16>, _ range: Range<Int>, _ words: UnsafeMutablePointer<Word>) {
        for (i, section) in sections.enumerated() { numbers[i] = find(section, range, unpacked + i * stride) }
        let (n, s) = (numbers, shifts)
        // In one pass as far as possible: every pass reads and writes all words.
        switch sections.count {
        case 0: fill(words, range.count, highs) { _ in 0 }
        case 1:
            let (a, p) = (n[0], s[0])
            fill(words, range.count, highs) { word(a[$0], p) }
        case 2:
            let (a, b, p, q) = (n[0], n[1], s[0], s[1])
            fill(words, range.count, highs) { word(a[$0], p) | word(b[$0], q) }
        case 3:
            let (a, b, c, p, q, r) = (n[0], n[1], n[2], s[0], s[1], s[2])
            fill(words, range.count, highs) { word(a[$0], p) | word(b[$0], q) | word(c[$0], r) }
        default:
            let (a, b, c, d) = (n[0], n[1], n[2], n[3])
            let (p, q, r, t) = (s[0], s[1], s[2], s[3])
            fill(words, range.count, highs) {
                word(a[$0], p) | word(b[$0], q) | word(c[$0], r) | word(d[$0], t)
            }
            for i in 4..<max(sections.count, 4) {
                let (a, p) = (n[i], s[i])
                for j in 0..<range.count { words[j] |= word(a[j], p) }
            }
        }
    }

    @inline(__always)
    private func word(_ number: UInt8, _ shift: Word) -> Word { Word(truncatingIfNeeded: number) &<< shift }

    @inline(__always)
    private func fill(
        _ words: UnsafeMutablePointer<Word>, _ count: Int, _ highs: UnsafePointer<UInt16>, _ bits: (Int) -> Word
    ) {
        let (constant, highShift) = (constant, highShift)
        for i in 0..<count { words[i] = Word(truncatingIfNeeded: highs[i]) &<< highShift | constant | bits(i) }
    }

    /// A section's numbers for the words of `range`: in the run, or unpacked from it.
    private func find(
        _ section: BitPlanes.Section, _ range: Range<Int>, _ unpacked: UnsafeMutablePointer<UInt8>
    ) -> UnsafePointer<UInt8> {
        let first = section.start ?? 0
        let perByte = 8 / section.width
        let packed = UnsafeBufferPointer(
            rebasing: run[
                first + range.lowerBound / perByte..<first + packedSize(range.upperBound, width: section.width)])
        if section.width == 8, let numbers = packed.baseAddress { return numbers }
        // Unpacked from the byte that holds the first on.
        let skipped = range.lowerBound % perByte
        unpack(packed, width: section.width, count: skipped + range.count, into: unpacked)
        return UnsafePointer(unpacked) + skipped
    }
}
