import Testing

@testable import Codecs

@Suite struct AudioTests {
    @Test(arguments: Available.losslessAudio, 1...16)
    func losslessAudioIsExact(name: String, bits: Int) throws {
        let codec = try CodecRegistry.codec(name)
        for samples in [1, 2, 17, 4_097, 40_000] {
            let frames = try Frames.weights(samples, 1, bits: bits)
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
    }

    @Test(arguments: Available.losslessAudio, [4, 8, 12, 16])
    func lopsidedBinsAreExactAndCostWhatCenteredOnesDo(name: String, bits: Int) throws {
        let codec = try CodecRegistry.codec(name)
        let centered = try Frames.weights(40_000, 1, bits: bits)
        // The bulk a quarter of the range lower; what is at the ends stays there, farther from the bulk than half of it.
        var lopsided = centered
        let (quarter, top) = (1 << (bits - 2), (1 << bits) - 1)
        lopsided.frames[0] = centered.frames[0].map { $0 == 0 || $0 == top ? $0 : max($0 - quarter, 0) }
        let stream = try lopsided.encode(codec)
        #expect(try lopsided.decode(stream, codec) == lopsided)
        #expect(try Double(stream.count) < 1.01 * Double(centered.encode(codec).count))
    }

    @Test(arguments: Available.only(["flac:pack=2"]), 1...8)
    func pairsOfBinsInASampleAreExact(name: String, bits: Int) throws {
        let codec = try CodecRegistry.codec(name)
        for samples in [1, 2, 3, 17, 4_097, 40_000] {
            let frames = try Frames.weights(samples, 1, bits: bits)
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
        // Every pair there is; the second time around a silent bin that is not the middle one.
        let bins = 0..<1 << bits
        var all = bins.flatMap { first in bins.flatMap { [first, $0] } }
        for _ in 0..<2 {
            let frames = Frames(format: try FrameFormat(width: all.count, height: 1, bitDepth: bits), frames: [all])
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
            all += Array(repeating: 0, count: all.count)
        }
    }

    @Test(arguments: Available.only(["flac"]), [4, 8])
    func pairsOfBinsTakeFewerBits(name: String, bits: Int) throws {
        let frames = try Frames.weights(40_000, 1, bits: bits)
        let sizes = try [name, "\(name):pack=2"].map { try frames.encode(CodecRegistry.codec($0)).count }
        #expect(sizes[1] < sizes[0])
        let error = try #require(throws: CodecError.self) {
            try Frames.weights(8, 1, bits: 9).encode(CodecRegistry.codec("\(name):pack=2"))
        }
        #expect("\(error)" == "codec flac: expected bit depth 1...8, found 9")
    }

    @Test(arguments: Available.lossyAudio, [3, 8, 12])
    func lossySamplesKeepTheirPlaces(name: String, bits: Int) throws {
        let codec = try CodecRegistry.codec(name)
        #expect(!codec.description.isLossless)
        for samples in [1, 2, 1_001, 30_011] {
            let frames = try Frames.weights(samples, 1, bits: bits)
            let back = try frames.decode(frames.encode(codec), codec)
            #expect(back.frames[0].count == samples)
            #expect(back.frames[0].allSatisfy { (0..<1 << bits).contains($0) })
            // A shift by one sample of such noise would give a ratio below 1.
            if samples > 30_000 { #expect(frames.signalToNoise(back) > 2) }
        }
    }

    @Test(arguments: Available.lossyAudio)
    func betterQualityComesCloser(name: String) throws {
        let frames = try Frames.weights(30_000, 1, bits: 8)
        let quality = try ["0.1", "0.5", "1"].map { (quality) in
            let codec = try CodecRegistry.codec("\(name):quality=\(quality)")
            return frames.signalToNoise(try frames.decode(frames.encode(codec), codec))
        }
        #expect(quality[0] < quality[1])
        #expect(quality[1] < quality[2])
    }

    @Test(arguments: [("flac", "fLaC"), ("wav", "RIFF"), ("vorbis", "OggS"), ("opus", "OggS")])
    func filesHaveTheirSignature(name: String, signature: String) throws {
        guard Available.names.contains(name) else { return }
        let file = try Frames.weights(100, 1, bits: 8).encode(CodecRegistry.codec(name))
        #expect(file.starts(with: signature.utf8))
    }

    @Test(arguments: Available.losslessAudio + Available.lossyAudio + Available.only(["flac:pack=2"]))
    func otherTracksThanWereEncodedAreRefused(name: String) throws {
        let codec = try CodecRegistry.codec(name)
        let frames = try Frames.weights(1_000, 1, bits: 8)
        let file = try frames.encode(codec)
        for samples in [998, 1_002, 2_000_000_000] {
            let format = try FrameFormat(width: samples, height: 1, bitDepth: 8)
            #expect(throws: CodecError.self) { try Frames.decode(file, codec, format, count: 1) }
        }
        if codec.description.isLossless {
            let deeper = try FrameFormat(width: 1_000, height: 1, bitDepth: 9)
            #expect(throws: CodecError.self) { try Frames.decode(file, codec, deeper, count: 1) }
        }
        let tall = try Frames.weights(10, 2, bits: 8)
        #expect(throws: CodecError.self) { try tall.encode(codec) }
        #expect(throws: CodecError.self) { try Frames.weights(10, 1, bits: 8, count: 2).encode(codec) }
    }
}
