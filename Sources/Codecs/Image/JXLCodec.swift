import CCodecShims

/// JPEG XL by libjxl: a gray picture without loss, coded by ANS without prediction, of several frames a stack.
///
/// Bits above the entropy of Gaussian bins (H = 2.1 / 2.8 / 3.8), and million samples a second that are encoded, on one core:
/// effort 4 +0.002 / +0.03 / +0.25, 10; effort 5 +0.002 / +0.009 / +0.020, 9 (13 with tree=0); efforts 6 and 7 are slower only;
/// effort 8 +0.002 / +0.002 / +0.004, 1; effort 9 is as good on such noise. On trained layers the contexts of the tree, which
/// know the row and the neighbors' magnitudes, get 0.02 to 0.2 below the entropy. All decode at 40 to 70.
///
/// libjxl needs about 40 bytes of memory for each sample.
struct JXLCodec: MediaCodec {
    static let family = CodecRegistry.Family(
        name: "jxl",
        parameters: [
            CodecParameter(
                name: "effort", meaning: "effort of the encoder; below 4 it does without the settings for weights",
                values: .integer(1...9), defaultValue: "5"),
            CodecParameter(
                name: "tree",
                meaning: "percentage of the samples that the tree of contexts is learned from; 0: no tree",
                values: .integer(0...99), defaultValue: "50"),
            CodecParameter(
                name: "center", meaning: "the most frequent bin; the middle one when not given",
                values: .integer(0...65_535), defaultValue: nil),
        ],
        unavailable: { reasonMissing(wc_libjxl_load) },
        make: { (settings) throws(CodecError) in JXLCodec(settings: settings) })

    private let settings: CodecSettings

    var description: CodecDescription {
        CodecDescription(
            name: settings.codec, medium: .image, summary: "JPEG XL, gray, lossless without prediction (libjxl)",
            isLossless: true, bitDepths: 1...16, fileExtension: "jxl", framesPerPicture: 1, maximumWidth: 1 << 30,
            maximumHeight: 1 << 30, maximumCount: 1 << 30, parameters: Self.family.parameters, licenseNote: nil)
    }

    var specification: String { settings.specification }

    var libraryVersion: String { "libjxl \(libjxl.JxlEncoderVersion())" }

    func encode(_ format: FrameFormat, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void)
        throws(CodecError)
        -> [UInt8]
    {
        let picture = try FrameStack.picture(format, count: count, in: description)
        let order = try order(picture)
        let stack = try FrameStack(format, in: picture, codec: settings.codec)
        for index in 0..<count { try fillFrame(index, format, stack.frame(index), fill) }
        order.replaceBins(stack.samples)
        return try JXLEncoder(settings, picture).encode(UnsafeRawBufferPointer(stack.samples))
    }

    func decode(
        _ stream: UnsafeRawBufferPointer, _ format: FrameFormat, count: Int, take: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(CodecError) {
        let picture = try FrameStack.picture(format, count: count, in: description)
        let order = try order(picture)
        let decoder = try JXLDecoder(codec: settings.codec, picture, stream)
        try decoder.readHeader()
        let stack = try FrameStack(format, in: picture, codec: settings.codec)
        try decoder.readPicture(stack.samples)
        order.restoreBins(stack.samples)
        for index in 0..<count { take(index, UnsafeRawBufferPointer(stack.frame(index))) }
    }

    private func order(_ picture: FrameFormat) throws(CodecError) -> CenteredOrder {
        let center = settings.integer("center") ?? 1 << (picture.bitDepth - 1)
        guard center >> picture.bitDepth == 0 else {
            throw .unsupported(
                codec: settings.codec, expected: "a center of \(picture.bitDepth) bits", found: "\(center)")
        }
        return CenteredOrder(center: center, bitDepth: picture.bitDepth)
    }
}

/// Bins by their distance from the most frequent one, which is what JPEG XL's code for integers expects.
///
/// The center becomes 0, the bins below it 1, 3, 5, …, those above 2, 4, 6, …, distances taken modulo 2^n. As samples these
/// numbers are spread over the whole range of 8 or 16 bits, as libjxl takes them.
private struct CenteredOrder {
    private let pixels: [UInt16]
    private let bins: [UInt16]
    private let isWide: Bool

    init(center: Int, bitDepth: Int) {
        isWide = bitDepth > 8
        let (top, full) = ((1 << bitDepth) - 1, isWide ? 65_535 : 255)
        let middle = 1 << (bitDepth - 1)
        var pixels = [UInt16](repeating: 0, count: top + 1)
        var ordered = pixels
        for bin in 0...top {
            let distance = ((bin - center + middle) & top) - middle
            let sample = distance < 0 ? -2 * distance - 1 : 2 * distance
            pixels[bin] = UInt16((sample * full + top / 2) / top)
            ordered[sample] = UInt16(bin)
        }
        self.pixels = pixels
        bins = (0...full).map { ordered[($0 * top + full / 2) / full] }
    }

    func replaceBins(_ samples: UnsafeMutableRawBufferPointer) { replace(samples, by: pixels) }

    func restoreBins(_ samples: UnsafeMutableRawBufferPointer) { replace(samples, by: bins) }

    private func replace(_ samples: UnsafeMutableRawBufferPointer, by table: [UInt16]) {
        table.withUnsafeBufferPointer { table in
            if isWide {
                let samples = samples.bindMemory(to: UInt16.self)
                for index in samples.indices { samples[index] = table[Int(samples[index])] }
            } else {
                for index in samples.indices { samples[index] = UInt8(truncatingIfNeeded: table[Int(samples[index])]) }
            }
        }
    }
}
