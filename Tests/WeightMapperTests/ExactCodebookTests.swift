import TestSupport
import Testing

@testable import WeightMapper

@Suite struct ExactCodebookTests {
    /// Splits a tensor, sends the codebook through its bytes, and restores.
    func restored(_ bytes: [UInt8], _ format: FloatFormat, columns: Int) throws -> (bytes: [UInt8], cost: Int) {
        let (codebook, run) = bytes.withUnsafeBytes {
            ExactCodebook.split($0, format: format, columnCount: columns)
        }
        let read = try ExactCodebook(codebook.serialized, format: format, count: bytes.count * 8 / format.bits)
        #expect(read == codebook)
        return (try restore(read, run), run.count + codebook.serialized.count)
    }

    func restore(_ codebook: ExactCodebook, _ run: [UInt8]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try run.withUnsafeBufferPointer { try codebook.restore($0) { bytes += $0 } }
        return bytes
    }

    /// Numbers with the format's bits, little-endian.
    func stored(_ words: [UInt64], _ format: FloatFormat) -> [UInt8] {
        words.flatMap { littleEndian($0).prefix(format.bits / 8) }
    }

    /// A bell-shaped weight in a format, by way of float64's bits.
    func word(_ value: Double, _ format: FloatFormat) -> UInt64 {
        let bias = 1 << (format.bits - 2 - format.mantissaBits) - 1
        let exponent = value.exponent + bias
        let sign = value.sign == .minus ? UInt64(1) << UInt64(format.bits - 1) : 0
        guard value != 0, exponent > 0 else { return sign }
        let mantissa = value.significandBitPattern >> UInt64(52 - format.mantissaBits)
        return sign | UInt64(exponent) << UInt64(format.mantissaBits) | mantissa
    }

    @Test("every bit pattern of 8 and 16 bits comes back", arguments: FloatFormat.allCases.filter { $0.bits <= 16 })
    func everyPattern(format: FloatFormat) throws {
        let words = (0..<UInt64(1) << UInt64(format.bits)).map { $0 }
        for columns in [1, 16, words.count] {
            let bytes = stored(words, format)
            #expect(try restored(bytes, format, columns: columns).bytes == bytes)
        }
    }

    @Test("zeros, denormals, infinities and NaN with payloads come back among weights", arguments: FloatFormat.allCases)
    func specialValues(format: FloatFormat) throws {
        let sign = UInt64(1) << UInt64(format.bits - 1)
        let mantissa = UInt64(1) << UInt64(format.mantissaBits) - 1
        let exponent = sign - 1 - mantissa
        let special = [0, 1, mantissa, mantissa + 1, exponent, exponent | 1, exponent | mantissa, exponent - 1]
        var random = SeededGenerator(UInt64(format.bits))
        for every in [2, 7, 1000] {
            var words: [UInt64] = []
            for i in 0..<40 * 250 {
                let kept = special[i / every % special.count] | (i % 3 == 0 ? sign : 0)
                words.append(i % every == 0 ? kept : word(Double(random.normal()) * 0.05, format))
            }
            let bytes = stored(words, format)
            #expect(try restored(bytes, format, columns: 250).bytes == bytes)
        }
    }

    @Test("random bits come back in any shape, and cost hardly more", arguments: FloatFormat.allCases)
    func randomBits(format: FloatFormat) throws {
        var random = SeededGenerator(7)
        for (count, columns) in [
            (1, 1), (2, 1), (7, 7), (9, 3), (8191, 1), (8193, 8193), (3 * 8200, 8200), (40_000, 8),
        ] {
            let bytes = stored((0..<count).map { _ in random.next() }, format)
            let result = try restored(bytes, format, columns: columns)
            #expect(result.bytes == bytes)
            // 16 bits more for each exponent that has no symbol: a 64-bit number's have 2,048 values.
            #expect(result.cost <= bytes.count * (format == .f64 ? 5 : 4) / 4 + columns + count / columns + 40)
        }
    }

    @Test("rows and columns of unlike scales come back", arguments: FloatFormat.allCases)
    func scales(format: FloatFormat) throws {
        var random = SeededGenerator(3)
        for (rows, columns) in [(64, 300), (300, 64), (5, 9000), (2000, 9)] {
            var words: [UInt64] = []
            for row in 0..<rows {
                for column in 0..<columns {
                    let scale = Double(1 + row % 17) * Double(1 + column % 5) / 500
                    words.append(word(Double(random.normal()) * scale, format))
                }
            }
            let bytes = stored(words, format)
            #expect(try restored(bytes, format, columns: columns).bytes == bytes)
        }
    }

