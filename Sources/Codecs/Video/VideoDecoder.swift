import CCodecShims

/// One run of a libavcodec decoder over a Matroska file in memory.
final class VideoDecoder {
    private let codec: String
    private let layout: PictureLayout
    private let buffers: LibavBuffers
    /// On the heap, as libavformat keeps its address.
    private let source: UnsafeMutablePointer<wc_source>
    private var io: UnsafeMutablePointer<AVIOContext>?
    private var demuxer: UnsafeMutablePointer<AVFormatContext>?
    private var context: UnsafeMutablePointer<AVCodecContext>?

    /// Opens a file and compares its header with what is expected.
    ///
    /// - Parameter stream: Must outlive the decoder.
    init(_ design: VideoDesign, codec: String, _ layout: PictureLayout, _ stream: UnsafeRawBufferPointer)
        throws(CodecError)
    {
        self.codec = codec
        self.layout = layout
        guard let buffers = LibavBuffers() else { throw .damaged(codec: codec, reason: "out of memory") }
        self.buffers = buffers
        source = .allocate(capacity: 1)
        source.initialize(
            to: wc_source(data: stream.bindMemory(to: UInt8.self).baseAddress, size: stream.count, position: 0))
        try openFile()
        try openDecoder(design)
    }

    deinit {
        libav.avcodec_free_context(&context)
        libav.avformat_close_input(&demuxer)
        wc_avio_free(&io)
        source.deallocate()
    }

    private func openFile() throws(CodecError) {
        io = wc_avio_read(source)
        demuxer = libav.avformat_alloc_context()
        guard let io, let demuxer else { throw .damaged(codec: codec, reason: "out of memory") }
        demuxer.pointee.pb = io
        demuxer.pointee.error_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE
        // On failure the context is freed and set to nil.
        let result = libav.avformat_open_input(&self.demuxer, nil, libav.av_find_input_format("matroska"), nil)
        guard result >= 0 else { throw .damaged(codec: codec, reason: "matroska: \(libavMessage(result))") }
    }

    private func openDecoder(_ design: VideoDesign) throws(CodecError) {
        guard let demuxer, demuxer.pointee.nb_streams == 1, let stream = demuxer.pointee.streams[0],
            let parameters = stream.pointee.codecpar, let decoder = design.decoder
        else { throw .mismatch(codec: codec, expected: "one video track", found: "none or several") }
        guard parameters.pointee.codec_id == decoder.pointee.id else {
            throw .mismatch(
                codec: codec, expected: "a \(libraryText(libav.avcodec_get_name(decoder.pointee.id))) track",
                found: libraryText(libav.avcodec_get_name(parameters.pointee.codec_id)))
        }
        try checkSize(parameters.pointee.width, parameters.pointee.height)
        context = libav.avcodec_alloc_context3(decoder)
        guard let context, libav.avcodec_parameters_to_context(context, parameters) >= 0 else {
            throw .damaged(codec: codec, reason: "out of memory")
        }
        context.pointee.thread_count = 1
        context.pointee.err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE
        // A damaged stream must not make the decoder allocate other pictures; it may round sides up to blocks.
        context.pointee.max_pixels = Int64(layout.width + 128) * Int64(layout.height + 128)
        let options = LibavOptions(design.decoderOptions)
        let result = libav.avcodec_open2(context, decoder, &options.pointer)
        guard result >= 0 else { throw .damaged(codec: codec, reason: libavMessage(result)) }
    }

    private func checkSize(_ width: Int32, _ height: Int32) throws(CodecError) {
        guard width == layout.width, height == layout.height else {
            throw .mismatch(
                codec: codec, expected: "pictures of \(layout.width)x\(layout.height)", found: "\(width)x\(height)")
        }
    }

    /// Calls `take` with each picture in order; it throws to stop.
    func forEachPicture(_ take: (AVFrame) throws(CodecError) -> Void) throws(CodecError) {
        guard let demuxer, let context else { return }
        while true {
            let read = libav.av_read_frame(demuxer, buffers.packet)
            guard read >= 0 else {
                guard read == wc_averror_eof, io?.pointee.error ?? 0 >= 0 else {
                    throw .damaged(codec: codec, reason: "matroska: \(libavMessage(read))")
                }
                break
            }
            defer { libav.av_packet_unref(buffers.packet) }
            guard buffers.packet.pointee.stream_index == 0 else { continue }
            try send(buffers.packet, context, take)
        }
        try send(nil, context, take)
    }

    private func send(
        _ packet: UnsafeMutablePointer<AVPacket>?, _ context: UnsafeMutablePointer<AVCodecContext>,
        _ take: (AVFrame) throws(CodecError) -> Void
    ) throws(CodecError) {
        var result = libav.avcodec_send_packet(context, packet)
        while result >= 0 {
            result = libav.avcodec_receive_frame(context, buffers.frame)
            guard result >= 0 else { break }
            defer { libav.av_frame_unref(buffers.frame) }
            try check(buffers.frame.pointee)
            try take(buffers.frame.pointee)
        }
        guard result == wc_averror_again || result == wc_averror_eof else {
            throw .damaged(codec: codec, reason: libavMessage(result))
        }
    }

    /// Refuses pictures of another size or depth.
    ///
    /// Decoders may name gray as a color format (x264's as yuvj420p), so only
    /// the planes that are read must be as expected.
    private func check(_ picture: AVFrame) throws(CodecError) {
        try checkSize(picture.width, picture.height)
        let expected = layout.pixelFormat
        let found = AVPixelFormat(rawValue: picture.format)
        guard found != expected else { return }
        guard layout.planes != .three, let luma = libav.av_pix_fmt_desc_get(found)?.pointee,
            luma.comp.0.plane == 0, luma.comp.0.depth == layout.depth, luma.comp.0.shift == 0, luma.comp.0.offset == 0,
            luma.comp.0.step == (layout.depth > 8 ? 2 : 1), luma.flags & UInt64(AV_PIX_FMT_FLAG_BE) == 0
        else {
            throw .mismatch(
                codec: codec, expected: "pixels of \(name(expected))", found: name(found))
        }
    }

    private func name(_ format: AVPixelFormat) -> String {
        libav.av_get_pix_fmt_name(format).map { String(cString: $0) } ?? "unknown format \(format.rawValue)"
    }
}
