import Testing

@testable import Codecs

@Suite struct RegistryTests {
    @Test(arguments: [
        ("png", "png"), ("png:level=9", "png"), ("png:filter=sub:strategy=rle", "png:strategy=rle,filter=sub"),
        ("png:filter=sub,level=+3", "png:filter=sub,level=3"), ("ffv1", "ffv1"), ("flac:level=8", "flac:level=8"),
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
        ("utvideo:qp=3", "unknown parameter 'qp': expected one of pack"),
        ("ffv1:qp=3", "unknown parameter 'qp': expected none"), ("flac:level=9", "expected 0...8, found '9'"),
        ("png:level=1=2", "'level': expected 0...9, found '1=2'"),
    ])
    func badSpecificationsAreNamed(specification: String, message: String) throws {
        let error = try #require(throws: CodecError.self) { try CodecRegistry.codec(specification) }
        #expect("\(error)".contains(message), "\(error)")
    }

    @Test func everyCodecIsListedWithWhatItTakes() {
        let entries = CodecRegistry.all
        let names = entries.map(\.description.name)
        #expect(
            names == [
                "png", "jxl", "utvideo", "ffv1", "h264", "hevc", "av1", "vp9", "flac", "wav", "vorbis", "opus", "mp3",
            ])
        for entry in entries {
            #expect(!entry.description.summary.isEmpty)
            #expect(entry.description.bitDepths.lowerBound == 1)
            let gpl = entry.description.licenseNote?.contains("GPL") ?? false
            #expect(gpl == ["h264", "hevc"].contains(entry.description.name))
        }
        for name in ["png", "jxl", "utvideo", "ffv1", "flac", "wav"] { #expect(Available.names.contains(name)) }
    }

    /// A codec that the libraries lack is named as such, and still listed.
    @Test func anEncoderThatIsMissingIsNamed() throws {
        let design = VideoDesign(
            name: "vvc", summary: "", parameters: [], encoder: "libnothing", decoders: ["vvc"],
            options: { (_, _) in [] },
            pixelFormats: [])
        #expect(design.unavailable == "libnothing is not in this libavcodec")
    }

    @Test(arguments: Available.only(["hevc:qp=20", "av1:speed=4,qp=40", "vorbis:quality=0.25", "h264:preset=slow"]))
    func parametersComeBackFromTheSpecification(specification: String) throws {
        let codec = try CodecRegistry.codec(specification)
        #expect(try CodecRegistry.codec(codec.specification).description == codec.description)
        #expect(codec.specification.count == specification.count)
    }

    @Test func formatsThatCannotBeAreRefused() {
        for (width, height, bits) in [(0, 1, 8), (1, 0, 8), (-1, 4, 8), (4, 4, 0), (4, 4, 17), (Int.max, 2, 8)] {
            #expect(throws: CodecError.self) { try FrameFormat(width: width, height: height, bitDepth: bits) }
        }
    }

    @Test func everyDefaultCodecIsLosslessAndTakesTheDepth() throws {
        for medium in Medium.allCases {
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
