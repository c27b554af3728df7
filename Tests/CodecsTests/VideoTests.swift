import TestSupport
import Testing

@testable import Codecs

@Suite struct VideoTests {
    static let losslessCases = Available.losslessVideo.flatMap { name in
        let depths = [1, 4, 7, 8, 9, 10, 11, 12, 13, 16].filter { takes(name, $0) }
        let sizes = [(1, 1, 1), (1, 37, 2), (37, 1, 4), (15, 16, 3), (16, 17, 5), (33, 65, 2), (67, 31, 7)]
        return depths.map { Case(codec: name, width: 37, height: 21, bits: $0, count: 2) }
            + sizes.map { Case(codec: name, width: $0.0, height: $0.1, bits: 8, count: $0.2) }
    }

    static func takes(_ name: String, _ bits: Int) -> Bool {
        (try? CodecRegistry.codec(name))?.description.bitDepths.contains(bits) ?? false
    }

    @Test(arguments: losslessCases)
    func losslessVideoIsExact(_ test: Case) throws {
        let codec = try CodecRegistry.codec(test.codec)
        #expect(codec.description.isLossless)
        let frames = try test.frames()
        #expect(try frames.decode(frames.encode(codec), codec) == frames)
    }

    @Test(arguments: ["ffv1", "utvideo"])
    func thousandsOfFramesComeBackInOrder(name: String) throws {
        let codec = try CodecRegistry.codec(name)
        let frames = try Frames.weights(16, 16, bits: 8, count: 2_000)
        #expect(try frames.decode(frames.encode(codec), codec) == frames)
    }

    /// Bins that differ as much as they can need as many bytes as libavcodec's encoder allocates, and in small frames more.
    @Test func utvideoIsExactOnNoiseOfAnySize() throws {
        let codec = try CodecRegistry.codec("utvideo")
        var generator = SeededGenerator(7)
        for (width, height) in [(1, 1), (2, 1), (1, 2), (3, 1), (5, 3), (2, 9), (31, 33), (67, 61)] {
            for bits in [1, 8] {
                let frames = Frames(
                    format: try FrameFormat(width: width, height: height, bitDepth: bits),
                    frames: (0..<3).map { _ in
                        var bins = (0..<width * height).map { $0 % (1 << bits) }
                        bins.shuffle(using: &generator)
                        return bins
                    })
                #expect(try frames.decode(frames.encode(codec), codec) == frames)
            }
        }
    }

    @Test(arguments: 1...4)
    func pairsOfBinsInAPixelAreExact(bits: Int) throws {
        let codec = try CodecRegistry.codec("utvideo:pack=2")
        for (width, height, count) in [(1, 1, 1), (2, 1, 3), (3, 5, 4), (16, 2, 2), (37, 21, 7), (8_192, 3, 2)] {
            let frames = try Frames.weights(width, height, bits: bits, count: count)
            #expect(try frames.decode(frames.encode(codec), codec) == frames, "\(count) of \(width)x\(height)")
        }
    }

