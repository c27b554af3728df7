import CCodecShims

extension VideoDesign {
    /// FFV1: the archivists' codec; predicts each pixel from its neighbors and cannot be told not to.
    static let ffv1 = VideoDesign(
        name: "ffv1", summary: "FFV1 level 3, gray (libavcodec)", parameters: [], encoder: "ffv1", decoders: ["ffv1"],
        options: { (_, layout) in
            [
                ("level", "3"), ("slicecrc", "1"), ("context", "0"),
                ("coder", layout.depth > 8 ? "range_tab" : "rice"),
            ]
        },
        // The coder's statistics go on from frame to frame: at 64x64 pixels this saves half a bit each.
        picturesPerKeyframe: 1 << 30,
        pixelFormats: [
            (8, AV_PIX_FMT_GRAY8), (9, AV_PIX_FMT_GRAY9LE), (10, AV_PIX_FMT_GRAY10LE), (12, AV_PIX_FMT_GRAY12LE),
            (16, AV_PIX_FMT_GRAY16LE),
        ],
        // Level 3 restores slices of one row wrongly, and says nothing.
        minimumSide: 16)

    /// Ut Video without prediction: one Huffman code for each frame, three frames in the planes of a 4:4:4 picture.
    ///
    /// Bins of fewer than 8 bits are left-justified: the tables have 256 entries in any case. Two bins a pixel come within
    /// 0.024 bits of the entropy of Gaussian bins, one a pixel within 0.11 / 0.05 (H = 2.1 / 2.8).
    static let utvideo = VideoDesign(
        name: "utvideo", summary: "Ut Video, Huffman coding without prediction, three frames a picture (libavcodec)",
        parameters: [
            CodecParameter(
                name: "pack", meaning: "bins in a pixel; 2, of at most 4 bits each, are coded as a pair: fewer bits",
                values: .integer(1...2), defaultValue: "1")
        ], encoder: "utvideo", decoders: ["utvideo"],
        options: { (_, _) in [("pred", "none"), ("slices", "1")] },
        pixelFormats: [(8, AV_PIX_FMT_YUV444P)], planes: .three, justifiesLossless: true,
        // libavcodec writes code words in units of 4 bytes, but allocates a byte a pixel, and drops what does not fit.
        areaMultiple: 4)
}
