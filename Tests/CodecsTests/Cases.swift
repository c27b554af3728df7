import Testing

@testable import Codecs

/// A codec and frames to try it on.
struct Case: CustomTestStringConvertible, Sendable {
    let codec: String
    let width: Int
    let height: Int
    let bits: Int
    let count: Int

    var testDescription: String { "\(codec), \(count) x \(width)x\(height), \(bits) bits" }

    func frames(seed: UInt64 = 1) throws -> Frames {
        try .weights(width, height, bits: bits, count: count, seed: seed)
    }
}

/// Names of codecs, restricted to those that this machine has.
enum Available {
    static let names = Set(CodecRegistry.all.filter { $0.unavailable == nil }.map(\.description.name))

    static func only(_ specifications: [String]) -> [String] {
        specifications.filter { names.contains(String($0.prefix { $0 != ":" })) }
    }

    static let losslessVideo = only(["utvideo", "ffv1", "h264", "h264:inter=2", "hevc", "av1", "vp9"])
    static let lossyVideo = only(["h264:qp=20", "h264:qp=20,inter=1", "hevc:qp=20", "av1:qp=20", "vp9:qp=20"])
    static let losslessAudio = only(["flac", "wav", "flac:level=8"])
    static let lossyAudio = only(["vorbis", "opus", "mp3"])

    /// One case of each codec, small enough to try many times.
    static let small: [Case] =
        (["png", "jxl"] + losslessVideo + lossyVideo).map { Case(codec: $0, width: 24, height: 17, bits: 8, count: 1) }
        + (losslessAudio + only(["flac:pack=2"]) + lossyAudio).map {
            Case(codec: $0, width: 700, height: 1, bits: 8, count: 1)
        }
}
