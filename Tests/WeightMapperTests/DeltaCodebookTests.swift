import TestSupport
import Testing

@testable import WeightMapper

@Suite struct DeltaCodebookTests {
    /// Splits a tensor by its base, sends the codebook through its bytes, and restores.
    func restored(_ words: [UInt64], _ base: [UInt64], _ format: FloatFormat) throws -> (words: [UInt64], cost: Int) {
        let (bytes, baseBytes) = (stored(words, format), stored(base, format))
        let (codebook, run) = bytes.withUnsafeBytes { bytes in
            baseBytes.withUnsafeBytes { DeltaCodebook.split(bytes, base: $0, format: format) }
        }
        let read = try DeltaCodebook(codebook.serialized, format: format, count: words.count)
        #expect(read == codebook)
        return (try restore(read, run, baseBytes), run.count + codebook.serialized.count)
    }

    func restore(_ codebook: DeltaCodebook, _ run: [UInt8], _ base: [UInt8]) throws -> [UInt64] {
        var bytes: [UInt8] = []
        try base.withUnsafeBytes { base in
            try run.withUnsafeBufferPointer { try codebook.restore($0, base: base) { bytes += $0 } }
        }
        let size = codebook.format.bits / 8
        return stride(from: 0, to: bytes.count, by: size).map { start in
            (0..<size).reduce(0) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
        }
    }

    func stored(_ words: [UInt64], _ format: FloatFormat) -> [UInt8] {
        words.flatMap { littleEndian($0).prefix(format.bits / 8) }
    }

    @Test("any tensor comes back from any base", arguments: FloatFormat.allCases)
    func anyBase(format: FloatFormat) throws {
        var random = SeededGenerator(UInt64(format.mantissaBits))
        let mask = UInt64.max >> UInt64(64 - format.bits)
        let special: [UInt64] = [0, mask, mask >> 1, mask ^ mask >> 1, 1, mask - 1]
        for count in [1, 5, 8192, 20_001] {
            let base = (0..<count).map { $0 % 9 == 0 ? special[$0 / 9 % 6] : random.next() & mask }
            let words = (0..<count).map { $0 % 7 == 0 ? special[$0 / 7 % 6] : random.next() & mask }
            #expect(try restored(words, base, format).words == words)
            #expect(try restored(base, base, format).words == base)
        }
    }

    @Test("small changes cost little, down to nothing but a symbol where there are none")
    func smallChanges() throws {
        var random = SeededGenerator(8)
        let base = (0..<50_000).map { _ in UInt64((random.normal() * 0.1).bitPattern) }
        let same = try restored(base, base, .f32)
        #expect(same.words == base)
        #expect(same.cost <= base.count + 1000)
        // A step of training: all weights move by like amounts.
        let trained = base.map { word in
            UInt64((Float(bitPattern: UInt32(word)) + random.normal() * 1e-5).bitPattern)
        }
        let step = try restored(trained, base, .f32)
        #expect(step.words == trained)
        #expect(step.cost < base.count * 5 / 2)
    }

    @Test("another base is noticed or gives other weights, and codebooks that somebody changed are refused or do")
    func hostile() throws {
        var random = SeededGenerator(2)
        let base = (0..<9000).map { _ in UInt64((random.normal() * 0.1).bitPattern) }
        let words = base.map { $0 &+ random.next() % 1000 }
        let (bytes, baseBytes) = (stored(words, .f32), stored(base, .f32))
        let (codebook, run) = bytes.withUnsafeBytes { bytes in
            baseBytes.withUnsafeBytes { DeltaCodebook.split(bytes, base: $0, format: .f32) }
        }
        let other = stored(base.map { $0 ^ 1 << 24 }, .f32)
        #expect(throws: MapperError.self) { try restore(codebook, run, other) }
        #expect(throws: MapperError.self) { try restore(codebook, run, Array(other.dropLast(4))) }
        #expect(throws: MapperError.self) { try restore(codebook, Array(run.dropLast()), baseBytes) }
        let serialized = codebook.serialized
        for place in serialized.indices {
            for value in [0, 1, 127, 128, 255, serialized[place] ^ 1] {
                var changed = serialized
                changed[place] = value
                guard let read = try? DeltaCodebook(changed, format: .f32, count: words.count) else { continue }
                if let found = try? restore(read, run, baseBytes) { #expect(found.count == words.count) }
            }
            #expect(throws: MapperError.self) {
                try DeltaCodebook(Array(serialized.prefix(place)), format: .f32, count: words.count)
            }
        }
    }
}
