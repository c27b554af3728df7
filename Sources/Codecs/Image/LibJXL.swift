import CCodecShims

extension FrameFormat {
    /// How libjxl gets and gives the samples of a picture: spread over all values of their type.
    fileprivate var jxl: JxlPixelFormat {
        JxlPixelFormat(
            num_channels: 1, data_type: bytesPerSample == 1 ? JXL_TYPE_UINT8 : JXL_TYPE_UINT16,
            endianness: JXL_NATIVE_ENDIAN, align: 0)
    }
}

/// One run of libjxl's encoder, on the calling thread.
final class JXLEncoder {
    private let settings: CodecSettings
    private let picture: FrameFormat
    private let encoder: OpaquePointer

    init(_ settings: CodecSettings, _ picture: FrameFormat) throws(CodecError) {
        guard let encoder = libjxl.JxlEncoderCreate(nil) else {
            throw .encodingFailed(codec: settings.codec, reason: "out of memory")
        }
        self.settings = settings
        self.picture = picture
        self.encoder = encoder
    }

    deinit { libjxl.JxlEncoderDestroy(encoder) }

    /// Encodes samples that are spread over all values of 8 or 16 bits.
    func encode(_ samples: UnsafeRawBufferPointer) throws(CodecError) -> [UInt8] {
        try describePicture()
        let frame = libjxl.JxlEncoderFrameSettingsCreate(encoder, nil)
        try configure(frame, samples)
        var pixels = picture.jxl
        try check(libjxl.JxlEncoderAddImageFrame(frame, &pixels, samples.baseAddress, samples.count), "the picture")
        libjxl.JxlEncoderCloseInput(encoder)
        return try output(expecting: samples.count)
    }

    private func describePicture() throws(CodecError) {
        var info = JxlBasicInfo()
        libjxl.JxlEncoderInitBasicInfo(&info)
        info.xsize = UInt32(picture.width)
        info.ysize = UInt32(picture.height)
        info.bits_per_sample = UInt32(picture.bitDepth)
        info.num_color_channels = 1
        // Otherwise samples would pass through another color space.
        info.uses_original_profile = JXL_TRUE
        try check(libjxl.JxlEncoderSetBasicInfo(encoder, &info), "a picture of \(picture.width)x\(picture.height)")
        var color = JxlColorEncoding()
        libjxl.JxlColorEncodingSetToSRGB(&color, JXL_TRUE)
        try check(libjxl.JxlEncoderSetColorEncoding(encoder, &color), "gray")
    }

    /// Turns off whatever expects a smooth picture, or one of few colors.
    private func configure(_ frame: OpaquePointer?, _ samples: UnsafeRawBufferPointer) throws(CodecError) {
        let asked = settings.integer("effort") ?? 5
        let effort = asked > 7 && JXLHazard.isIn(samples, picture) ? 7 : asked
        try check(libjxl.JxlEncoderSetFrameLossless(frame, JXL_TRUE), "lossless coding")
        let options: [(JxlEncoderFrameSettingId, Int)] = [
            (JXL_ENC_FRAME_SETTING_EFFORT, effort), (JXL_ENC_FRAME_SETTING_MODULAR, 1),
            (JXL_ENC_FRAME_SETTING_MODULAR_PREDICTOR, 0), (JXL_ENC_FRAME_SETTING_RESPONSIVE, 0),
            (JXL_ENC_FRAME_SETTING_MODULAR_COLOR_SPACE, 0), (JXL_ENC_FRAME_SETTING_PALETTE_COLORS, 0),
            (JXL_ENC_FRAME_SETTING_LOSSY_PALETTE, 0), (JXL_ENC_FRAME_SETTING_PATCHES, 0),
        ]
        for (option, value) in options {
            try check(
                libjxl.JxlEncoderFrameSettingsSetOption(frame, option, Int64(value)),
                "setting \(option.rawValue) = \(value)")
        }
        let fractions: [(JxlEncoderFrameSettingId, Int)] = [
            (JXL_ENC_FRAME_SETTING_CHANNEL_COLORS_GLOBAL_PERCENT, 0),
            (JXL_ENC_FRAME_SETTING_CHANNEL_COLORS_GROUP_PERCENT, 0),
            (JXL_ENC_FRAME_SETTING_MODULAR_MA_TREE_LEARNING_PERCENT, settings.integer("tree") ?? 50),
        ]
        for (option, value) in fractions {
            try check(
                libjxl.JxlEncoderFrameSettingsSetFloatOption(frame, option, Float(value)),
                "setting \(option.rawValue) = \(value)")
        }
    }

