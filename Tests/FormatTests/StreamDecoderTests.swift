import Codecs
import Foundation
import TestSupport
import Testing

/// `docs/decode.py` reads single streams that the pipeline does not make by default.
@Suite(.enabled(if: Python.hasModules, "needs the packages of docs/requirements.txt; ./test installs them"))
struct StreamDecoderTests {
    struct Case {
        let codec: String
        let bits: Int
        var width = 37
        var height = 21
        var frames = 1
    }

    static let images = [1, 2, 4, 7, 8, 12, 16].flatMap { bits in
        [Case(codec: "png", bits: bits, frames: 3), Case(codec: "png", bits: bits, width: 1, height: 1, frames: 2)]
            + [Case(codec: "jxl", bits: bits), Case(codec: "jxl:effort=1,center=1", bits: bits, frames: 2)]
    }

    static let videos =
        (1...4).flatMap { bits in
            [36, 37, 1].map { Case(codec: "utvideo:pack=2", bits: bits, width: $0, frames: 4) }
        }
        + (CodecRegistry.all.contains { $0.description.name == "h264" && $0.unavailable == nil }
            ? [Case(codec: "h264:inter=2", bits: 4, frames: 5), Case(codec: "h264:inter=1,qp=20", bits: 9, frames: 5)]
            : [])

    static let tracks = (1...8).flatMap { bits in
        [1, 700, 701].map { Case(codec: "flac:pack=2", bits: bits, width: $0, height: 1) }
    }

    @Test(arguments: [images, videos, tracks]) func pythonReadsTheSameSamples(_ cases: [Case]) throws {
        let folder = try TemporaryFolder()
        var described: [[String: Any]] = []
        for (index, test) in cases.enumerated() {
            let codec = try CodecRegistry.codec(test.codec)
            let format = try FrameFormat(width: test.width, height: test.height, bitDepth: test.bits)
            var generator = SeededGenerator(UInt64(index))
            let stream = try codec.encode(format, count: test.frames) { (_, buffer) in
                // Bell-shaped as weights are, not quite around the middle, up to both ends.
                for position in 0..<format.sampleCount {
                    let spread = generator.normal() / 6 + 0.4
                    let bin = min(max(Int(spread * Float(1 << test.bits)), 0), 1 << test.bits - 1)
                    if format.bytesPerSample == 1 {
                        buffer.storeBytes(of: UInt8(bin), toByteOffset: position, as: UInt8.self)
                    } else {
                        buffer.storeBytes(of: UInt16(bin), toByteOffset: 2 * position, as: UInt16.self)
                    }
                }
            }
            var samples = Data()
            try stream.withUnsafeBytes { bytes in
                try codec.decode(bytes, format, count: test.frames) { (_, frame) in
                    // decode.py has samples of 16 bits only.
                    samples += format.bytesPerSample == 1 ? Data(frame.flatMap { [$0, 0] }) : Data(frame)
                }
            }
            try Data(stream).write(to: URL(filePath: folder["\(index)"]))
            described.append([
                "entry": folder["\(index)"], "codec": codec.specification, "bits": test.bits, "width": test.width,
                "height": test.height, "frames": test.frames, "hash": xxh3(stream), "samples": samples.xxh3,
            ])
        }
        try JSONSerialization.data(withJSONObject: described).write(to: URL(filePath: folder["streams.json"]))
        let script = """
            import json, sys
            sys.path.insert(0, sys.argv[1])
            import decode
            for stream in json.load(open(sys.argv[2])):
                try:
                    frames = decode.read_stream(open(stream["entry"], "rb").read(), stream)
                    samples = b"".join(frame.astype("<u2").tobytes() for frame in frames)
                    decode.check_hash(samples, stream["samples"], "the samples")
                    print("done")
                except Exception as error:
                    print(repr(error).replace("\\n", " "))
            """
        let result = try Python.run(["-c", script, Python.docs.path, folder["streams.json"]])
        let lines = result.output.split(separator: "\n")
        try #require(lines.count == cases.count, "\(result.output)")
        for (test, line) in zip(cases, lines) { #expect(line == "done", "\(test)") }
    }
}
