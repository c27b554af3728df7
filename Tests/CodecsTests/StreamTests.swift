import TestSupport
import Testing

@testable import Codecs

/// What holds for the streams of every codec.
@Suite struct StreamTests {
    @Test(arguments: Available.small)
    func theSameFramesGiveTheSameBytesOnAnyThread(_ test: Case) async throws {
        let inputs = try (1...3).map { try test.frames(seed: $0) }
        let expected = try inputs.map { try $0.encode(CodecRegistry.codec(test.codec)) }
        #expect(expected[0] != expected[1])
        try await withThrowingTaskGroup { group in
            for round in 0..<9 {
                group.addTask {
                    let codec = try CodecRegistry.codec(test.codec)
                    let stream = try inputs[round % 3].encode(codec)
                    let back = try inputs[round % 3].decode(stream, codec)
                    #expect(!codec.description.isLossless || back == inputs[round % 3])
                    #expect(stream == expected[round % 3])
                }
            }
            try await group.waitForAll()
        }
    }

    @Test(arguments: Available.small)
    func truncatedStreamsThrow(_ test: Case) throws {
        let codec = try CodecRegistry.codec(test.codec)
        let frames = try test.frames()
        let stream = try frames.encode(codec)
        for length in Array(stride(from: 0, to: stream.count, by: max(1, stream.count / 60))) + [stream.count - 1] {
            #expect(throws: CodecError.self, "\(length) of \(stream.count) bytes") {
                try frames.decode(Array(stream[..<length]), codec)
            }
        }
        #expect(throws: CodecError.self) { try frames.decode([], codec) }
        #expect(throws: CodecError.self) { try frames.decode(Array(stream.prefix(40)), codec) }
        #expect(throws: CodecError.self) { try frames.decode(Array("what is this?".utf8), codec) }
    }

    /// A damaged stream throws or gives other samples of the right number; that the process lives is the point.
    @Test(arguments: Available.small)
    func damagedStreamsThrowOrGiveOtherSamples(_ test: Case) throws {
        let codec = try CodecRegistry.codec(test.codec)
        let frames = try test.frames()
        let stream = try frames.encode(codec)
        var generator = SeededGenerator(5)
        var noticed = 0
        for round in 0..<300 {
            var damaged = stream
            for _ in 0...round % 3 {
                // Half of the flips in the headers, which decoders trust most.
                let end = round % 2 == 0 ? min(400, stream.count) : stream.count
                damaged[Int.random(in: 0..<end, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
            do {
                let back = try frames.decode(damaged, codec)
                #expect(back.frames.map(\.count) == frames.frames.map(\.count))
                #expect(back.frames.joined().allSatisfy { (0..<256).contains($0) })
            } catch {
                noticed += 1
            }
        }
        #expect(noticed > 0)
    }
}
