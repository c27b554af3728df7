extension BitPlanes {
    /// Splits words as `draft` says, which was chosen for them.
    ///
    /// - Returns: the planes, which know what is constant and what has no symbol, and their run.
    /// - Complexity: linear; a few operations on vectors for each word.
    static func split<Source: WordSource>(_ source: Source, _ draft: BitPlanes) -> (BitPlanes, run: [UInt8]) {
        precondition(source.count == draft.count && Source.Word.bitWidth == draft.wordBits)
        let (symbols, escapes) = draft.symbols(of: source)
        var constants = draft.constants
        // A run holds something, even where nothing varies: it is what a medium is given.
        if constants.dropFirst().contains(where: { $0 == nil }), let first = symbols.first {
            constants[0] = symbols.allSatisfy { $0 == first } ? first : nil
        }
        let planes = BitPlanes(
            count: draft.count, wordBits: draft.wordBits, lowBits: draft.lowBits, zeroBits: draft.zeroBits,
            stepBits: draft.stepBits, base: draft.base, escapeCount: escapes.count, scales: draft.scales,
            constants: constants)
        var run = constants[0] == nil ? symbols : []
        run.reserveCapacity(planes.runCount)
        run.append(contentsOf: repeatElement(0, count: planes.runCount - 2 * escapes.count - run.count))
        run.withUnsafeMutableBufferPointer { planes.splitBits(source, $0) }
        for escape in escapes { run += [UInt8(truncatingIfNeeded: escape), UInt8(truncatingIfNeeded: escape >> 8)] }
        return (planes, run)
    }

    /// The symbols in the run's order, and the high parts that have none in memory order.
    private func symbols<Source: WordSource>(of source: Source) -> ([UInt8], escapes: [UInt16]) {
        var order = SymbolOrder(scales, count: count)
        var escapes: [UInt16] = []
        let symbols = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = count
            guard let run = buffer.baseAddress else { return }
            forEachRowOfSymbols(source) { code, highs, symbols, escapeCount in
                if escapeCount > 0 {
                    for i in symbols.indices where symbols[i] == Self.escapeSymbol { escapes.append(highs[i]) }
                }
                guard let symbols = symbols.baseAddress else { return }
                let places = order.advance(rowCode: code, length: highs.count)
                guard !order.columns.isEmpty else {
                    (run + places[0]).update(from: symbols, count: highs.count)
                    return
                }
                order.columns.withUnsafeBufferPointer { columns in
                    for kind in 0..<ScaleCodes.classCount {
                        let (first, end) = (order.columnStarts[kind], order.columnStarts[kind + 1])
                        let target = run + places[kind] - first
                        for i in first..<end { target[i] = symbols[Int(columns[i])] }
                    }
                }
            }
        }
        return (symbols, escapes)
    }

    /// Calls `body` with each row's scale code, high parts, symbols and number of words without symbol.
    private func forEachRowOfSymbols<Source: WordSource>(
        _ source: Source,
        _ body: (UInt8, UnsafeMutableBufferPointer<UInt16>, UnsafeMutableBufferPointer<UInt8>, Int) -> Void
    ) {
        let length = scales.isTrivial ? min(count, wordsAtATime) : scales.columnCount
        let shifts = ScaleShifts(scales, stepBits: stepBits)
        withScratch(length, of: Source.Word.self) { words in
            withScratch(length, of: UInt16.self) { highs in
                withScratch(length, of: UInt8.self) { symbols in
                    for (row, start) in stride(from: 0, to: count, by: length).enumerated() {
                        let end = min(start + length, count)
                        let code = scales.rows.isEmpty ? 0 : scales.rows[row]
                        source.load(start..<end, into: words)
                        takeHighs(words, end - start, highs)
                        let offset = shifts.row(code) &- base
                        let escapes =
                            if shifts.columns.isEmpty {
                                makeSymbols(highs, end - start, symbols) { _ in offset }
                            } else {
                                shifts.columns[Int(code) % ScaleCodes.classCount].withUnsafeBufferPointer { shifts in
                                    makeSymbols(highs, end - start, symbols) { offset &+ shifts[$0] }
                                }
                            }
                        body(
                            code, UnsafeMutableBufferPointer(start: highs, count: end - start),
                            UnsafeMutableBufferPointer(start: symbols, count: end - start), escapes)
                    }
                }
            }
        }
    }

    private func takeHighs<Word: WeightWord>(
        _ words: UnsafeMutablePointer<Word>, _ count: Int, _ highs: UnsafeMutablePointer<UInt16>
    ) {
        let shift = Word(truncatingIfNeeded: lowBits)
        let mask = highMask
        for i in 0..<count { highs[i] = UInt16(truncatingIfNeeded: words[i] &>> shift) & mask }
    }

    /// Symbols of high parts, and how many have none.
    @inline(__always)
    private func makeSymbols(
        _ highs: UnsafeMutablePointer<UInt16>, _ count: Int, _ symbols: UnsafeMutablePointer<UInt8>,
        offset: (Int) -> UInt16
    ) -> Int {
        let reach = UInt16(Self.reach)
        var escapes = 0
        // Counted in 16 bits, as wide as what is compared, for vectors of both.
        for start in stride(from: 0, to: count, by: 1 << 15) {
            var found: UInt16 = 0
            for i in start..<min(start + 1 << 15, count) {
                let steps = highs[i] &+ offset(i)
                let isZero = highs[i] == 0
                let isOutside = steps &+ reach >= 2 &* reach
                found &+= !isZero && isOutside ? 1 : 0
                let symbol = isOutside ? UInt16(Self.escapeSymbol) : steps
                symbols[i] = UInt8(truncatingIfNeeded: isZero ? UInt16(Self.zeroSymbol) : symbol)
            }
            escapes += Int(found)
        }
        return escapes
    }

    private func splitBits<Source: WordSource>(_ source: Source, _ run: UnsafeMutableBufferPointer<UInt8>) {
        let stored = sections.dropFirst().filter { $0.start != nil }
        guard !stored.isEmpty, let run = run.baseAddress else { return }
        withScratch(wordsAtATime, of: Source.Word.self) { words in
            withScratch(wordsAtATime, of: UInt8.self) { bytes in
                for start in stride(from: 0, to: count, by: wordsAtATime) {
                    let piece = min(wordsAtATime, count - start)
                    source.load(start..<start + piece, into: words)
                    for section in stored {
                        guard let first = section.start else { continue }
                        let target = run + first + start / (8 / section.width)
                        if section.width == 8 {
                            takeBits(words, piece, section, target)
                        } else {
                            takeBits(words, piece, section, bytes)
                            pack(UnsafeBufferPointer(start: bytes, count: piece), width: section.width, into: target)
                        }
                    }
                }
            }
        }
    }

    private func takeBits<Word: WeightWord>(
        _ words: UnsafeMutablePointer<Word>, _ count: Int, _ section: Section, _ bytes: UnsafeMutablePointer<UInt8>
    ) {
        let shift = Word(truncatingIfNeeded: section.shift)
        let mask = UInt8(truncatingIfNeeded: 1 << section.width - 1)
        for i in 0..<count { bytes[i] = UInt8(truncatingIfNeeded: words[i] &>> shift) & mask }
    }
}

/// Memory for `count` numbers while `body` runs.
@inline(__always)
func withScratch<Number: BitwiseCopyable, Result>(
    _ count: Int, of: Number.Type, _ body: (UnsafeMutablePointer<Number>) -> Result
) -> Result {
    // Rounded up: what works on eight numbers at a time may touch those after the last.
    let buffer = UnsafeMutablePointer<Number>.allocate(capacity: max(count, 1) + 8)
    defer { buffer.deallocate() }
    return body(buffer)
}
