/// One setting of a codec, as `name=value` in a specification.
public struct CodecParameter: Sendable, Equatable {
    /// The values a parameter takes.
    public enum Values: Sendable, Equatable, CustomStringConvertible {
        case integer(ClosedRange<Int>)
        case real(ClosedRange<Double>)
        case choice([String])

        public var description: String {
            switch self {
            case .integer(let range): "\(range.lowerBound)...\(range.upperBound)"
            case .real(let range): "\(range.lowerBound)...\(range.upperBound)"
            case .choice(let names): names.joined(separator: "|")
            }
        }
    }

    public let name: String
    public let meaning: String
    public let values: Values
    /// The value it has when not given; nil where leaving it out means something of its own, as `meaning` says.
    public let defaultValue: String?
}

/// What a codec is and what it takes.
public struct CodecDescription: Sendable, Equatable {
    /// The name in specifications, as `hevc`.
    public let name: String
    public let medium: Medium
    /// One line for a table.
    public let summary: String
    /// Whether every sample comes back exactly, with the settings this describes.
    public let isLossless: Bool
    /// Whether every decoder gives the same samples: not for lossy audio, whose standards leave the rounding open.
    public var decodesExactly: Bool { isLossless || medium != .audio }
    /// Whether frames are predicted from earlier ones, with the settings this describes.
    public var predictsFrames = false
    /// The bit depths of bins it can hold.
    public let bitDepths: ClosedRange<Int>
    /// Of the files its streams are, without the dot.
    public let fileExtension: String
    /// Frames that share one coded picture: 3 where gray frames travel as the planes of a color picture, else 1.
    public let framesPerPicture: Int
    public let maximumWidth: Int
    public let maximumHeight: Int
    /// The most frames in one stream: 1 for audio.
    public let maximumCount: Int
    public let parameters: [CodecParameter]
    /// What the encoder's license means for a distributed binary, where it means something.
    public let licenseNote: String?

    /// Refuses what the codec cannot hold, before anything is allocated.
    ///
    /// - Throws: `CodecError.unsupported` naming what it takes and what was asked.
    func check(_ format: FrameFormat, count: Int) throws(CodecError) {
        guard bitDepths.contains(format.bitDepth) else {
            throw .unsupported(
                codec: name, expected: "bit depth \(bitDepths.lowerBound)...\(bitDepths.upperBound)",
                found: "\(format.bitDepth)")
        }
        guard format.width <= maximumWidth, format.height <= maximumHeight else {
            throw .unsupported(
                codec: name, expected: "frames of at most \(maximumWidth)x\(maximumHeight)",
                found: "\(format.width)x\(format.height)")
        }
        guard (1...maximumCount).contains(count) else {
            throw .unsupported(
                codec: name, expected: maximumCount == 1 ? "one frame" : "1...\(maximumCount) frames", found: "\(count)"
            )
        }
    }
}
