import CCodecShims

/// Writes the packets of one video track as a Matroska file in memory, with as few bytes as a player needs.
///
/// The output cannot seek, so libavformat leaves out the index, the tags and the space it would reserve for them: models
/// have dozens of short videos. The duration is known beforehand and written all the same.
final class MatroskaWriter {
    /// Pictures a second; any number would do.
    static let frameRate: Int32 = 25

    private let codec: String
    /// On the heap, as libavformat keeps its address.
    private let bytes: UnsafeMutablePointer<wc_bytes>
    private var io: UnsafeMutablePointer<AVIOContext>?
    private var muxer: UnsafeMutablePointer<AVFormatContext>?
    private var stream: UnsafeMutablePointer<AVStream>?

    /// Starts a file of `count` pictures that `encoder` makes.
    ///
    /// - Parameter extradata: The decoder's configuration, where the encoder's context does not hold it.
    init(codec: String, encoder: UnsafePointer<AVCodecContext>, extradata: [UInt8]?, count: Int) throws(CodecError) {
        self.codec = codec
        bytes = .allocate(capacity: 1)
        bytes.initialize(to: wc_bytes())
        io = wc_avio_append(bytes)
        _ = libav.avformat_alloc_output_context2(&muxer, nil, "matroska", nil)
        stream = muxer.flatMap { libav.avformat_new_stream($0, nil) }
        guard let io, let muxer, let stream, let parameters = stream.pointee.codecpar else {
            throw .encodingFailed(codec: codec, reason: "out of memory")
        }
        muxer.pointee.pb = io
        muxer.pointee.flags |= AVFMT_FLAG_BITEXACT
        muxer.pointee.duration = Int64(count) * Int64(AV_TIME_BASE) / Int64(Self.frameRate)
        _ = libav.avcodec_parameters_from_context(parameters, encoder)
        stream.pointee.time_base = AVRational(num: 1, den: Self.frameRate)
        stream.pointee.avg_frame_rate = AVRational(num: Self.frameRate, den: 1)
        if let extradata {
            guard let copy = libav.av_mallocz(extradata.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else {
                throw .encodingFailed(codec: codec, reason: "out of memory")
            }
            copy.copyMemory(from: extradata, byteCount: extradata.count)
            libav.av_freep(&parameters.pointee.extradata)
            parameters.pointee.extradata = copy.assumingMemoryBound(to: UInt8.self)
            parameters.pointee.extradata_size = Int32(extradata.count)
        }
        let options = LibavOptions([("write_crc32", "0")])
        let result = libav.avformat_write_header(muxer, &options.pointer)
        guard result >= 0 else {
            throw .encodingFailed(codec: codec, reason: "matroska header: \(libavMessage(result))")
        }
    }

    deinit {
        libav.avformat_free_context(muxer)
        wc_avio_free(&io)
        wc_bytes_free(bytes)
        bytes.deallocate()
    }

    /// Appends a packet whose times count frames.
    func write(_ packet: UnsafeMutablePointer<AVPacket>) throws(CodecError) {
        guard let muxer, let stream else { return }
        packet.pointee.stream_index = stream.pointee.index
        packet.pointee.duration = 1
        libav.av_packet_rescale_ts(packet, AVRational(num: 1, den: Self.frameRate), stream.pointee.time_base)
        let result = libav.av_write_frame(muxer, packet)
        guard result >= 0 else {
            throw .encodingFailed(codec: codec, reason: "matroska: \(libavMessage(result))")
        }
    }

    /// Ends the file and returns it.
    func finish() throws(CodecError) -> [UInt8] {
        guard let muxer, let io else { return [] }
        let result = libav.av_write_trailer(muxer)
        libav.avio_flush(io)
        guard result >= 0, io.pointee.error >= 0 else {
            throw .encodingFailed(codec: codec, reason: "matroska: \(libavMessage(min(result, io.pointee.error)))")
        }
        var file = [UInt8](UnsafeBufferPointer(start: bytes.pointee.data, count: bytes.pointee.size))
        setSegmentSize(&file)
        return file
    }

    /// Fills in the size of the segment, the element that holds all after the header; libavformat, which could not go back,
    /// wrote "unknown", as if more might follow.
    private func setSegmentSize(_ file: inout [UInt8]) {
        let unknown: [UInt8] = [0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        guard let start = file.prefix(64).indices.first(where: { file[$0...].starts(with: unknown) }) else { return }
        let end = start + unknown.count
        let size = file.count - end
        for byte in 0..<7 { file[end - 1 - byte] = UInt8(truncatingIfNeeded: size >> (8 * byte)) }
    }
}
