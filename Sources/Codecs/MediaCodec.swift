/// Compresses frames of bin numbers into an ordinary media file, and restores them.
///
/// Streams are the same bytes for the same frames, on every run and on any thread; a codec may be used from several threads
/// at once.
public protocol MediaCodec: Sendable {
    /// What the codec is and takes, with these settings.
    var description: CodecDescription { get }

    /// Canonical text of the name and the parameters that differ from their defaults, as `hevc:qp=20`;
    /// `CodecRegistry.codec` makes an equal codec from it.
    var specification: String { get }

    /// Name and version of the library in use: another version may give other streams of the same frames.
    var libraryVersion: String { get }

    /// Encodes `count` frames as one file.
    ///
    /// - Parameters:
    ///   - format: The geometry of every frame.
    ///   - count: The number of frames; 1 for audio. Images hold several one above the other.
    ///   - fill: Writes frame `i` into a buffer of `format.byteCount` bytes; called once for each frame, in order.
    /// - Throws: `CodecError.unsupported` when the codec cannot hold such frames, `.badSample` when a bin number needs more
    ///   bits than `format.bitDepth`, `.encodingFailed` when the library fails.
    func encode(_ format: FrameFormat, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void)
        throws(CodecError)
        -> [UInt8]

    /// Restores exactly `count` frames of exactly `format`.
    ///
    /// The stream may come from anywhere: its own header is compared with `format` before frames are allocated. A damaged
    /// stream throws or, where the codec keeps no checksum, gives other samples; it never does worse.
    ///
    /// - Parameters:
    ///   - stream: The whole file.
    ///   - format: The geometry that was encoded.
    ///   - count: The number of frames that was encoded.
    ///   - take: Receives frame `i`, valid during the call; called in order. Frames may have been taken before a failure.
    /// - Throws: `CodecError.unsupported`, `.mismatch` when the stream holds something else, `.damaged` otherwise.
    func decode(
        _ stream: UnsafeRawBufferPointer, _ format: FrameFormat, count: Int, take: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(CodecError)
}

extension MediaCodec {
    /// Lets the caller fill a frame, and checks that its samples keep to the format's bit depth.
    func fillFrame(
        _ index: Int, _ format: FrameFormat, _ buffer: UnsafeMutableRawBufferPointer,
        _ fill: (Int, UnsafeMutableRawBufferPointer) -> Void
    ) throws(CodecError) {
        fill(index, buffer)
        guard highestBits(UnsafeRawBufferPointer(buffer), format) >> format.bitDepth == 0 else {
            throw .badSample(codec: description.name, frame: index, bitDepth: format.bitDepth)
        }
    }
}

/// All samples of a frame, ORed together.
private func highestBits(_ frame: UnsafeRawBufferPointer, _ format: FrameFormat) -> Int {
    if format.bytesPerSample == 1 {
        var bits: UInt8 = 0
        for sample in frame { bits |= sample }
        return Int(bits)
    }
    var bits: UInt16 = 0
    for sample in frame.bindMemory(to: UInt16.self) { bits |= sample }
    return Int(bits)
}
