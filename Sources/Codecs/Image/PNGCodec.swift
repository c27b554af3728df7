import CCodecShims
import CPNG

/// PNG by libpng: a gray picture of the smallest of 1, 2, 4, 8 and 16 bits that holds the bins, of several frames a stack.
///
/// Where that is more bits than the bins have, samples are left-justified (`v << (depth - n)`) and an sBIT chunk holds n, so
/// that pictures look right in a viewer. Above 8 bits this saves bits, as the low byte then has few values; at 5, 6 and 7
/// bits it costs up to 0.01 bits a sample in longer Huffman tables.
struct PNGCodec: MediaCodec {
    static let family = CodecRegistry.Family(
        name: "png",
        parameters: [
            CodecParameter(
                name: "strategy",
                meaning: "how deflate codes; weights do not repeat, so searching for matches costs bits",
                values: .choice(["huffman", "default", "rle", "filtered"]), defaultValue: "huffman"),
            CodecParameter(
                name: "filter", meaning: "prediction of rows; weights are not smooth, so predicting them costs bits",
                values: .choice(["none", "sub", "up", "avg", "paeth", "all"]), defaultValue: "none"),
            CodecParameter(
                name: "level", meaning: "deflate's effort; without effect on strategy huffman, but 0 stores",
                values: .integer(0...9), defaultValue: "9"),
            CodecParameter(
                name: "blocks",
                meaning:
                    "where deflate's blocks end: after 32,767 symbols; or, with strategy huffman and filter none, wherever "
                    + "another code pays, however long they get",
                values: .choice(["full", "best"]), defaultValue: "full"),
        ],
        unavailable: { nil },
        make: { (settings) throws(CodecError) in PNGCodec(settings: settings) })

    private let settings: CodecSettings
    private let effort: wc_png_effort
    /// Whether deflate's blocks are chosen by cost, and not by zlib.
    private let choosesBlocks: Bool

    private init(settings: CodecSettings) {
        self.settings = settings
        let strategy =
            switch settings.text("strategy") {
            case "default": wc_png_strategy_default
            case "rle": wc_png_strategy_rle
            case "filtered": wc_png_strategy_filtered
            default: wc_png_strategy_huffman
            }
        let filters =
            switch settings.text("filter") {
            case "sub": wc_png_filter_sub
            case "up": wc_png_filter_up
            case "avg": wc_png_filter_average
            case "paeth": wc_png_filter_paeth
            case "all": wc_png_filter_all
            default: wc_png_filter_none
            }
        effort = wc_png_effort(
            strategy: strategy, filters: filters, level: Int32(settings.integer("level") ?? 9))
        choosesBlocks =
            settings.text("blocks") == "best" && settings.text("strategy") == "huffman" && effort.level > 0
            && filters == wc_png_filter_none
    }

    var description: CodecDescription {
        CodecDescription(
            name: settings.codec, medium: .image, summary: "PNG, gray, Huffman coding without prediction (libpng)",
            isLossless: true, bitDepths: 1...16, fileExtension: "png", framesPerPicture: 1,
            maximumWidth: Int(Int32.max), maximumHeight: Int(Int32.max), maximumCount: Int(Int32.max),
            parameters: Self.family.parameters, licenseNote: nil)
    }

    var specification: String { settings.specification }

    var libraryVersion: String { "libpng \(libraryText(png_get_libpng_ver(nil)))" }

    func encode(_ format: FrameFormat, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void)
        throws(CodecError)
        -> [UInt8]
    {
        let picture = try FrameStack.picture(format, count: count, in: description)
        let stack = try FrameStack(format, in: picture, codec: settings.codec)
        for index in 0..<count { try fillFrame(index, format, stack.frame(index), fill) }
        let file = try encode(stack.samples, picture.png, effort, choosesBlocks: choosesBlocks)
        guard effort.strategy == wc_png_strategy_huffman, effort.level > 0,
            isMostlyAlike(stack.samples, bytesPerSample: picture.bytesPerSample)
        else {
            return file
        }
        // A Huffman code takes a bit for each sample at least; matches take one for many.
        var matching = effort
        matching.strategy = wc_png_strategy_default
        let other = try encode(stack.samples, picture.png, matching, choosesBlocks: false)
        return other.count < file.count ? other : file
    }

    private func encode(
        _ samples: UnsafeMutableRawBufferPointer, _ format: wc_png_format, _ effort: wc_png_effort, choosesBlocks: Bool
    ) throws(CodecError) -> [UInt8] {
        var file = wc_bytes()
        var message = wc_message()
        let isEncoded =
            choosesBlocks
            ? wc_png_encode_blocks(samples.baseAddress, format, &file)
            : wc_png_encode(samples.baseAddress, format, effort, &file, &message)
        guard isEncoded else {
            throw .encodingFailed(codec: settings.codec, reason: choosesBlocks ? "out of memory" : message.string)
        }
        defer { wc_bytes_free(&file) }
        return [UInt8](UnsafeBufferPointer(start: file.data, count: file.size))
    }

    func decode(
        _ stream: UnsafeRawBufferPointer, _ format: FrameFormat, count: Int, take: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(CodecError) {
        let picture = try FrameStack.picture(format, count: count, in: description)
        let bytes = stream.bindMemory(to: UInt8.self)
        var message = wc_message()
        try check(wc_png_check(bytes.baseAddress, bytes.count, picture.png, &message), message, picture)
        let stack = try FrameStack(format, in: picture, slack: picture.height, codec: settings.codec)
        let result = wc_png_decode(bytes.baseAddress, bytes.count, picture.png, stack.samples.baseAddress, &message)
        try check(result, message, picture)
        for index in 0..<count { take(index, UnsafeRawBufferPointer(stack.frame(index))) }
    }

    private func check(_ result: wc_png_result, _ message: wc_message, _ picture: FrameFormat) throws(CodecError) {
        switch result {
        case wc_png_done:
            return
        case wc_png_other_picture:
            let png = picture.png
            throw .mismatch(
                codec: settings.codec,
                expected: "\(png.width)x\(png.height), gray, \(png.significant) of \(png.depth) bits significant",
                found: message.string)
        default:
            throw .damaged(codec: settings.codec, reason: message.string)
        }
    }
}

/// Whether more than half of the first bytes of all samples are the same, and of the second ones, if any.
private func isMostlyAlike(_ samples: UnsafeMutableRawBufferPointer, bytesPerSample: Int) -> Bool {
    (0..<bytesPerSample).allSatisfy { first in
        var counts = [Int](repeating: 0, count: 256)
        counts.withUnsafeMutableBufferPointer { counts in
            for place in stride(from: first, to: samples.count, by: bytesPerSample) {
                counts[Int(samples[place])] &+= 1
            }
        }
        return 2 * bytesPerSample * (counts.max() ?? 0) > samples.count
    }
}

extension FrameFormat {
    fileprivate var png: wc_png_format {
        let depth = [1, 2, 4, 8].first { $0 >= bitDepth } ?? 16
        return wc_png_format(
            width: UInt32(width), height: UInt32(height), significant: Int32(bitDepth), depth: Int32(depth))
    }
}

extension wc_message {
    /// The text up to its end.
    var string: String {
        withUnsafeBytes(of: text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
