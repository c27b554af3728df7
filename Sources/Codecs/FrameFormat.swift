/// What a coded stream is to the person who opens it.
public enum Medium: String, Sendable, Codable, CaseIterable {
    case image
    case video
    case audio
}

/// Geometry of the frames in one stream.
///
/// Samples are row-major without padding: one byte each up to 8 bits, two bytes in host order (little-endian) above. Each is
/// a bin number in `0 ..< 2^bitDepth`. A video holds `count` frames one after the other, an image one above the other, an
/// audio track one frame of height 1 whose width is the number of samples.
public struct FrameFormat: Hashable, Sendable {
    public let width: Int
    public let height: Int
    /// Bits of a bin number, 1...16, not only those that file formats know.
    public let bitDepth: Int

    /// Checks that a frame of this geometry exists and its size in bytes can be expressed.
    ///
    /// - Throws: `CodecError.badFormat` when a side is below 1, `bitDepth` is not in 1...16, or the size overflows.
    public init(width: Int, height: Int, bitDepth: Int) throws(CodecError) {
        guard width >= 1, height >= 1 else {
            throw .badFormat("frame of \(width)x\(height) samples: expected sides of at least 1")
        }
        guard (1...16).contains(bitDepth) else {
            throw .badFormat("bit depth \(bitDepth): expected 1...16")
        }
        // Headroom, so that sizes of padded and wider frames can be computed without checks.
        let (samples, overflow) = width.multipliedReportingOverflow(by: height)
        guard !overflow, samples <= Int.max >> 8 else {
            throw .badFormat("frame of \(width)x\(height) samples: too large to address")
        }
        self.width = width
        self.height = height
        self.bitDepth = bitDepth
    }

    /// Samples in one frame.
    public var sampleCount: Int { width * height }

    /// Bytes of one sample: 1 up to 8 bits, else 2.
    public var bytesPerSample: Int { bitDepth > 8 ? 2 : 1 }

    /// Bytes of one frame.
    public var byteCount: Int { sampleCount * bytesPerSample }
}
