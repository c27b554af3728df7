import Testing

@testable import Codecs

@Suite struct RegistryTests {
    @Test(arguments: [
        ("png", "png"), ("png:level=9", "png"), ("png:filter=sub:strategy=rle", "png:strategy=rle,filter=sub"),
        ("png:filter=sub,level=+3", "png:filter=sub,level=3"),
    ])
    func specificationIsCanonical(given: String, canonical: String) throws {
        #expect(try CodecRegistry.codec(given).specification == canonical)
        #expect(try CodecRegistry.codec(canonical).specification == canonical)
    }

    @Test(arguments: [
        ("", "unknown codec ''"), ("pong", "unknown codec 'pong'"), ("PNG", "unknown codec 'PNG'"),
        ("png:speed=3", "unknown parameter 'speed': expected one of strategy, filter, level"),
        ("png:", "unknown parameter ''"), ("png:level", "'level': expected 0...9, found ''"),
        ("png:level=10", "'level': expected 0...9, found '10'"),
        ("png:level=-1", "'level': expected 0...9, found '-1'"),
        ("png:level=x", "'level': expected 0...9, found 'x'"),
        ("png:filter=best", "'filter': expected none|sub|up|avg|paeth|all, found 'best'"),
        ("png:level=1,level=1", "'level': expected one value, found 'several'"),
        ("png:level=1=2", "'level': expected 0...9, found '1=2'"),
    ])
    func badSpecificationsAreNamed(specification: String, message: String) throws {
        let error = try #require(throws: CodecError.self) { try CodecRegistry.codec(specification) }
        #expect("\(error)".contains(message), "\(error)")
    }

    @Test func formatsThatCannotBeAreRefused() {
        for (width, height, bits) in [(0, 1, 8), (1, 0, 8), (-1, 4, 8), (4, 4, 0), (4, 4, 17), (Int.max, 2, 8)] {
            #expect(throws: CodecError.self) { try FrameFormat(width: width, height: height, bitDepth: bits) }
        }
    }

    @Test func everyDefaultCodecIsLosslessAndTakesTheDepth() throws {
        for medium in [Medium.image] {
            for bits in 1...16 {
                let codec = try CodecRegistry.defaultCodec(for: medium, bitDepth: bits)
                #expect(codec.description.isLossless)
                #expect(codec.description.medium == medium)
                #expect(codec.description.bitDepths.contains(bits))
            }
        }
    }

    @Test func samplesBeyondTheBitDepthAreRefused() throws {
        for (bits, value) in [(3, 8), (12, 4096)] {
            var frames = try Frames.weights(5, 5, bits: bits)
            frames.frames[0][7] = value
            let error = try #require(throws: CodecError.self) { try frames.encode(CodecRegistry.codec("png")) }
            #expect(error == .badSample(codec: "png", frame: 0, bitDepth: bits))
        }
    }
}
