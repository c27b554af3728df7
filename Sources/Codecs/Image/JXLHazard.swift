/// Pictures with which efforts 8 and 9 of libjxl 0.7 end the process.
///
/// A prefix code is made of fewer than 100 numbers, and of any where no context leaves a choice. These efforts then try ways of
/// coding of more than 256 letters, which numbers from 256 on need, and reckon their cost by a function that asserts fewer. Numbers
/// are twice the samples.
enum JXLHazard {
    /// Whether a picture may be such a one; `samples` are spread over all values of 8 or 16 bits.
    static func isIn(_ samples: UnsafeRawBufferPointer, _ picture: FrameFormat) -> Bool {
        picture.bytesPerSample == 1
            ? isIn(samples.bindMemory(to: UInt8.self), picture) : isIn(samples.bindMemory(to: UInt16.self), picture)
    }

    private static func isIn<Sample: FixedWidthInteger>(
        _ samples: UnsafeBufferPointer<Sample>, _ picture: FrameFormat
    ) -> Bool {
        let (top, full) = ((1 << picture.bitDepth) - 1, Int(Sample.max))
        func value(_ sample: Sample) -> Int { (Int(sample) * top + full / 2) / full }
        guard value(samples.max() ?? 0) >= 128 else { return false }
        return samples.count < 100 || isForeseeable(picture.width, samples.count) { letter(2 * value(samples[$0])) }
    }

    /// The letter, below 68, that a number has where libjxl looks for contexts that leave no choice.
    private static func letter(_ number: Int) -> Int {
        guard number >= 16 else { return number }
        let bits = Int.bitWidth - 1 - number.leadingZeroBitCount
        return 4 * bits + (number >> (bits - 2)) & 3
    }

    /// Whether nearly every letter follows from those to the left and above.
    private static func isForeseeable(_ width: Int, _ count: Int, _ letter: (Int) -> Int) -> Bool {
        let letters = 68
        var counts = [UInt32](repeating: 0, count: letters * letters * letters)
        var row = [Int](repeating: 0, count: width)
        var left = 0
        for index in 0..<count {
            let x = index % width
            let found = letter(index)
            counts[(row[x] * letters + (x == 0 ? row[0] : left)) * letters + found] += 1
            row[x] = found
            left = found
        }
        var foreseen = 0
        for start in stride(from: 0, to: counts.count, by: letters) {
            foreseen += Int(counts[start..<start + letters].max() ?? 0)
        }
        return (count - foreseen) * 16 <= count
    }
}
