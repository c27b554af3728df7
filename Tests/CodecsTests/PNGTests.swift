import Testing

@testable import Codecs

@Suite struct PNGTests {
    @Test(arguments: 1...16)
    func roundTripIsExactAtEveryBitDepth(bits: Int) throws {
        let codec = try CodecRegistry.codec("png")
        for (width, height) in [(1, 1), (1, 9), (9, 1), (7, 5), (64, 33), (300, 70)] {
            let frames = try Frames.weights(width, height, bits: bits)
            #expect(try frames.decode(frames.encode(codec), codec) == frames)
        }
    }

    @Test(arguments: [1, 3, 4, 8, 12])
    func framesOneAboveTheOtherAreExact(bits: Int) throws {
        let codec = try CodecRegistry.codec("png")
        for (width, height, count) in [(1, 1, 2), (9, 1, 7), (13, 6, 3), (64, 40, 4)] {
            let frames = try Frames.weights(width, height, bits: bits, count: count)
            let file = try frames.encode(codec)
            #expect(Array(file[16..<24]) == [0, 0, 0, UInt8(width), 0, 0, 0, UInt8(height * count)])
            #expect(try frames.decode(file, codec) == frames)
            #expect(throws: CodecError.self) { try Frames.decode(file, codec, frames.format, count: count + 1) }
            #expect(throws: CodecError.self) { try Frames.decode(file, codec, frames.format, count: count - 1) }
        }
        for (height, count) in [(2, Int(Int32.max)), (Int(Int32.max), 2)] {
            let format = try FrameFormat(width: 1, height: height, bitDepth: bits)
            #expect(throws: CodecError.self) { try codec.encode(format, count: count) { (_, _) in } }
            #expect(throws: CodecError.self) { try Frames.decode([], codec, format, count: count) }
        }
    }

    @Test(arguments: ["default", "rle", "filtered", "huffman"], ["none", "sub", "up", "avg", "paeth", "all"])
    func everyStrategyAndFilterIsExact(strategy: String, filter: String) throws {
        for level in [0, 1, 9] {
            let codec = try CodecRegistry.codec("png:strategy=\(strategy),filter=\(filter),level=\(level)")
            for bits in [4, 8, 11] {
                let frames = try Frames.weights(33, 20, bits: bits)
                #expect(try frames.decode(frames.encode(codec), codec) == frames)
            }
        }
    }

    @Test("blocks that end where another code pays are exact, and smaller", arguments: [1, 2, 4, 8, 12])
    func blocksByCost(bits: Int) throws {
        let codec = try CodecRegistry.codec("png:blocks=best")
        for (width, height) in [(1, 1), (1, 9), (9, 1), (64, 33), (500, 300)] {
            let frames = try Frames.weights(width, height, bits: bits)
            let file = try frames.encode(codec)
            #expect(try frames.decode(file, codec) == frames)
            #expect(file.count <= (try frames.encode(CodecRegistry.codec("png"))).count)
        }
    }

