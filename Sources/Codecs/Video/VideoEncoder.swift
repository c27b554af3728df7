import CCodecShims

/// One run of a libavcodec encoder into a Matroska file.
final class VideoEncoder {
    private let codec: String
    private let layout: PictureLayout
    private let pictureCount: Int
    private let buffers: LibavBuffers
    private var context: UnsafeMutablePointer<AVCodecContext>?
    private var filter: PacketFilter?
    private var writer: MatroskaWriter?
    private var nextPicture: Int64 = 0

    /// Opens the encoder that `design` names.
    ///
    /// - Throws: `CodecError.encodingFailed` also when the library does not know an option.
    init(_ design: VideoDesign, _ settings: CodecSettings, _ layout: PictureLayout, pictureCount: Int)
        throws(CodecError)
    {
        codec = settings.codec
        self.layout = layout
        self.pictureCount = pictureCount
        guard let buffers = LibavBuffers(), let encoder = libav.avcodec_find_encoder_by_name(design.encoder),
            let context = libav.avcodec_alloc_context3(encoder)
        else { throw .encodingFailed(codec: settings.codec, reason: "out of memory") }
        self.buffers = buffers
        self.context = context
        context.pointee.width = Int32(layout.width)
        context.pointee.height = Int32(layout.height)
        context.pointee.pix_fmt = layout.pixelFormat
        context.pointee.time_base = AVRational(num: 1, den: MatroskaWriter.frameRate)
        context.pointee.framerate = AVRational(num: MatroskaWriter.frameRate, den: 1)
        context.pointee.color_range = AVCOL_RANGE_JPEG
        // Some encoders give other bytes with other numbers of threads.
        context.pointee.thread_count = 1
        context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT
        context.pointee.gop_size = design.picturesPerKeyframe
        context.pointee.max_b_frames = 0
        let options = LibavOptions(design.options(settings, layout))
        let result = libav.avcodec_open2(context, encoder, &options.pointer)
        guard result >= 0 else {
            throw .encodingFailed(codec: codec, reason: "\(design.encoder): \(libavMessage(result))")
        }
        guard options.unused.isEmpty else {
            throw .encodingFailed(
                codec: codec, reason: "\(design.encoder) has no option \(options.unused.joined(separator: ", "))")
        }
        filter = try design.packetFilter.map { (text) throws(CodecError) in
            try PacketFilter(text, codec: codec, encoder: context)
        }
        buffers.frame.pointee.width = context.pointee.width
        buffers.frame.pointee.height = context.pointee.height
        buffers.frame.pointee.format = layout.pixelFormat.rawValue
        buffers.frame.pointee.color_range = AVCOL_RANGE_JPEG
        guard libav.av_frame_get_buffer(buffers.frame, 0) >= 0 else {
            throw .encodingFailed(codec: codec, reason: "out of memory")
        }
        layout.prepare(buffers.frame.pointee)
    }

    deinit { libav.avcodec_free_context(&context) }

    /// The picture to draw next, no longer used by the encoder.
    func picture() throws(CodecError) -> AVFrame {
        guard libav.av_frame_make_writable(buffers.frame) >= 0 else {
            throw .encodingFailed(codec: codec, reason: "out of memory")
        }
        return buffers.frame.pointee
    }

    /// Encodes the picture that was drawn.
    func encodePicture() throws(CodecError) {
        buffers.frame.pointee.pts = nextPicture
        nextPicture += 1
        try send(buffers.frame)
    }

    /// Ends the video and returns the file.
    func finish() throws(CodecError) -> [UInt8] {
        try send(nil)
        guard let writer else { throw .encodingFailed(codec: codec, reason: "the encoder gave no picture") }
        return try writer.finish()
    }

    private func send(_ frame: UnsafeMutablePointer<AVFrame>?) throws(CodecError) {
        guard let context else { return }
        var result = libav.avcodec_send_frame(context, frame)
        while result >= 0 {
            result = libav.avcodec_receive_packet(context, buffers.packet)
            guard result >= 0 else { break }
            defer { libav.av_packet_unref(buffers.packet) }
            try filter?.apply(buffers.packet)
            try write(context)
        }
        guard result == wc_averror_again || result == wc_averror_eof else {
            throw .encodingFailed(codec: codec, reason: libavMessage(result))
        }
    }

    private func write(_ context: UnsafeMutablePointer<AVCodecContext>) throws(CodecError) {
        if let writer { return try writer.write(buffers.packet) }
        // The file begins after the first packet, because AV1 encoders tell the decoder's configuration only there.
        let extradata = context.pointee.extradata_size > 0 ? nil : newExtradata()
        let writer = try MatroskaWriter(codec: codec, encoder: context, extradata: extradata, count: pictureCount)
        self.writer = writer
        try writer.write(buffers.packet)
    }

    private func newExtradata() -> [UInt8]? {
        var size = 0
        return libav.av_packet_get_side_data(buffers.packet, AV_PKT_DATA_NEW_EXTRADATA, &size).map {
            [UInt8](UnsafeBufferPointer(start: $0, count: size))
        }
    }
}
