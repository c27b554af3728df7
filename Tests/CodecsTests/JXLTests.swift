import TestSupport
import Testing

@testable import Codecs

@Suite struct JXLTests {
    @Test(arguments: 1...16)
    func roundTripIsExactAtEveryBitDepth(bits: Int) throws {
        let codec = try CodecRegistry.codec("jxl")
        for (width, height) in [(1, 1), (1, 9), (9, 1), (7, 5), (64, 33), (300, 70)] {
            let frames = try Frames.weights(width, height, bits: bits)
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
    }

    /// Every bin that exists, so that none is lost where samples are spread over 8 or 16 bits.
    @Test(arguments: [1, 3, 5, 7, 8, 9, 11, 13, 15, 16])
    func everyBinComesBack(bits: Int) throws {
        let side = 1 << ((bits + 1) / 2)
        let frames = Frames(
            format: try FrameFormat(width: side, height: side, bitDepth: bits),
            frames: [(0..<side * side).map { $0 & ((1 << bits) - 1) }])
        for center in [0, 1, (1 << bits) - 1] {
            let codec = try CodecRegistry.codec("jxl:center=\(center)")
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
    }

    @Test(arguments: 1...9, [0, 50])
    func everyEffortIsExact(effort: Int, tree: Int) throws {
        let codec = try CodecRegistry.codec("jxl:effort=\(effort),tree=\(tree)")
        for bits in [4, 8, 11] {
            let frames = try Frames.weights(130, 70, bits: bits)
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
    }

    /// Of fewer than 100 numbers, and where none is a surprise, libjxl may choose a code that it cannot write, and then ends the
    /// process.
    @Test(arguments: 1...9, [0, 50])
    func fewSamplesAreExactAtEveryEffort(effort: Int, tree: Int) throws {
        let codec = try CodecRegistry.codec("jxl:effort=\(effort),tree=\(tree)")
        for bits in [1, 8, 9, 16] {
            let top = (1 << bits) - 1
            let contents: [(Int) -> Int] = [
                { _ in 0 }, { _ in top }, { $0 == 0 ? top : 0 }, { $0 % 3 == 0 ? top / 2 : 0 }, { $0 * 7919 & top },
            ]
            for (width, height) in [(1, 1), (2, 1), (1, 16), (8, 8), (33, 3), (10, 10)] {
                for content in contents {
                    let frames = Frames(
                        format: try FrameFormat(width: width, height: height, bitDepth: bits),
                        frames: [(0..<width * height).map(content)])
                    #expect(try frames.decode(frames.encode(codec), codec) == frames)
                }
            }
        }
    }

    @Test(arguments: [8, 9], [8, 9, 12])
    func picturesWithoutSurprisesAreExact(effort: Int, bits: Int) throws {
        let codec = try CodecRegistry.codec("jxl:effort=\(effort)")
        let middle = 1 << (bits - 1)
        for (width, height) in [(32, 32), (100, 100), (300, 7)] {
            let contents: [(Int) -> Int] = [
                { $0 < width ? middle - 75 : middle - 2 }, { _ in middle + 100 },
                { $0 % 2 == 0 ? middle - 120 : middle },
                { $0 % width < 5 ? middle + 99 : middle - 100 }, { $0 == 0 ? middle - 128 : middle },
            ]
            for content in contents {
                let frames = Frames(
                    format: try FrameFormat(width: width, height: height, bitDepth: bits),
                    frames: [(0..<width * height).map(content)])
                #expect(try frames.decode(frames.encode(codec), codec) == frames)
            }
        }
    }

    @Test(arguments: [1, 4, 8, 12])
    func framesOneAboveTheOtherAreExact(bits: Int) throws {
        let codec = try CodecRegistry.codec("jxl")
        for (width, height, count) in [(1, 1, 2), (9, 1, 7), (64, 40, 4)] {
            let frames = try Frames.weights(width, height, bits: bits, count: count)
            let file = try frames.encode(codec)
            #expect(try frames.decode(file, codec) == frames)
            #expect(throws: CodecError.self) { try Frames.decode(file, codec, frames.format, count: count + 1) }
        }
    }

    @Test func longSidesAreExact() throws {
        let codec = try CodecRegistry.codec("jxl")
        // Beyond 2^18 a picture takes the container and another level of the standard.
        for (width, height) in [(300_000, 1), (1, 270_000)] {
            let frames = try Frames.weights(width, height, bits: 4)
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
    }

    /// Bins around another one than the middle cost as much as those around the middle, once the codec is told.
    @Test func theCenterSavesBits() throws {
        let middle = try Frames.weights(256, 128, bits: 8)
        var aside = middle
        aside.frames[0] = middle.frames[0].map { ($0 + 256 - 100) % 256 }
        let sizes = try [
            middle.encode(CodecRegistry.codec("jxl")), aside.encode(CodecRegistry.codec("jxl:center=28")),
            aside.encode(CodecRegistry.codec("jxl")),
        ].map(\.count)
        #expect(sizes[0] == sizes[1])
        #expect(sizes[2] > sizes[1])
        let error = try #require(throws: CodecError.self) {
            try Frames.weights(4, 4, bits: 3).encode(CodecRegistry.codec("jxl:center=8"))
        }
        #expect("\(error)" == "codec jxl: expected a center of 3 bits, found 8")
    }

    @Test func aPictureOfAnotherKindIsRefused() throws {
        let codec = try CodecRegistry.codec("jxl")
        let file = try Frames.weights(20, 10, bits: 8).encode(codec)
        for other in [(10, 20, 8), (20, 11, 8), (20, 10, 7), (20, 10, 16), (1_000_000, 1_000_000, 8)] {
            let format = try FrameFormat(width: other.0, height: other.1, bitDepth: other.2)
            let error = try #require(throws: CodecError.self) { try Frames.decode(file, codec, format, count: 1) }
            #expect("\(error)".contains("found 20x10, 1 channels, 8 bits"), "\(error)")
        }
        #expect(throws: CodecError.self) {
            try Frames.decode(file + [0], codec, FrameFormat(width: 20, height: 10, bitDepth: 8), count: 1)
        }
    }
}
