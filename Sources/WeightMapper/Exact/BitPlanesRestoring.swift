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
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: batch + 16)
        let words = UnsafeMutablePointer<Word>.allocate(capacity: batch)
        defer {
            highs.deallocate()
            symbols.deallocate()
            gathered.deallocate()
            bytes.deallocate()
            words.deallocate()
        }
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
            join(highs, end - start, words)
            for section in sections.dropFirst() {
                putBits(run, section, start, end - start, bytes, words)
            }
            body(UnsafeBufferPointer(start: words, count: end - start))
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
            let steps = UInt16(bitPattern: Int16(truncatingIfNeeded: Int8(bitPattern: symbols[i])))
            let high = (steps &+ offset(i)) & mask
            highs[i] = symbols[i] == Self.zeroSymbol ? 0 : high
        }
    }

    private func putEscapes(
        _ run: UnsafeBufferPointer<UInt8>, _ symbols: UnsafePointer<UInt8>, _ count: Int,
        _ highs: UnsafeMutablePointer<UInt16>, _ next: inout Int
    ) throws(MapperError) {
        for i in 0..<count where symbols[i] == Self.escapeSymbol {
            guard next < runCount else {
                throw .parameters(expected: "\(escapeCount) weights without symbol", found: "more")
            }
            highs[i] = (UInt16(run[next]) | UInt16(run[next + 1]) << 8) & highMask
            next += 2
        }
    }

    private func join<Word: WeightWord>(
        _ highs: UnsafeMutablePointer<UInt16>, _ count: Int, _ words: UnsafeMutablePointer<Word>
    ) {
        let shift = Word(truncatingIfNeeded: lowBits)
        for i in 0..<count { words[i] = Word(truncatingIfNeeded: highs[i]) &<< shift }
    }

    /// Puts a section's bits in `count` words from word number `start` on.
    private func putBits<Word: WeightWord>(
        _ run: UnsafeBufferPointer<UInt8>, _ section: Section, _ start: Int, _ count: Int,
        _ bytes: UnsafeMutablePointer<UInt8>, _ words: UnsafeMutablePointer<Word>
    ) {
        let shift = Word(truncatingIfNeeded: section.shift)
        guard let first = section.start else {
            let bits = Word(truncatingIfNeeded: section.constant) &<< shift
            if bits != 0 { for i in 0..<count { words[i] |= bits } }
            return
        }
        let perByte = 8 / section.width
        // Packed numbers are unpacked from the byte that holds the first on.
        let skipped = start % perByte
        let packed = UnsafeBufferPointer(
            rebasing: run[first + start / perByte..<first + packedSize(start + count, width: section.width)])
        guard let source = packed.baseAddress else { return }
        if section.width == 8 {
            put(source, count, shift, words)
        } else {
            unpack(packed, width: section.width, count: skipped + count, into: bytes)
            put(UnsafePointer(bytes) + skipped, count, shift, words)
        }
    }

    private func put<Word: WeightWord>(
        _ bytes: UnsafePointer<UInt8>, _ count: Int, _ shift: Word, _ words: UnsafeMutablePointer<Word>
    ) {
        for i in 0..<count { words[i] |= Word(truncatingIfNeeded: bytes[i]) &<< shift }
    }
}
