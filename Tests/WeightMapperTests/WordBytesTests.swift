import TestSupport
import Testing

@testable import WeightMapper

@Suite struct WordBytesTests {
    @Test(arguments: FloatFormat.allCases)
    func everyWordComesBack(format: FloatFormat) throws {
        var random = SeededGenerator(5)
        // More than are worked on at a time.
        for count in [0, 1, 7, 2 * wordsAtATime + 3] {
            let bytes = (0..<count * format.bits / 8).map { _ in UInt8.random(in: 0...255, using: &random) }
            let planes = bytes.withUnsafeBytes { WordBytes.split($0, format) }
            #expect(planes.count == WordBytes.count(of: count, format))
            var restored = [UInt8](repeating: 0, count: bytes.count)
            try planes.withUnsafeBufferPointer { planes in
                try restored.withUnsafeMutableBytes { try WordBytes.join(planes, format, into: $0) }
            }
            #expect(restored == bytes)
        }
    }

    @Test func theExponentComesFirstAndTheSignLast() {
        // -1.5 and 0.25 of float32: bits 1 01111111 1000..., 0 01111101 0000...
        let words = [Float(-1.5), 0.25].flatMap { littleEndian($0.bitPattern) }
        let planes = words.withUnsafeBytes { WordBytes.split($0, .f32) }
        #expect(planes == [127, 125, 0x80, 0, 0, 0, 1, 0])
        let half = littleEndian(UInt16(0xbfc0)).withUnsafeBytes { WordBytes.split($0, .bf16) }
        #expect(half == [127, 0x81])
    }

    @Test func tensorsOfEveryTypeShareARun() throws {
        var random = SeededGenerator(6)
        let tensors = (FloatFormat.allCases + FloatFormat.allCases.reversed()).enumerated().map { number, format in
            (format: format, count: number == 3 ? 0 : 5 + number)
        }
        let bytes = tensors.map { format, count in
            (0..<count * format.bits / 8).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        var run = WordRun()
        for (tensor, bytes) in zip(tensors, bytes) { bytes.withUnsafeBytes { run.add($0, tensor.format) } }
        #expect(run.bytes.count == tensors.count + bytes.reduce(0) { $0 + $1.count })
        var restored: [[UInt8]] = []
        try WordRun.restore(run.bytes, tensors) { restored.append(Array($1)) }
        #expect(restored == bytes)
        for wrong in [[], Array(run.bytes.dropLast()), run.bytes + [0]] {
            #expect(throws: MapperError.self) { try WordRun.restore(wrong, tensors) { _, _ in } }
        }
    }

    @Test func firstBytesAreCountedFromTheCommonest() {
        var run = WordRun()
        for scale in [Float(1), 0x1p-20] {
            [scale, -1.5 * scale, 2 * scale].flatMap { littleEndian($0.bitPattern) }.withUnsafeBytes {
                run.add($0, .f32)
            }
        }
        #expect(run.bytes.prefix(8) == [127, 107, 0, 0, 1, 0, 0, 1])
    }

    @Test func otherSizesAreRefused() {
        var bytes = [UInt8](repeating: 0, count: 6)
        for count in [0, 5, 7, 8] {
            let planes = [UInt8](repeating: 0, count: count)
            #expect(throws: MapperError.self) {
                try planes.withUnsafeBufferPointer { planes in
                    try bytes.withUnsafeMutableBytes { try WordBytes.join(planes, .f16, into: $0) }
                }
            }
        }
    }
}