    @Test("blocks that are constant, random or change hold what they were given")
    func blocksOfAllKinds() throws {
        let codec = try CodecRegistry.codec("png:blocks=best")
        var state: UInt32 = 1
        func random() -> UInt8 {
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(truncatingIfNeeded: state >> 24)
        }
        // A width of 18 times 1,000 samples; 300 equal ones are runs of more than one match.
        let pictures: [[UInt8]] = [
            [UInt8](repeating: 7, count: 18_000), (0..<18_000).map { _ in random() },
            (0..<18_000).map { $0 / 6000 == 1 ? random() : random() & 3 },
            (0..<18_000).map { $0 / 300 % 2 == 0 ? UInt8($0 / 600) : random() & 7 },
        ]
        // zlib's Huffman codes take 2,331, 18,086, 11,227 and 10,338 bytes.
        for (picture, limit) in zip(pictures, [200, 18_200, 10_700, 4500]) {
            let format = try FrameFormat(width: 1000, height: 18, bitDepth: 8)
            let file = try codec.encode(format, count: 1) { _, buffer in buffer.copyBytes(from: picture) }
            #expect(file.count < limit)
            var decoded: [UInt8] = []
            try file.withUnsafeBytes { try codec.decode($0, format, count: 1) { _, frame in decoded = Array(frame) } }
            #expect(decoded == picture)
        }
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8), (9, 16), (16, 16)])
    func fileHasTheSmallestDepthThatHoldsTheBins(bits: Int, depth: Int) throws {
        let frames = try Frames.weights(20, 10, bits: bits)
        let file = try frames.encode(CodecRegistry.codec("png"))
        #expect(Array(file[0..<8]) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
        #expect(Array(file[12..<29]) == Array("IHDR".utf8) + [0, 0, 0, 20, 0, 0, 0, 10, UInt8(depth), 0, 0, 0, 0])
        let significantBits = Array("sBIT".utf8) + [UInt8(bits)]
        #expect(file.indices.dropLast(5).contains { Array(file[$0..<$0 + 5]) == significantBits } == (bits != depth))
    }

    @Test func picturesWiderThanAMillionAreExact() throws {
        let codec = try CodecRegistry.codec("png")
        let frames = try Frames.weights(1_000_003, 1, bits: 8)
        #expect(try frames.decode(frames.encode(codec), codec) == frames)
    }

    @Test(arguments: [8, 4, 16])
    func everyFlippedBitAndEveryTruncationIsNoticed(bits: Int) throws {
        let codec = try CodecRegistry.codec("png")
        let frames = try Frames.weights(13, 11, bits: bits)
        let file = try frames.encode(codec)
        for position in file.indices {
            for bit in 0..<8 {
                var damaged = file
                damaged[position] ^= 1 << bit
                #expect(throws: CodecError.self, "byte \(position) bit \(bit)") {
                    try frames.decode(damaged, codec)
                }
            }
            #expect(throws: CodecError.self) { try frames.decode(Array(file[..<position]), codec) }
        }
        #expect(throws: CodecError.self) { try frames.decode(file + [0], codec) }
    }

    @Test func aHeaderOfAnotherPictureIsRefused() throws {
        let codec = try CodecRegistry.codec("png")
        let file = try Frames.weights(20, 10, bits: 8).encode(codec)
        for other in [(10, 20, 8), (20, 11, 8), (20, 10, 7), (20, 10, 4), (20, 10, 16), (1_000_000_000, 1_000_000, 8)] {
            let format = try FrameFormat(width: other.0, height: other.1, bitDepth: other.2)
            let error = try #require(throws: CodecError.self) {
                try Frames.decode(file, codec, format, count: 1)
            }
            #expect("\(error)".contains("found 20x10"), "\(error)")
        }
    }

    /// A file of 100 bytes whose sound header promises a picture of a terabyte must fail before anyone allocates it.
    @Test func aHeaderThatTheFileCannotFillIsRefused() throws {
        let codec = try CodecRegistry.codec("png")
        var file = try Frames.weights(20, 10, bits: 8).encode(codec)
        file.replaceSubrange(16..<24, with: [0, 15, 66, 64, 0, 15, 66, 64])
        file.replaceSubrange(29..<33, with: [0x79, 0x06, 0x67, 0xA1])
        let format = try FrameFormat(width: 1_000_000, height: 1_000_000, bitDepth: 8)
        #expect(throws: CodecError.damaged(codec: "png", reason: "the file is truncated")) {
            try Frames.decode(file, codec, format, count: 1)
        }
    }

    @Test func picturesOfSeveralChunksAreExact() throws {
        let codec = try CodecRegistry.codec("png")
        let frames = try Frames.weights(1_900, 1_000, bits: 8)
        let file = try frames.encode(codec)
        #expect(PNGFile(file).chunks.count { $0.type == "IDAT" } > 1)
        #expect(try frames.decode(file, codec) == frames)
    }

    /// What other programs that write PNG may do.
    @Test(arguments: [4, 8, 13])
    func picturesThatWereCutIntoOtherChunksAreExact(bits: Int) throws {
        let codec = try CodecRegistry.codec("png")
        let frames = try Frames.weights(31, 17, bits: bits)
        let file = PNGFile(try frames.encode(codec))
        let picture = file.pictureData
        let text = PNGFile.Chunk(type: "tEXt", data: Array("Title\0a layer".utf8))
        for size in [1, 7, picture.count - 1] {
            let pieces = stride(from: 0, to: picture.count, by: size).map {
                PNGFile.Chunk(type: "IDAT", data: Array(picture[$0..<min($0 + size, picture.count)]))
            }
            for others in [pieces, [text] + pieces, pieces + [text], [.init(type: "IDAT", data: [])] + pieces] {
                #expect(try frames.decode(file.replacing(picture: others).bytes, codec) == frames)
            }
        }
    }

    @Test func chunksThatDoNotMakeAPictureAreRefused() throws {
        let codec = try CodecRegistry.codec("png")
        let frames = try Frames.weights(31, 17, bits: 8)
        let file = PNGFile(try frames.encode(codec))
        let picture = file.pictureData
        let pieces = [picture[..<40], picture[40...]].map { PNGFile.Chunk(type: "IDAT", data: Array($0)) }
        let text = PNGFile.Chunk(type: "tEXt", data: Array("Title\0a layer".utf8))
        let (tooLong, tooShort) = (picture + [0], picture.dropLast(5))
        for others in [
            [pieces[0], text, pieces[1]], [pieces[1], pieces[0]], [pieces[0]], [],
            [.init(type: "IDAT", data: tooLong)], [.init(type: "IDAT", data: Array(tooShort))],
        ] {
            #expect(throws: CodecError.self) { try frames.decode(file.replacing(picture: others).bytes, codec) }
        }
        let taller = PNGFile(try Frames.weights(31, 18, bits: 8).encode(codec)).pictureData
        let other = file.replacing(picture: [.init(type: "IDAT", data: taller)])
        #expect(throws: CodecError.self) { try frames.decode(other.bytes, codec) }
    }
}
