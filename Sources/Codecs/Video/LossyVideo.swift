import CCodecShims

/// What a lossy codec adds is chosen by `qp`; without it these code without loss.
private func qp(_ range: ClosedRange<Int>) -> CodecParameter {
    CodecParameter(
        name: "qp", meaning: "quantizer step, larger is coarser; without it coding is lossless",
        values: .integer(range), defaultValue: nil)
}

private let presets = [
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
]

private func preset(_ preset: String) -> CodecParameter {
    CodecParameter(
        name: "preset", meaning: "effort of the encoder", values: .choice(presets), defaultValue: preset)
}

private func speed(_ speed: Int) -> CodecParameter {
    CodecParameter(
        name: "speed", meaning: "speed of the encoder, 0 is the slowest", values: .integer(0...8),
        defaultValue: String(speed))
}

private func joined(_ options: [String]) -> String { options.joined(separator: ":") }

extension VideoDesign {
    private static let gray8To12 = [
        (depth: 8, format: AV_PIX_FMT_GRAY8), (depth: 10, format: AV_PIX_FMT_GRAY10LE),
        (depth: 12, format: AV_PIX_FMT_GRAY12LE),
    ]

    /// H.264 by x264, every picture a keyframe unless `inter` allows to predict them from earlier ones.
    ///
    /// Without loss a predicted picture takes no more than the entropy of the differences (of a training run's 8-bit bins 2.99 bits
    /// for 3.16, 0.10 for 0.09), since its code adapts; the first one up to a bit above its own, for x264 predicts it from its neighbors,
    /// and 8.07 bits at most, for it stores a macroblock where that fails. It does so from `subme=6` on. Weights do not move:
    /// searching for motion and smaller blocks bring nothing, and transforms of 8 x 8 cost a little.
    static let h264 = VideoDesign(
        name: "h264", summary: "H.264, gray (libx264)",
        licenseNote: "x264 is GPL: so is a distributed binary that contains it",
        parameters: [
            qp(0...51), preset("medium"),
            CodecParameter(
                name: "inter", meaning: "earlier frames that a frame may be predicted from, for runs of like frames",
                values: .integer(0...16), defaultValue: "0"),
        ], encoder: "libx264", decoders: ["h264"],
        options: { (settings, layout) in
            // x264 counts from the finest step of the depth, where coding is lossless; other encoders from that of 8 bits.
            let step = settings.integer("qp").map { max(1, $0 + 6 * (layout.depth - 8)) } ?? 0
            var tools = [
                "keyint=1", "scenecut=0", "bframes=0", "aq-mode=0", "mbtree=0", "psy=0", "deblock=0,0", "no-deblock=1",
                "ipratio=1", "threads=1", "trellis=2",
            ]
            if let references = settings.integer("inter"), references > 0 {
                tools[0] = "keyint=infinite"
                tools += [
                    "ref=\(references)", "weightp=0", "rc-lookahead=0", "me=dia", "merange=4", "subme=6",
                    "partitions=none",
                    "8x8dct=0",
                ]
            }
            return [
                ("preset", settings.text("preset") ?? "medium"), ("tune", "psnr"), ("qp", String(step)),
                ("x264-params", joined(tools)),
            ]
        },
        // NAL unit 6 holds 600 bytes of text about x264's version and settings.
        packetFilter: "filter_units=remove_types=6", pixelFormats: Array(gray8To12.prefix(2)), lossyDepth: 8,
        minimumSide: 16)

