import CCodecShims

/// Frames of one geometry in memory, one above the other, as one picture holds them.
///
/// A file of its own costs a small frame more than its bins: an image's header and end, its code tables, its entry in an
/// archive.
struct FrameStack: ~Copyable {
    private let format: FrameFormat
    /// The frames' samples in order; the rows of a frame follow each other, so do the frames.
    let samples: UnsafeMutableRawBufferPointer

    /// The geometry of the picture that holds `count` frames.
    ///
    /// - Throws: `CodecError.unsupported` or `.badFormat` when the codec has no such picture.
    static func picture(_ format: FrameFormat, count: Int, in description: CodecDescription) throws(CodecError)
        -> FrameFormat
    {
        try description.check(format, count: count)
        let (height, overflow) = format.height.multipliedReportingOverflow(by: count)
        let picture = try FrameFormat(
            width: format.width, height: overflow ? Int.max : height, bitDepth: format.bitDepth)
        try description.check(picture, count: 1)
        return picture
    }

    /// Room for all frames of a picture; their samples are not set.
    ///
    /// - Parameter slack: bytes behind the samples that a decoder may write to.
    /// - Throws: `CodecError.unsupported` when memory is short.
    init(_ format: FrameFormat, in picture: FrameFormat, slack: Int = 0, codec: String) throws(CodecError) {
        guard let memory = wc_allocate(picture.byteCount + slack) else {
            throw .unsupported(
                codec: codec, expected: "a picture that fits into memory", found: "\(picture.width)x\(picture.height)")
        }
        self.format = format
        samples = UnsafeMutableRawBufferPointer(start: memory, count: picture.byteCount)
    }

    deinit { wc_release(samples.baseAddress) }

    /// The samples of frame `index`.
    func frame(_ index: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: samples[index * format.byteCount..<(index + 1) * format.byteCount])
    }
}
