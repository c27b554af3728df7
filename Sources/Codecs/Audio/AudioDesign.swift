import CCodecShims

/// How one kind of audio file is made for weights: libsndfile's format and settings.
struct AudioDesign: Sendable {
    let name: String
    let summary: String
    let fileExtension: String
    let isLossless: Bool
    let parameters: [CodecParameter]
    /// libsndfile's format for bins of so many bits.
    let format: @Sendable (_ bitDepth: Int) -> Int
    /// Applies the settings to a file that was opened for writing; false when libsndfile refuses.
    var configure: @Sendable (OpaquePointer, CodecSettings) -> Bool = { (_, _) in true }
    /// Finds damage that libsndfile would not report.
    var isIntact: @Sendable (UnsafeRawBufferPointer) -> Bool = { (_) in true }
    /// Whether the file is Ogg, whose random serial number must be made the same on every run.
    var isOgg = false
    /// Whether the file may take another bin than the middle one for silence.
    var choosesSilence = false

    /// Any rate would do; all of the codecs take this one.
    static let sampleRate: Int32 = 48_000
    /// WAV counts bytes in 32 bits, two for each sample.
    static let maximumSamples = (1 << 31) - 1024

    func info(bitDepth: Int) -> SF_INFO {
        SF_INFO(
            frames: 0, samplerate: Self.sampleRate, channels: 1, format: Int32(format(bitDepth)), sections: 0,
            seekable: 0)
    }

    /// Why this machine cannot write such files; nil when it can.
    var unavailable: String? {
        if let reason = reasonMissing(wc_libsndfile_load) { return reason }
        // libsndfile lists formats that it was built without: only opening a file tells.
        var info = info(bitDepth: 8)
        let memory = AudioMemory()
        return withExtendedLifetime(memory) {
            guard let file = memory.open(Int32(SFM_WRITE), &info) else {
                return "this libsndfile cannot write it"
            }
            _ = libsndfile.sf_close(file)
            return nil
        }
    }
}

private func quality(_ meaning: String) -> CodecParameter {
    CodecParameter(name: "quality", meaning: meaning, values: .real(0...1), defaultValue: "0.9")
}

/// Passes libsndfile a number between 0 and 1.
private func set(_ file: OpaquePointer, _ command: Int, _ number: Double) -> Bool {
    var number = number
    return libsndfile.sf_command(file, Int32(command), &number, Int32(MemoryLayout<Double>.size)) != 0
}

extension AudioDesign {
    /// FLAC, which does not predict such noise and codes it by Rice codes, one parameter for each run of 128 samples or more.
    ///
    /// Bits above the entropy of Gaussian bins (H = 2.8 / 3.8): +0.151 / +0.118, in pairs +0.075 / +0.059; on trained layers 0.05 to
    /// 0.1 less, as the parameters follow their scale. Levels above 5 change nothing, level 0 costs 0.06. Blocks longer than
    /// libsndfile's would save 0.02, in pairs 0.01.
    static let flac = AudioDesign(
        name: "flac", summary: "FLAC, 8 or 16 bits (libsndfile)", fileExtension: "flac", isLossless: true,
        parameters: [
            CodecParameter(
                name: "level", meaning: "effort of the encoder", values: .integer(0...8), defaultValue: "5"),
            CodecParameter(
                name: "pack", meaning: "bins in a sample; 2, of at most 8 bits each, are coded as a pair: fewer bits",
                values: .integer(1...2), defaultValue: "1"),
        ],
        format: { SF_FORMAT_FLAC | ($0 > 8 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_S8) },
        configure: { (file, settings) in
            set(file, SFC_SET_COMPRESSION_LEVEL, Double(settings.integer("level") ?? 5) / 8)
        }, choosesSilence: true)

    static let wav = AudioDesign(
        name: "wav", summary: "WAV, uncompressed, 8 or 16 bits (libsndfile)", fileExtension: "wav", isLossless: true,
        parameters: [],
        format: { SF_FORMAT_WAV | ($0 > 8 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_U8) })

    static let vorbis = AudioDesign(
        name: "vorbis", summary: "Vorbis in Ogg (libsndfile)", fileExtension: "ogg", isLossless: false,
        parameters: [quality("larger is better")],
        format: { (_) in SF_FORMAT_OGG | SF_FORMAT_VORBIS },
        configure: { (file, settings) in
            set(file, SFC_SET_VBR_ENCODING_QUALITY, settings.real("quality") ?? 0.9)
        }, isIntact: Ogg.isIntact, isOgg: true)

    static let opus = AudioDesign(
        name: "opus", summary: "Opus in Ogg (libsndfile)", fileExtension: "opus", isLossless: false,
        parameters: [quality("larger is better: 6 to 256 kbit/s")],
        format: { (_) in SF_FORMAT_OGG | SF_FORMAT_OPUS },
        configure: { (file, settings) in
            set(file, SFC_SET_COMPRESSION_LEVEL, 1 - (settings.real("quality") ?? 0.9))
        }, isIntact: Ogg.isIntact, isOgg: true)

    static let mp3 = AudioDesign(
        name: "mp3", summary: "MP3 (libsndfile)", fileExtension: "mp3", isLossless: false,
        parameters: [quality("larger is better")],
        format: { (_) in SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III },
        configure: { (file, settings) in
            set(file, SFC_SET_COMPRESSION_LEVEL, 1 - (settings.real("quality") ?? 0.9))
        }, isIntact: MP3.isIntact)
}
