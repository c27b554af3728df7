/// Measures how large the weights of rows and columns are, in whole numbers wherever a result depends on it, so that the same
/// tensor gets the same codes everywhere.
struct MagnitudeScaler<Word: WeightWord> {
    private let mantissaBits: Int
    /// Exponent of the largest finite word.
    private let largest: Int

    init<Source: WordSource>(_ source: Source, _ survey: WordSurvey<Word>, mantissaBits: Int)
    where Source.Word == Word {
        self.mantissaBits = mantissaBits
        let top = Word(truncatingIfNeeded: 1) << Word(Word.bitWidth - 1 - mantissaBits) - 1
        var largest: Word = 0
        withScratch(wordsAtATime, of: Word.self) { words in
            for start in stride(from: 0, to: source.count, by: wordsAtATime) {
                let end = min(start + wordsAtATime, source.count)
                source.load(start..<end, into: words)
                let shift = Word(truncatingIfNeeded: mantissaBits)
                var found: Word = 0
                for i in 0..<end - start {
                    let exponent = words[i] &>> shift & top
                    // Infinities and NaN have the largest exponent and say nothing about the others.
                    let finite = exponent == top ? 0 : exponent
                    found = finite > found ? finite : found
                }
                largest = max(largest, found)
            }
        }
        self.largest = Int(largest)
    }

    /// Scales to try: none, those of rows, those of rows and columns.
    func candidates<Source: WordSource>(_ source: Source, _ sample: RowSample) -> [ScaleCodes]
    where Source.Word == Word {
        let none = ScaleCodes.none(count: source.count)
        guard sample.isMatrix else { return [none] }
        let rows = codes(ofSquares: rowSquares(source, columnCount: sample.columnCount))
        let columns = codes(ofSquares: columnSquares(source, sample, rows))
        let (hasRows, hasColumns) = (rows.contains { $0 > 0 }, columns.contains { $0 > 0 })
        var candidates = [none]
        if hasRows { candidates.append(ScaleCodes(columnCount: sample.columnCount, rows: rows, columns: [])) }
        if hasColumns {
            candidates.append(ScaleCodes(columnCount: sample.columnCount, rows: hasRows ? rows : [], columns: columns))
        }
        return candidates
    }

    /// Sum of squares of each row, with the largest word's exponent taken as that of 1.
    private func rowSquares<Source: WordSource>(_ source: Source, columnCount: Int) -> [Float]
    where Source.Word == Word {
        withScratch(columnCount, of: Word.self) { words in
            withScratch(columnCount, of: Float.self) { values in
                (0..<source.count / columnCount).map { row in
                    source.load(row * columnCount..<(row + 1) * columnCount, into: words)
                    takeValues(words, columnCount, values)
                    return sumOfSquares(values, columnCount)
                }
            }
        }
    }

    /// Sum of squares of each column of a sample, each row divided by its scale.
    private func columnSquares<Source: WordSource>(_ source: Source, _ sample: RowSample, _ rows: [UInt8]) -> [Float]
    where Source.Word == Word {
        var sums = [Float](repeating: 0, count: sample.columnCount)
        withScratch(sample.columnCount, of: Word.self) { words in
            withScratch(sample.columnCount, of: Float.self) { values in
                for row in sample.rows {
                    source.load(row * sample.columnCount..<(row + 1) * sample.columnCount, into: words)
                    takeValues(words, sample.columnCount, values)
                    let scale = squareScale(rows[row])
                    sums.withUnsafeMutableBufferPointer { sums in
                        for i in 0..<sample.columnCount { sums[i] += values[i] * values[i] * scale }
                    }
                }
            }
        }
        return sums
    }

    /// Magnitudes to eight bits, relative to the largest word's exponent.
    private func takeValues(_ words: UnsafeMutablePointer<Word>, _ count: Int, _ values: UnsafeMutablePointer<Float>) {
        // A binary32 number's exponent and first seven bits of mantissa.
        let sign = Word(1) << Word(Word.bitWidth - 1)
        let right = Word(max(mantissaBits - 7, 0))
        let left = Int32(max(7 - mantissaBits, 0))
        let origin = Int32(truncatingIfNeeded: (largest - 127) * 128)
        for i in 0..<count {
            let bits = Int32(truncatingIfNeeded: (words[i] & ~sign) &>> right) &<< left &- origin
            let raised = bits < 0 ? 0 : bits
            let kept = raised > 0x3fff ? 0x3fff : raised
            values[i] = Float(bitPattern: UInt32(bitPattern: kept &<< 16))
        }
    }

    private func sumOfSquares(_ values: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
        var sums = SIMD8<Float>(repeating: 0)
        let source = UnsafeRawPointer(values)
        for eight in 0..<count / 8 {
            let v = source.loadUnaligned(fromByteOffset: 32 &* eight, as: SIMD8<Float>.self)
            sums += v * v
        }
        var sum = sums.lowHalf + sums.highHalf
        for i in count / 8 * 8..<count { sum[i % 4] += values[i] * values[i] }
        return (sum[0] + sum[1]) + (sum[2] + sum[3])
    }
}

/// Quarters of a binade below the largest, of roots of these sums; 0 for sums of 0, which belong to no weights.
private func codes(ofSquares sums: [Float]) -> [UInt8] {
    let steps = sums.map(quarterBinades)
    let largest = zip(sums, steps).lazy.filter { $0.0 > 0 }.map { $0.1 }.max() ?? 0
    return zip(sums, steps).map { sum, steps in sum > 0 ? UInt8(min(largest - steps, 255)) : 0 }
}

/// 4 log2 of the root of a positive number, rounded: half binades of the number itself.
private func quarterBinades(ofRootOf square: Float) -> Int {
    let mantissa = square.bitPattern & 0x7f_ffff
    // The mantissas of 2^(1/4) and 2^(3/4).
    let halves = (mantissa >= 0x18_37f0 ? 1 : 0) + (mantissa >= 0x57_44fd ? 1 : 0)
    return 2 * Int(square.bitPattern >> 23) + halves
}

/// What divides the squares of weights of this scale: 2^(code / 2).
private func squareScale(_ code: UInt8) -> Float {
    Float(sign: .plus, exponent: Int(code) / 2, significand: code % 2 == 0 ? 1 : 1.41421356)
}
