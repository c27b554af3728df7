import TestSupport
import Testing

@testable import Codecs

/// Pictures of any kind of PNG, made by hand.
struct PictureTests {
    private func png(
        _ width: UInt8, _ height: UInt8, depth: UInt8, color: UInt8, interlaced: Bool = false,
        palette: [UInt8] = [], transparency: [UInt8] = [], _ rows: [[UInt8]]
    ) -> [UInt8] {
        let raw: [UInt8] = rows.flatMap { [0] + $0 }
        let length = UInt16(raw.count)
        let checksum = raw.reduce((UInt32(1), UInt32(0))) { (sums, byte) -> (UInt32, UInt32) in
            let low = (sums.0 + UInt32(byte)) % 65521
            return (low, (sums.1 + low) % 65521)
        }
        let adler = Array(littleEndian(checksum.1 << 16 | checksum.0).reversed())
        // One stored block of deflate in zlib's frame.
        let stream: [UInt8] = [0x78, 0x01, 0x01] + littleEndian(length) + littleEndian(~length) + raw + adler
        var file = PNGFile([])
        file.chunks = [
            .init(
                type: "IHDR",
                data: [0, 0, 0, width, 0, 0, 0, height, depth, color, 0, 0, interlaced ? 1 : 0])
        ]
        if !palette.isEmpty { file.chunks.append(.init(type: "PLTE", data: palette)) }
        if !transparency.isEmpty { file.chunks.append(.init(type: "tRNS", data: transparency)) }
        file.chunks += [.init(type: "IDAT", data: stream), .init(type: "IEND", data: [])]
        return file.bytes
    }

    private func samples(_ file: [UInt8], _ channels: Int) throws -> [UInt8] {
        try file.withUnsafeBytes { bytes in
            #expect(Picture.recognizes(bytes))
            return try Picture(png: bytes, channels: channels).samples
        }
    }

    @Test func everyKindBecomesGrayAndColor() throws {
        let gray = png(2, 1, depth: 8, color: 0, [[7, 250]])
        #expect(try samples(gray, 1) == [7, 250])
        #expect(try samples(gray, 3) == [7, 7, 7, 250, 250, 250])
        let bits = png(3, 1, depth: 1, color: 0, [[0b1010_0000]])
        #expect(try samples(bits, 1) == [255, 0, 255])
        let deep = png(2, 1, depth: 16, color: 0, [[0x80, 0x80, 0xff, 0xff]])
        #expect(try samples(deep, 1) == [0x80, 0xff])
        let color = png(2, 1, depth: 8, color: 2, [[255, 0, 0, 10, 10, 10]])
        #expect(try samples(color, 3) == [255, 0, 0, 10, 10, 10])
        #expect(try samples(color, 1) == [76, 10])
        let clear = png(2, 1, depth: 8, color: 6, [[1, 2, 3, 0, 4, 5, 6, 255]])
        #expect(try samples(clear, 3) == [1, 2, 3, 4, 5, 6])
        let grayAlpha = png(2, 1, depth: 8, color: 4, [[9, 0, 8, 255]])
        #expect(try samples(grayAlpha, 1) == [9, 8])
        let colors = png(
            2, 1, depth: 8, color: 3, palette: [1, 2, 3, 200, 100, 0], transparency: [0, 128], [[1, 0]])
        #expect(try samples(colors, 3) == [200, 100, 0, 1, 2, 3])
    }

    @Test func interlacedRowsComeInOrder() throws {
        let file = png(2, 2, depth: 8, color: 0, interlaced: true, [[1], [2], [3, 4]])
        #expect(try samples(file, 1) == [1, 2, 3, 4])
    }

    @Test func damagedFilesAreRefused() throws {
        let file = png(2, 2, depth: 8, color: 2, [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]])
        for end in 0..<file.count {
            #expect(throws: CodecError.self) {
                try file[..<end].withUnsafeBytes { try Picture(png: $0, channels: 3) }
            }
        }
        for place in file.indices {
            var other = file
            other[place] ^= 0x10
            // What is still whole may be read: a changed type of a chunk that nobody needs.
            _ = try? other.withUnsafeBytes { try Picture(png: $0, channels: 1) }
        }
        var huge = file
        huge.replaceSubrange(16..<24, with: [0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff])
        huge.replaceSubrange(29..<33, with: littleEndian(crc32(huge[12..<29])).reversed())
        #expect(throws: CodecError.self) { try huge.withUnsafeBytes { try Picture(png: $0, channels: 3) } }
    }
}

/// Sounds of the kinds that networks take.
struct SoundTests {
    private func wav(_ samples: [Int16], channels: UInt16 = 1) -> [UInt8] {
        let data = samples.flatMap { littleEndian($0) }
        let format =
            littleEndian(UInt16(1)) + littleEndian(channels) + littleEndian(UInt32(16000))
            + littleEndian(UInt32(16000) * 2 * UInt32(channels)) + littleEndian(2 * channels) + littleEndian(UInt16(16))
        let chunks =
            Array("WAVEfmt ".utf8) + littleEndian(UInt32(16)) + format + Array("data".utf8)
            + littleEndian(UInt32(data.count)) + data
        return Array("RIFF".utf8) + littleEndian(UInt32(chunks.count)) + chunks
    }

    @Test func samplesAreFloats() throws {
        let mono = wav([0, 16384, -32768])
        try mono.withUnsafeBytes { bytes in
            #expect(Sound.recognizes(bytes))
            let sound = try Sound(bytes)
            #expect(sound.samples == [0, 0.5, -1] && sound.rate == 16000 && sound.channels == 1)
        }
        let stereo = try wav([1, 2, 3, 4], channels: 2).withUnsafeBytes { try Sound($0) }
        #expect(stereo.channels == 2 && stereo.samples.count == 4)
        let long = try wav([Int16](repeating: 5, count: 100_000)).withUnsafeBytes { try Sound($0) }
        #expect(long.samples.count == 100_000)
    }

    @Test func otherBytesAreRefused() throws {
        let file = wav([1, 2, 3])
        for end in [0, 3, 12, 20, 36] {
            #expect(throws: CodecError.self) { try file[..<end].withUnsafeBytes { try Sound($0) } }
        }
    }
}
