import CCodecShims

/// One track of samples by libsndfile, each a bin.
///
/// Lossless files hold `bin - 2^(n - 1)`, or for FLAC the distance from another silent bin, as integers, so that small
/// weights are quiet: FLAC pays for magnitude. With `pack=2` a FLAC sample stands for two bins. Lossy files hold the bins' middles
/// spread over [-1, 1).
struct AudioCodec: MediaCodec {
    private let design: AudioDesign
    private let settings: CodecSettings

    static func family(_ design: AudioDesign) -> CodecRegistry.Family {
        CodecRegistry.Family(
            name: design.name, parameters: design.parameters, unavailable: { design.unavailable },
            make: { (settings) throws(CodecError) in AudioCodec(design: design, settings: settings) })
    }

    private var packsPairs: Bool { settings.integer("pack") == 2 }

    var description: CodecDescription {
        CodecDescription(
            name: design.name, medium: .audio, summary: design.summary, isLossless: design.isLossless,
            bitDepths: 1...(packsPairs ? 8 : 16), fileExtension: design.fileExtension, framesPerPicture: 1,
            maximumWidth: AudioDesign.maximumSamples, maximumHeight: 1, maximumCount: 1,
            parameters: design.parameters, licenseNote: nil)
    }

    var specification: String { settings.specification }

    var libraryVersion: String { libraryText(libsndfile.sf_version_string()) }

    func encode(_ format: FrameFormat, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void)
        throws(CodecError)
        -> [UInt8]
    {
        try description.check(format, count: count)
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: format.byteCount, alignment: 16)
        defer { frame.deallocate() }
        try fillFrame(0, format, frame, fill)
        let memory = AudioMemory()
        var info = design.info(bitDepth: sampleDepth(format))
        guard let file = memory.open(Int32(SFM_WRITE), &info) else {
            throw .encodingFailed(codec: design.name, reason: "libsndfile cannot open a file to write")
        }
        var scale = Scale(format)
        var isConfigured = design.configure(file, settings)
        if design.choosesSilence {
            let silence = SilentBin.choose(UnsafeRawBufferPointer(frame), format)
            // libsndfile writes comments before the first sample only.
            if silence != scale.silence { isConfigured = SilentBin.write(silence, to: file) && isConfigured }
            scale.silence = silence
        }
        let samples = UnsafeRawBufferPointer(frame)
        let failure = isConfigured ? write(samples, format, scale, file) : "a setting was refused"
        let closed = libsndfile.sf_close(file)
        if let failure { throw .encodingFailed(codec: design.name, reason: failure) }
        guard closed == 0 else {
            throw .encodingFailed(codec: design.name, reason: libraryText(libsndfile.sf_error_number(closed)))
        }
        var stream = withExtendedLifetime(memory) { memory.written }
        if design.isOgg { try Ogg.setSerialNumber(&stream, codec: design.name) }
        return stream
    }

    func decode(
        _ stream: UnsafeRawBufferPointer, _ format: FrameFormat, count: Int, take: (Int, UnsafeRawBufferPointer) -> Void
    ) throws(CodecError) {
        try description.check(format, count: count)
        guard design.isIntact(stream) else {
            throw .damaged(codec: design.name, reason: "its checksums do not match")
        }
        let memory = AudioMemory(reading: stream)
        var info = SF_INFO()
        guard let file = memory.open(Int32(SFM_READ), &info) else {
            throw .damaged(codec: design.name, reason: "not a whole file of this kind")
        }
        defer {
            _ = libsndfile.sf_close(file)
            withExtendedLifetime(memory) {}
        }
        try check(info, format, byteCount: stream.count)
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: format.byteCount, alignment: 16)
        defer { frame.deallocate() }
        var scale = Scale(format)
        if design.choosesSilence, let silence = SilentBin.read(file, format) { scale.silence = silence }
        if let failure = read(frame, format, scale, file) { throw .damaged(codec: design.name, reason: failure) }
        take(0, UnsafeRawBufferPointer(frame))
    }

    /// Compares a file's header with what is expected, before memory for its samples is taken.
    private func check(_ info: SF_INFO, _ format: FrameFormat, byteCount: Int) throws(CodecError) {
        let expected = design.info(bitDepth: sampleDepth(format))
        let samples = packsPairs ? BinPairs.sampleCount(format.width) : format.width
        // The upper bits of the format may tell the byte order.
        let types = Int32(SF_FORMAT_TYPEMASK | SF_FORMAT_SUBMASK)
        guard info.frames == samples, info.channels == 1, info.format & types == expected.format & types else {
            throw .mismatch(
                codec: design.name,
                expected: "\(samples) samples in one channel of type \(expected.format & types)",
                found: "\(info.frames) in \(info.channels) of type \(info.format & types)")
        }
        // The densest file is FLAC's silence, 65,535 samples in some 11 bytes.
        guard samples / 8192 <= byteCount else {
            throw .damaged(codec: design.name, reason: "the file is truncated")
        }
    }

    /// Bits of what a sample stands for.
    private func sampleDepth(_ format: FrameFormat) -> Int { packsPairs ? 2 * format.bitDepth : format.bitDepth }

    private func write(
        _ frame: UnsafeRawBufferPointer, _ format: FrameFormat, _ scale: Scale, _ file: OpaquePointer
    ) -> String? {
        guard design.isLossless else {
            return writeSamples(format.width, { libsndfile.sf_write_float(file, $0, $1) }, file) {
                scale.real(scale.bin(frame, $0))
            }
        }
        guard packsPairs else {
            return writeSamples(format.width, { libsndfile.sf_write_int(file, $0, $1) }, file) {
                scale.integer(scale.bin(frame, $0))
            }
        }
        let pairs = BinPairs(bitDepth: format.bitDepth, silence: scale.silence)
        return writeSamples(BinPairs.sampleCount(format.width), { libsndfile.sf_write_int(file, $0, $1) }, file) {
            pairs.integer(frame, $0)
        }
    }

    private func read(
        _ frame: UnsafeMutableRawBufferPointer, _ format: FrameFormat, _ scale: Scale, _ file: OpaquePointer
    ) -> String? {
        guard design.isLossless else {
            return readSamples(format.width, { libsndfile.sf_read_float(file, $0, $1) }, file) {
                scale.store(scale.bin($0), frame, $1)
            }
        }
        guard packsPairs else {
            return readSamples(format.width, { libsndfile.sf_read_int(file, $0, $1) }, file) {
                scale.store(scale.bin($0), frame, $1)
            }
        }
        let pairs = BinPairs(bitDepth: format.bitDepth, silence: scale.silence)
        return readSamples(BinPairs.sampleCount(format.width), { libsndfile.sf_read_int(file, $0, $1) }, file) {
            pairs.store($0, frame, $1)
        }
    }
}