    @Test func pairsOfBinsTakeFewerBits() throws {
        let frames = try Frames.weights(512, 256, bits: 4)
        let sizes = try ["utvideo", "utvideo:pack=2"].map { try frames.encode(CodecRegistry.codec($0)).count }
        #expect(sizes[1] < sizes[0])
        let error = try #require(throws: CodecError.self) {
            try Frames.weights(8, 8, bits: 5).encode(CodecRegistry.codec("utvideo:pack=2"))
        }
        #expect("\(error)" == "codec utvideo: expected bit depth 1...4, found 5")
    }

    @Test(arguments: Available.only(["h264"]), [4, 8, 10])
    func framesPredictedFromEarlierOnesAreExactAndSmaller(name: String, bits: Int) throws {
        var frames = try Frames.weights(70, 50, bits: bits, count: 9)
        var generator = SeededGenerator(3)
        // A run of checkpoints: one weight in ten moves by a bin.
        for index in 1..<9 {
            frames.frames[index] = frames.frames[index - 1].map { bin in
                let step = Int.random(in: 0..<20, using: &generator)
                return step > 1 ? bin : min(max(bin + 2 * step - 1, 0), (1 << bits) - 1)
            }
        }
        let alone = try frames.encode(CodecRegistry.codec(name)).count
        for inter in [1, 3, 16] {
            let codec = try CodecRegistry.codec("\(name):inter=\(inter)")
            let stream = try frames.encode(codec)
            #expect(try frames.decode(stream, codec) == frames)
            #expect(try frames.encode(codec) == stream)
            #expect(stream.count < alone / 2)
        }
        // Like frames need not follow each other directly.
        let interleaved = Frames(
            format: frames.format, frames: (0..<9).flatMap { [frames.frames[$0], frames.frames[8 - $0]] })
        let codec = try CodecRegistry.codec("\(name):inter=2")
        #expect(try interleaved.decode(interleaved.encode(codec), codec) == interleaved)
    }

    /// Slices of FFV1 are small in pictures that are long and thin; at one row they came back wrong.
    @Test func ffv1IsExactOnThinFrames() throws {
        let codec = try CodecRegistry.codec("ffv1")
        for (width, height) in [(64, 1), (1, 64), (500, 2), (3, 500), (700, 17), (31, 31)] {
            for bits in [8, 12] {
                let frames = try Frames.weights(width, height, bits: bits)
                #expect(try frames.decode(frames.encode(codec), codec) == frames)
            }
        }
    }

    /// Ut Video's encoder writes planes of two pixels as nothing.
    @Test(arguments: ["ffv1", "utvideo"], [1, 4, 8])
    func losslessVideoIsExactOnTheSmallestFrames(name: String, bits: Int) throws {
        let codec = try CodecRegistry.codec(name)
        for width in 1...5 {
            for height in 1...5 {
                for count in 1...4 {
                    let frames = try Frames.weights(width, height, bits: bits, count: count)
                    #expect(try frames.decode(frames.encode(codec), codec) == frames, "\(count) of \(width)x\(height)")
                }
            }
        }
    }

    @Test(arguments: Available.only(["h264", "hevc", "av1", "vp9"]), [4, 8, 10])
    func finerStepsComeCloser(name: String, bits: Int) throws {
        let frames = try Frames.weights(61, 45, bits: bits, count: 2)
        var last = (quality: 0.0, bytes: 0)
        for qp in [45, 35, 25, 15] {
            let codec = try CodecRegistry.codec("\(name):qp=\(qp)")
            #expect(!codec.description.isLossless)
            let stream = try frames.encode(codec)
            let quality = frames.signalToNoise(try frames.decode(stream, codec))
            #expect(quality > last.quality)
            #expect(stream.count > last.bytes)
            last = (quality, stream.count)
        }
        // 18 dB: neither clipped to a limited range nor of another frame.
        #expect(last.quality > 63)
    }

    @Test(arguments: Available.only(["h264", "hevc", "av1", "vp9"]))
    func theFinestStepIsNearlyExact(name: String) throws {
        let codec = try CodecRegistry.codec("\(name):qp=1")
        let frames = try Frames.weights(64, 48, bits: 8)
        // 30 dB, where bins spread over the whole range from 0 to 255.
        #expect(frames.signalToNoise(try frames.decode(frames.encode(codec), codec)) > 1_000)
    }

    @Test(arguments: Available.losslessVideo + Available.lossyVideo)
    func theLongestSidesAreTaken(name: String) throws {
        let codec = try CodecRegistry.codec(name)
        let (width, height) = (codec.description.maximumWidth, codec.description.maximumHeight)
        for (width, height) in [(width, 3), (3, height)] {
            let frames = try Frames.weights(width, height, bits: 8)
            let back = try frames.decode(frames.encode(codec), codec)
            #expect(codec.description.isLossless ? back == frames : frames.signalToNoise(back) > 10)
        }
    }

    /// Each frame of a lossy video must be most like the one that was put at its place.
    @Test(arguments: Available.lossyVideo)
    func lossyFramesKeepTheirPlaces(name: String) throws {
        let codec = try CodecRegistry.codec(name)
        for (width, height) in [(1, 1), (1, 19), (19, 1), (33, 20)] {
            let frames = try Frames.weights(width, height, bits: 8, count: 5)
            let back = try frames.decode(frames.encode(codec), codec)
            let top = 255
            #expect(back.frames.joined().allSatisfy { (0...top).contains($0) })
            #expect(frames.signalToNoise(back) > 10)
        }
    }

    @Test(arguments: Available.losslessVideo)
    func filesAreMatroskaWithLittleOverhead(name: String) throws {
        let file = try Frames.weights(1, 1, bits: 1).encode(CodecRegistry.codec(name))
        #expect(Array(file[0..<4]) == [0x1A, 0x45, 0xDF, 0xA3])
        #expect(file[0..<64].split(separator: UInt8(ascii: "m")).contains { $0.starts(with: "atroska".utf8) })
        // Ut Video has three tables of 256 bytes in each picture.
        #expect(file.count < (name == "utvideo" ? 1_250 : 650))
        // Names of the encoders' versions would differ between machines.
        for text in ["x264", "x265", "Lavc"] {
            #expect(file.indices.allSatisfy { !file[$0...].starts(with: text.utf8) })
        }
    }

    @Test(arguments: Available.losslessVideo)
    func otherFramesThanWereEncodedAreRefused(name: String) throws {
        let codec = try CodecRegistry.codec(name)
        let frames = try Frames.weights(40, 24, bits: 8, count: 4)
        let file = try frames.encode(codec)
        for (width, height, count) in [(40, 24, 3), (40, 24, 8), (24, 40, 4), (48, 40, 4), (8_000, 8_000, 4)] {
            let format = try FrameFormat(width: width, height: height, bitDepth: 8)
            #expect(throws: CodecError.self, "\(width)x\(height), \(count) frames") {
                try Frames.decode(file, codec, format, count: count)
            }
        }
    }

    @Test func aVideoOfAnotherCodecIsRefused() throws {
        let frames = try Frames.weights(40, 24, bits: 8)
        let file = try frames.encode(CodecRegistry.codec("ffv1"))
        let error = try #require(throws: CodecError.self) {
            try frames.decode(file, CodecRegistry.codec("utvideo"))
        }
        #expect("\(error)".contains("expected a utvideo track, found ffv1"), "\(error)")
    }

    @Test(arguments: Available.losslessVideo)
    func whatACodecCannotHoldIsRefused(name: String) throws {
        let codec = try CodecRegistry.codec(name)
        let most = codec.description.bitDepths.upperBound
        if most < 16 {
            let error = try #require(throws: CodecError.self) {
                try Frames.weights(16, 16, bits: most + 1).encode(codec)
            }
            #expect("\(error)" == "codec \(codec.description.name): expected bit depth 1...\(most), found \(most + 1)")
        }
        let wide = try FrameFormat(width: codec.description.maximumWidth + 1, height: 1, bitDepth: 8)
        #expect(throws: CodecError.self) { try codec.encode(wide, count: 1) { (_, _) in } }
        #expect(throws: CodecError.self) { try Frames.weights(16, 16, bits: 8, count: 1).format.encodeNothing(codec) }
    }

    /// libavcodec's encoders accept options that they do not know, and only log them.
    @Test(arguments: Available.only(["h264", "hevc", "av1", "ffv1"]))
    func anOptionThatTheEncoderLacksIsAnError(name: String) throws {
        let design = try #require([VideoDesign.h264, .hevc, .av1, .ffv1].first { $0.name == name })
        let wrong = VideoDesign(
            name: design.name, summary: design.summary, parameters: design.parameters, encoder: design.encoder,
            decoders: design.decoders,
            options: { (settings, layout) in
                design.options(settings, layout).map { (option, value) in
                    option.hasSuffix("-params") ? (option, value + ":nonsense=3") : (option, value)
                } + (name == "ffv1" ? [("nonsense", "3")] : [])
            },
            pixelFormats: design.pixelFormats, minimumSide: 16)
        let settings = try CodecSettings(codec: name, parameters: design.parameters, assignments: [])
        let codec = try VideoCodec.family(wrong).make(settings)
        #expect(throws: CodecError.self) { try Frames.weights(16, 16, bits: 8).encode(codec) }
    }
}

extension FrameFormat {
    fileprivate func encodeNothing(_ codec: any MediaCodec) throws(CodecError) {
        _ = try codec.encode(self, count: 0) { (_, _) in }
    }
}