    /// HEVC by x265, every picture a keyframe.
    ///
    /// By rate, Gaussian weights take 0.37 bits above Shannon's bound at 2.4 bits a weight, 0.41 at 3.1, 0.54 at 4.6, with every
    /// preset; a step of `qp` is 0.17 bits. Means of what is decoded (`Reconstruction.mean`) take 0.0003 off, of 6-bit bins 0.01 to 0.03.
    static let hevc = VideoDesign(
        name: "hevc", summary: "HEVC, intra only, gray (libx265)",
        licenseNote: "x265 is GPL: so is a distributed binary that contains it; HEVC is patented",
        parameters: [qp(0...51), preset("medium")], encoder: "libx265", decoders: ["hevc"],
        options: { (settings, _) in
            let tools = [
                "keyint=1", "bframes=0", "info=0", "log-level=none", "pools=none", "wpp=0", "frame-threads=1",
                "psy-rd=0", "psy-rdoq=0", "no-sao=1", "no-deblock=1", "tskip=1", "strong-intra-smoothing=0",
                "rdoq-level=1", "aq-mode=0", "cutree=0", "ipratio=1", "range=full",
                // Long and thin pictures have smaller blocks than the standard's levels allow.
                "allow-non-conformance=1",
            ]
            let step = settings.integer("qp").map { "qp=\($0)" } ?? "lossless=1"
            return [("preset", settings.text("preset") ?? "medium"), ("x265-params", joined(tools + [step]))]
        },
        pixelFormats: gray8To12, lossyDepth: 8, minimumSide: 16, alignment: 8)

    /// AV1 by libaom, every picture a keyframe.
    ///
    /// By rate, Gaussian weights take 0.27 bits above Shannon's bound from 1.5 to 3 bits a weight, as much as an ideal scalar
    /// quantizer with entropy coding; a step of `qp` is 0.1 bits. `speed=8` costs 0.02 more, `speed=2` 0.02 less at a twentieth of
    /// the speed; 8 bits instead of 10 cost 0.005 to 0.01. Means of what is decoded (`Reconstruction.mean`) take 0.005 off at 1.5 bits,
    /// of 6-bit bins 0.012.
    static let av1 = VideoDesign(
        name: "av1", summary: "AV1, intra only, gray (libaom)",
        parameters: [qp(1...63), speed(6)], encoder: "libaom-av1", decoders: ["libdav1d", "libaom-av1"],
        options: { (settings, _) in
            let step = String(settings.integer("qp") ?? 0)
            var tools = ["enable-cdef=0", "enable-restoration=0", "deltaq-mode=0", "enable-qm=0", "sharpness=0"]
            if step == "0" { tools = ["lossless=1"] }
            return [
                ("usage", "allintra"), ("cpu-used", settings.text("speed") ?? "6"), ("tune", "psnr"), ("crf", step),
                ("b", "0"), ("qmin", step), ("qmax", step), ("aq-mode", "none"), ("lag-in-frames", "0"),
                ("aom-params", joined(tools)),
            ]
        },
        pixelFormats: gray8To12, lossyDepth: 10, minimumSide: 16, alignment: 8)

    /// VP9 by libvpx, every picture a keyframe.
    ///
    /// It knows no gray, so color planes without color are added.
    static let vp9 = VideoDesign(
        name: "vp9", summary: "VP9, intra only, 4:2:0 without color (libvpx)",
        parameters: [qp(1...63), speed(2)], encoder: "libvpx-vp9", decoders: ["libvpx-vp9", "vp9"],
        options: { (settings, _) in
            let step = settings.integer("qp").map { String($0) }
            return [
                ("deadline", "good"), ("cpu-used", settings.text("speed") ?? "2"), ("b", "0"), ("crf", step ?? "0"),
                ("qmin", step ?? "0"), ("qmax", step ?? "0"), ("lossless", step == nil ? "1" : "0"),
                ("auto-alt-ref", "0"), ("lag-in-frames", "0"), ("aq-mode", "none"), ("row-mt", "0"),
            ]
        },
        pixelFormats: [
            (8, AV_PIX_FMT_YUV420P), (10, AV_PIX_FMT_YUV420P10LE), (12, AV_PIX_FMT_YUV420P12LE),
        ],
        planes: .colorless, lossyDepth: 8, minimumSide: 16, alignment: 8)
}
