/// All codecs, by name.
public enum CodecRegistry {
    /// One codec and whether this machine has it.
    public struct Entry: Sendable {
        /// The codec with its default settings.
        public let description: CodecDescription
        /// Why this machine cannot use it; nil when it can.
        public let unavailable: String?
    }

    /// A kind of codec before its settings are known.
    struct Family: Sendable {
        let name: String
        let parameters: [CodecParameter]
        /// Why this machine cannot use it; nil when it can.
        let unavailable: @Sendable () -> String?
        let make: @Sendable (CodecSettings) throws(CodecError) -> any MediaCodec
    }

    static let families: [Family] =
        [PNGCodec.family, JXLCodec.family]
        + [.utvideo, .ffv1, .h264, .hevc, .av1, .vp9].map(VideoCodec.family)
        + [.flac, .wav, .vorbis, .opus, .mp3].map(AudioCodec.family)

    /// Every codec that exists, in the order in which to list them.
    public static var all: [Entry] {
        families.compactMap { family in
            guard let settings = try? CodecSettings(codec: family.name, parameters: family.parameters, assignments: []),
                let codec = try? family.make(settings)
            else { return nil }
            return Entry(description: codec.description, unavailable: family.unavailable())
        }
    }

    /// Makes a codec from its name and parameters, as `png`, `hevc:qp=20` or `av1:qp=40,speed=6`.
    ///
    /// - Throws: `CodecError.unknownCodec`, `.unknownParameter`, `.badValue`, or `.unavailable` when this machine lacks it.
    public static func codec(_ specification: String) throws(CodecError) -> any MediaCodec {
        let parts = specification.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "," }
        let name = String(parts[0])
        guard let family = families.first(where: { $0.name == name }) else {
            throw .unknownCodec(name, known: families.map(\.name))
        }
        let settings = try CodecSettings(
            codec: name, parameters: family.parameters, assignments: Array(parts.dropFirst()))
        if let reason = family.unavailable() { throw .unavailable(codec: name, reason: reason) }
        return try family.make(settings)
    }

    /// The lossless codec to use for a medium when nothing was chosen.
    public static func defaultCodec(for medium: Medium, bitDepth: Int) throws(CodecError) -> any MediaCodec {
        switch medium {
        case .image: try codec("png")
        case .video: try codec(bitDepth <= 8 ? "utvideo" : "ffv1")
        case .audio: try codec("flac")
        }
    }
}