    @Test("a constant tensor is one symbol for each number", arguments: FloatFormat.allCases)
    func constants(format: FloatFormat) throws {
        for value in [0, 1, 0x3f, UInt64.max] {
            let bytes = stored(Array(repeating: value, count: 5000), format)
            let result = try restored(bytes, format, columns: 50)
            #expect(result.bytes == bytes)
            #expect(result.cost < 5040)
        }
    }

    @Test("float32 numbers that hold 16-bit ones cost no more than those")
    func narrowValues() throws {
        var random = SeededGenerator(5)
        let values = (0..<100 * 200).map { _ in Float16(random.normal()) }
        let wide = values.flatMap { littleEndian(Float($0).bitPattern) }
        let narrow = values.flatMap { littleEndian($0.bitPattern) }
        let result = try restored(wide, .f32, columns: 200)
        #expect(result.bytes == wide)
        // The exponents of denormals differ, and one more binade has a symbol.
        #expect(result.cost <= (try restored(narrow, .f16, columns: 200)).cost * 11 / 10)
        let halves = values.flatMap { littleEndian(Float($0).bitPattern & 0xffff_0000) }
        #expect(try restored(halves, .f32, columns: 200).cost <= 2 * values.count + 1000)
    }

    @Test("weights widened from groups of a few values cost a table for each group", arguments: [32, 128])
    func palettes(groupSize: Int) throws {
        var random = SeededGenerator(11)
        var values: [Float] = []
        for _ in 0..<400 {
            let scale = Float.random(in: 0.01...0.02, using: &random)
            for _ in 0..<groupSize { values.append(scale * Float(Int.random(in: -3...3, using: &random))) }
        }
        let bytes = values.dropLast(5).flatMap { littleEndian($0.bitPattern) }
        let result = try restored(bytes, .f32, columns: 1)
        #expect(result.bytes == bytes)
        #expect(result.cost < bytes.count * (groupSize == 32 ? 14 : 10) / 24)
    }

    @Test("codebooks that somebody changed are refused, or give other bytes, but never fail otherwise")
    func hostileCodebooks() throws {
        var random = SeededGenerator(1)
        let plain = (0..<20 * 90).map { _ in word(Double(random.normal()), .f32) }
        let grouped = (0..<20 * 90).map { plain[$0 / 64 * 3 + Int(random.next() % 3)] }
        for words in [plain + [.max, 1 << 31, 1, 0, 1 << 23], grouped] {
            let bytes = stored(words, .f32)
            let (codebook, run) = bytes.withUnsafeBytes { ExactCodebook.split($0, format: .f32, columnCount: 90) }
            let serialized = codebook.serialized
            func attempt(_ changed: [UInt8], _ run: [UInt8]) {
                guard let read = try? ExactCodebook(changed, format: .f32, count: words.count) else { return }
                #expect(
                    throws: (any Error).self,
                    performing: {
                        let restored = try restore(read, run)
                        #expect(restored.count == bytes.count)
                        throw CancellationError()
                    })
            }
            for place in serialized.indices.prefix(60) {
                for value in [0, 1, 2, 127, 128, 255, serialized[place] ^ 1] {
                    var changed = serialized
                    changed[place] = value
                    attempt(changed, run)
                }
                #expect(throws: MapperError.self) {
                    try ExactCodebook(Array(serialized.prefix(place)), format: .f32, count: words.count)
                }
            }
            #expect(throws: MapperError.self) {
                try ExactCodebook(serialized + [0], format: .f32, count: words.count)
            }
            #expect(throws: MapperError.self) { try restore(codebook, run.dropLast()) }
            for _ in 0..<200 {
                var changed = run
                for _ in 0..<3 {
                    changed[Int(random.next() % UInt64(run.count))] = UInt8(truncatingIfNeeded: random.next())
                }
                attempt(serialized, changed)
            }
        }
    }

    @Test("numbers of 1, 2 and 4 bits come back from bytes", arguments: [1, 2, 4])
    func packing(width: Int) {
        var random = SeededGenerator(UInt64(width))
        for count in [0, 1, 3, 7, 8, 9, 64, 1001] {
            let numbers = (0..<count).map { _ in UInt8(random.next() % (1 << UInt64(width))) }
            var packed = [UInt8](repeating: 0, count: packedSize(count, width: width))
            numbers.withUnsafeBufferPointer { pack($0, width: width, into: &packed) }
            for (i, number) in numbers.enumerated() {
                #expect(packed[i * width / 8] >> UInt8(i * width % 8) & UInt8(1 << width - 1) == number)
            }
            var unpacked = [UInt8](repeating: 0, count: count + 8)
            packed.withUnsafeBufferPointer { unpack($0, width: width, count: count, into: &unpacked) }
            #expect(Array(unpacked.prefix(count)) == numbers)
        }
    }
}
