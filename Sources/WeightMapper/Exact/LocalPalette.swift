/// Words of which few are different within a group of neighbors, as tensors have that were quantized in groups and widened
/// again: a table for each group, and a number for each word.
///
/// A group's table lists its different words in the order in which they first come. A number that equals the length of the
/// table so far therefore stands for a new word, and only those are stored: the *values*, of all groups in a row.
struct LocalPalette: Hashable, Sendable {
    /// Words in a group, 2 to 256; the last may have fewer.
    let groupSize: Int
    /// Number of values.
    let valueCount: Int

    /// Sizes that are tried: those of the block formats that people quantize in.
    static let groupSizes = [32, 64, 128, 256]

    /// Numbers and values of words.
    ///
    /// - Complexity: linear in the words times the different ones of a group.
    static func index<Source: WordSource>(
        _ source: Source, groupSize: Int, groups: some Sequence<Int>
    ) -> (numbers: [UInt8], values: [Source.Word]) {
        var numbers: [UInt8] = []
        var values: [Source.Word] = []
        withScratch(groupSize, of: Source.Word.self) { words in
            withScratch(groupSize, of: Source.Word.self) { table in
                for group in groups {
                    let range = group * groupSize..<min((group + 1) * groupSize, source.count)
                    source.load(range, into: words)
                    var size = 0
                    for i in 0..<range.count {
                        var number = 0
                        while number < size, table[number] != words[i] { number &+= 1 }
                        if number == size {
                            table[size] = words[i]
                            values.append(words[i])
                            size &+= 1
                        }
                        numbers.append(UInt8(truncatingIfNeeded: number))
                    }
                }
            }
        }
        return (numbers, values)
    }

    /// The group size whose tables and numbers cost least, where that is clearly less than `bitsPerWord` without.
    ///
    /// - Parameter bitsPerWord: what a word costs by itself; a value costs as much.
    static func best<Source: WordSource>(for source: Source, bitsPerWord: Double) -> Int? {
        let largest = groupSizes.last ?? 0
        let whole = source.count / largest
        guard whole > 0 else { return nil }
        let step = max(whole / 16, 1)
        var best: (bits: Double, groupSize: Int)?
        for groupSize in groupSizes {
            let perLargest = largest / groupSize
            let groups = stride(from: 0, to: whole, by: step).flatMap { $0 * perLargest..<($0 + 1) * perLargest }
            let (numbers, values) = index(source, groupSize: groupSize, groups: groups)
            var counts = [Int](repeating: 0, count: 256)
            for number in numbers { counts[Int(number)] += 1 }
            let bits = Double(huffmanCost(counts.filter { $0 > 0 })) + Double(values.count) * bitsPerWord
            let perWord = bits / Double(numbers.count)
            if perWord < best?.bits ?? bitsPerWord * 0.95 { best = (perWord, groupSize) }
        }
        return best?.groupSize
    }

    /// Puts the words of all groups back.
    ///
    /// - Throws: `MapperError.parameters` for a number beyond its table or without value, or when values are left.
    func restore<Word: WeightWord>(
        _ numbers: UnsafeBufferPointer<UInt8>, _ values: UnsafeBufferPointer<Word>,
        _ body: (UnsafeBufferPointer<Word>) -> Void
    ) throws(MapperError) {
        let batch = wordsAtATime / groupSize * groupSize
        let words = UnsafeMutablePointer<Word>.allocate(capacity: batch)
        defer { words.deallocate() }
        var nextValue = 0
        for start in stride(from: 0, to: numbers.count, by: batch) {
            let count = min(batch, numbers.count - start)
            for group in stride(from: 0, to: count, by: groupSize) {
                // The table is the part of the values that the group has met so far.
                let first = nextValue
                for i in group..<min(group + groupSize, count) {
                    let value = first &+ Int(numbers[start &+ i])
                    if value == nextValue { nextValue &+= 1 }
                    guard value < nextValue, value < values.count else {
                        throw .parameters(
                            expected: "a number below \(nextValue - first + 1), of \(values.count) values",
                            found: "\(numbers[start + i])")
                    }
                    words[i] = values[value]
                }
            }
            body(UnsafeBufferPointer(start: words, count: count))
        }
        guard nextValue == values.count else {
            throw .parameters(expected: "\(values.count) values", found: "\(nextValue)")
        }
    }
}
