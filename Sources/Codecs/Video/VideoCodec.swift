import CCodecShims

/// Video in Matroska by libavcodec and libavformat: each frame of bins is a gray picture, or a plane of one.
struct VideoCodec: MediaCodec {
    private let design: VideoDesign
    private let settings: CodecSettings

    static func family(_ design: VideoDesign) -> CodecRegistry.Family {
        CodecRegistry.Family(
            name: design.name, parameters: design.parameters, unavailable: { design.unavailable },
            make: { (settings) throws(CodecError) in VideoCodec(design: design, settings: settings) })
    }

    private var isLossless: Bool { settings.integer("qp") == nil }

    private var binsPerPixel: Int { settings.integer("pack") ?? 1 }

    var description: CodecDescription {
        CodecDescription(
            name: design.name, medium: .video, summary: design.summary, isLossless: isLossless,
            predictsFrames: settings.integer("inter") ?? 0 > 0, bitDepths: 1...design.maximumDepth / binsPerPixel,
            fileExtension: "mkv",
            framesPerPicture: design.planes == .three ? 3 : 1, maximumWidth: VideoDesign.maximumSide,
            maximumHeight: VideoDesign.maximumSide, maximumCount: Int(Int32.max), parameters: design.parameters,
            licenseNote: design.licenseNote)
    }

    var specification: String { settings.specification }

    var libraryVersion: String {
        "libav \(libraryText(libav.av_version_info())) \(libav.avcodec_version()) \(libav.avformat_version())"
    }

    func encode(_ format: FrameFormat, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void)
        throws(CodecError)
        -> [UInt8]
    {
        try description.check(format, count: count)
        let layout = try design.layout(format, isLossless: isLossless, binsPerPixel: binsPerPixel)
        // Encoders accept an option that they do not know and only say so, hence warnings count.
        let (stream, warning) = try withLibavLog(AV_LOG_WARNING) { () throws(CodecError) in
            try encode(layout, count: count, fill: fill)
        }
        if let warning { throw .encodingFailed(codec: design.name, reason: "\(design.encoder): \(warning)") }
        return stream
    }

    private func encode(
        _ layout: PictureLayout, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void
    ) throws(CodecError) -> [UInt8] {
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: layout.format.byteCount, alignment: 16)
        defer { frame.deallocate() }
        let pictures = layout.pictureCount(count)
        let encoder = try VideoEncoder(design, settings, layout, pictureCount: pictures)
        for picture in 0..<pictures {
            let canvas = try encoder.picture()
            for plane in 0..<layout.framesPerPicture {
                let index = picture * layout.framesPerPicture + plane
                guard index < count else {
                    layout.clear(canvas, plane: plane)
                    continue
                }
                try fillFrame(index, layout.format, frame, fill)
                layout.store(UnsafeRawBufferPointer(frame), canvas, plane: plane)
            }
            try encoder.encodePicture()
        }
        return try encoder.finish()
    }

    func decode(
        _ stream: UnsafeRawBufferPointer, _ format: FrameFormat, count: Int, take: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(CodecError) {
        try description.check(format, count: count)
        let layout = try design.layout(format, isLossless: isLossless, binsPerPixel: binsPerPixel)
        let ((), error) = try withLibavLog(AV_LOG_ERROR) { () throws(CodecError) in
            let decoder = try VideoDecoder(design, codec: design.name, layout, stream)
            let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: format.byteCount, alignment: 16)
            defer { frame.deallocate() }
            var next = 0
            try decoder.forEachPicture { (picture) throws(CodecError) in
                guard next < count else {
                    throw .mismatch(codec: design.name, expected: "\(count) frames", found: "more")
                }
                for plane in 0..<min(layout.framesPerPicture, count - next) {
                    layout.load(picture, plane: plane, frame)
                    take(next, UnsafeRawBufferPointer(frame))
                    next += 1
                }
            }
            guard next == count else {
                throw .mismatch(codec: design.name, expected: "\(count) frames", found: "\(next)")
            }
        }
        if let error { throw .damaged(codec: design.name, reason: error) }
    }
}
