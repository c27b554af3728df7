import CCodecShims

/// Passes packets through a libavcodec bitstream filter.
final class PacketFilter {
    private let codec: String
    private var context: UnsafeMutablePointer<AVBSFContext>?

    /// Makes the filter that `text` describes, as `filter_units=remove_types=6`.
    init(_ text: String, codec: String, encoder: UnsafePointer<AVCodecContext>) throws(CodecError) {
        self.codec = codec
        var result = libav.av_bsf_list_parse_str(text, &context)
        if result >= 0, let context {
            _ = libav.avcodec_parameters_from_context(context.pointee.par_in, encoder)
            context.pointee.time_base_in = encoder.pointee.time_base
            result = libav.av_bsf_init(context)
        }
        guard result >= 0 else { throw .encodingFailed(codec: codec, reason: "\(text): \(libavMessage(result))") }
    }

    deinit { libav.av_bsf_free(&context) }

    /// Replaces a packet by what the filter makes of it, for filters that give one packet for each.
    func apply(_ packet: UnsafeMutablePointer<AVPacket>) throws(CodecError) {
        guard let context else { return }
        var result = libav.av_bsf_send_packet(context, packet)
        if result >= 0 { result = libav.av_bsf_receive_packet(context, packet) }
        guard result >= 0 else {
            throw .encodingFailed(codec: codec, reason: "bitstream filter: \(libavMessage(result))")
        }
    }
}