    private func output(expecting bytes: Int) throws(CodecError) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: bytes / 2 + 1024)
        var used = 0
        while true {
            let (status, left) = file.withUnsafeMutableBufferPointer { buffer in
                var left = buffer.count - used
                var next = buffer.baseAddress.map { $0 + used }
                return (libjxl.JxlEncoderProcessOutput(encoder, &next, &left), left)
            }
            used = file.count - left
            guard status == JXL_ENC_NEED_MORE_OUTPUT else {
                try check(status, "to finish")
                break
            }
            file.append(contentsOf: repeatElement(0, count: file.count))
        }
        file.removeLast(file.count - used)
        return file
    }

    private func check(_ status: JxlEncoderStatus, _ what: String) throws(CodecError) {
        guard status != JXL_ENC_SUCCESS else { return }
        throw .encodingFailed(
            codec: settings.codec,
            reason: "libjxl refused \(what) (error \(libjxl.JxlEncoderGetError(encoder).rawValue))")
    }
}

/// One run of libjxl's decoder, on the calling thread.
final class JXLDecoder {
    private let codec: String
    private let picture: FrameFormat
    private let byteCount: Int
    private let decoder: OpaquePointer

    /// Starts to read a file.
    ///
    /// - Parameter stream: Must outlive the decoder.
    init(codec: String, _ picture: FrameFormat, _ stream: UnsafeRawBufferPointer) throws(CodecError) {
        guard let decoder = libjxl.JxlDecoderCreate(nil) else { throw .damaged(codec: codec, reason: "out of memory") }
        self.codec = codec
        self.picture = picture
        self.decoder = decoder
        byteCount = stream.count
        let events = JXL_DEC_BASIC_INFO.rawValue | JXL_DEC_FRAME.rawValue | JXL_DEC_FULL_IMAGE.rawValue
        _ = libjxl.JxlDecoderSubscribeEvents(decoder, Int32(events))
        _ = libjxl.JxlDecoderSetInput(decoder, stream.bindMemory(to: UInt8.self).baseAddress, stream.count)
        libjxl.JxlDecoderCloseInput(decoder)
    }

    deinit { libjxl.JxlDecoderDestroy(decoder) }

    /// Compares the file's header with the picture, before anything is allocated for it.
    func readHeader() throws(CodecError) {
        try expect(JXL_DEC_BASIC_INFO)
        var info = JxlBasicInfo()
        _ = libjxl.JxlDecoderGetBasicInfo(decoder, &info)
        let isPlain =
            info.num_color_channels == 1 && info.num_extra_channels == 0 && info.alpha_bits == 0
            && info.exponent_bits_per_sample == 0 && info.uses_original_profile == JXL_TRUE
            && info.have_animation == JXL_FALSE && info.have_preview == JXL_FALSE
            && info.orientation == JXL_ORIENT_IDENTITY
        guard isPlain, info.xsize == picture.width, info.ysize == picture.height,
            info.bits_per_sample == picture.bitDepth
        else {
            throw .mismatch(
                codec: codec, expected: "\(picture.width)x\(picture.height), gray, \(picture.bitDepth) bits",
                found: "\(info.xsize)x\(info.ysize), \(info.num_color_channels + info.num_extra_channels) channels, "
                    + "\(info.bits_per_sample) bits\(isPlain ? "" : ", of another kind")")
        }
        // A group of 256x256 samples takes at least 12 bits.
        guard picture.sampleCount >> 16 <= byteCount else {
            throw .damaged(codec: codec, reason: "the file is truncated")
        }
    }

    /// Reads the samples, spread over all values of 8 or 16 bits.
    ///
    /// - Parameter samples: As many as the picture has.
    func readPicture(_ samples: UnsafeMutableRawBufferPointer) throws(CodecError) {
        try expect(JXL_DEC_FRAME)
        var frame = JxlFrameHeader()
        guard libjxl.JxlDecoderGetFrameHeader(decoder, &frame) == JXL_DEC_SUCCESS, frame.is_last == JXL_TRUE else {
            throw .mismatch(codec: codec, expected: "one picture", found: "several")
        }
        try expect(JXL_DEC_NEED_IMAGE_OUT_BUFFER)
        var pixels = picture.jxl
        guard
            libjxl.JxlDecoderSetImageOutBuffer(decoder, &pixels, samples.baseAddress, samples.count) == JXL_DEC_SUCCESS
        else {
            throw .damaged(codec: codec, reason: "libjxl cannot give gray samples")
        }
        try expect(JXL_DEC_FULL_IMAGE)
        try expect(JXL_DEC_SUCCESS)
        guard libjxl.JxlDecoderReleaseInput(decoder) == 0 else {
            throw .damaged(codec: codec, reason: "bytes follow the end of the picture")
        }
    }

    private func expect(_ status: JxlDecoderStatus) throws(CodecError) {
        let found = libjxl.JxlDecoderProcessInput(decoder)
        guard found != status else { return }
        throw .damaged(
            codec: codec,
            reason: found == JXL_DEC_NEED_MORE_INPUT
                ? "the file is truncated" : "libjxl expected another file (status \(found.rawValue))")
    }
}
