import CCodecShims

/// How one kind of video is coded for weights: which encoder, with which settings, over which pictures.
struct VideoDesign: Sendable {
    let name: String
    let summary: String
    var licenseNote: String?
    let parameters: [CodecParameter]

    /// libavcodec's name of the encoder.
    let encoder: String
    /// libavcodec's names of decoders, the best first.
    let decoders: [String]
    var decoderOptions: [(name: String, value: String)] = []
    /// The encoder's options; the size of the pictures and `qp`, which is nil for lossless coding, are known by then.
    let options: @Sendable (CodecSettings, PictureLayout) -> [(name: String, value: String)]
    /// The bitstream filter that packets pass before they are written.
    var packetFilter: String?
    /// Pictures from one keyframe to the next; 0 when every picture is one.
    var picturesPerKeyframe: Int32 = 0

    /// The pixel formats by bits of a sample, rising.
    let pixelFormats: [(depth: Int, format: AVPixelFormat)]
    var planes = PictureLayout.Planes.gray
    /// Whether to left-justify bins that are coded without loss.
    ///
    /// It costs bits where neighbors predict a sample, but
    /// makes a picture of few bits visible.
    var justifiesLossless = false
    /// The least depth of lossy coding; encoders round less in deeper pictures.
    var lossyDepth = 8
    /// The smallest side of a picture.
    var minimumSide = 1
    /// Sides of pictures are multiples of this.
    var alignment = 1
    /// The number of pixels in a picture is a multiple of this.
    var areaMultiple = 1
    /// libavcodec refuses pictures of about 2^28 pixels, and dav1d restores very wide ones wrongly.
    static let maximumSide = 8192

    /// The decoder this machine has.
    var decoder: UnsafePointer<AVCodec>? {
        decoders.lazy.compactMap { libav.avcodec_find_decoder_by_name($0) }.first
    }

    /// Why this machine cannot code such video; nil when it can.
    var unavailable: String? {
        if let reason = reasonMissing(wc_libav_load) { return reason }
        if libav.avcodec_find_encoder_by_name(encoder) == nil { return "\(encoder) is not in this libavcodec" }
        if decoder == nil { return "\(decoders.joined(separator: " and ")) not in this libavcodec" }
        if libav.av_guess_format("matroska", nil, nil) == nil { return "matroska is not in this libavformat" }
        return nil
    }

    /// The pictures for frames of `format`.
    ///
    /// - Throws: `CodecError.unsupported` when no pixel format holds the bins.
    func layout(_ format: FrameFormat, isLossless: Bool, binsPerPixel: Int) throws(CodecError) -> PictureLayout {
        let least = isLossless ? format.bitDepth * binsPerPixel : max(format.bitDepth, lossyDepth)
        guard let (depth, pixelFormat) = pixelFormats.first(where: { $0.depth >= least }) else {
            throw .unsupported(
                codec: name, expected: "bit depth 1...\(maximumDepth / binsPerPixel)", found: "\(format.bitDepth)")
        }
        let width = side((format.width + binsPerPixel - 1) / binsPerPixel)
        var height = side(format.height)
        while !(width * height).isMultiple(of: areaMultiple) { height += 1 }
        return PictureLayout(
            format: format, pixelFormat: pixelFormat, depth: depth,
            shift: isLossless && !justifiesLossless ? 0 : depth / binsPerPixel - format.bitDepth,
            binsPerPixel: binsPerPixel, planes: planes, width: width, height: height)
    }

    var maximumDepth: Int { pixelFormats.last?.depth ?? 0 }

    private func side(_ length: Int) -> Int {
        (max(length, minimumSide) + alignment - 1) / alignment * alignment
    }
}
