import CSndfile

/// One track of samples by libsndfile, each a bin.
///
/// Lossless files hold `bin - 2^(n - 1)`, or for FLAC the distance from another silent bin, as integers, so that small
/// weights are quiet: FLAC pays for magnitude. Lossy ones hold the bins' middles spread over [-1, 1).
struct AudioCodec: MediaCodec {
    private let design: AudioDesign
    private let settings: CodecSettings

    static func family(_ design: AudioDesign) -> CodecRegistry.Family {
        CodecRegistry.Family(
            name: design.name, parameters: design.parameters, unavailable: { design.unavailable },
            make: { (settings) throws(CodecError) in AudioCodec(design: design, settings: settings) })
    }

    var description: CodecDescription {
        CodecDescription(
            name: design.name, medium: .audio, summary: design.summary, isLossless: design.isLossless,
            bitDepths: 1...16, fileExtension: design.fileExtension, framesPerPicture: 1,
            maximumWidth: AudioDesign.maximumSamples, maximumHeight: 1, maximumCount: 1,
            parameters: design.parameters, licenseNote: nil)
    }

    var specification: String { settings.specification }

    func encode(_ format: FrameFormat, count: Int, fill: (Int, UnsafeMutableRawBufferPointer) -> Void)
        throws(CodecError)
        -> [UInt8]
    {
        try description.check(format, count: count)
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: format.byteCount, alignment: 16)
        defer { frame.deallocate() }
        try fillFrame(0, format, frame, fill)
        let memory = AudioMemory()
        var info = design.info(bitDepth: format.bitDepth)
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
        let failure = isConfigured ? write(frame, format, scale, file) : "a setting was refused"
        let closed = sf_close(file)
        if let failure { throw .encodingFailed(codec: design.name, reason: failure) }
        guard closed == 0 else {
            throw .encodingFailed(codec: design.name, reason: String(cString: sf_error_number(closed)))
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
            sf_close(file)
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
        let expected = design.info(bitDepth: format.bitDepth)
        // The upper bits of the format may tell the byte order.
        let types = Int32(SF_FORMAT_TYPEMASK | SF_FORMAT_SUBMASK)
        guard info.frames == format.width, info.channels == 1, info.format & types == expected.format & types else {
            throw .mismatch(
                codec: design.name,
                expected: "\(format.width) samples in one channel of type \(expected.format & types)",
                found: "\(info.frames) in \(info.channels) of type \(info.format & types)")
        }
        // The densest file is FLAC's silence, 65,535 samples in some 11 bytes.
        guard format.width / 8192 <= byteCount else {
            throw .damaged(codec: design.name, reason: "the file is truncated")
        }
    }

    // MARK: Samples

    private static let chunk = 1 << 14

    private func write(
        _ frame: UnsafeMutableRawBufferPointer, _ format: FrameFormat, _ scale: Scale, _ file: OpaquePointer
    ) -> String? {
        var integers: [Int32] = []
        var reals: [Float] = []
        var start = 0
        while start < format.width {
            let end = min(start + Self.chunk, format.width)
            let bins = (start..<end).lazy.map { scale.bin(frame, $0) }
            let written: sf_count_t
            if design.isLossless {
                integers.removeAll(keepingCapacity: true)
                integers.append(contentsOf: bins.lazy.map(scale.integer))
                written = sf_write_int(file, integers, sf_count_t(end - start))
            } else {
                reals.removeAll(keepingCapacity: true)
                reals.append(contentsOf: bins.lazy.map(scale.real))
                written = sf_write_float(file, reals, sf_count_t(end - start))
            }
            guard written == end - start else { return String(cString: sf_strerror(file)) }
            start = end
        }
        return nil
    }

    private func read(
        _ frame: UnsafeMutableRawBufferPointer, _ format: FrameFormat, _ scale: Scale, _ file: OpaquePointer
    ) -> String? {
        var integers = [Int32](repeating: 0, count: design.isLossless ? Self.chunk : 0)
        var reals = [Float](repeating: 0, count: design.isLossless ? 0 : Self.chunk)
        var start = 0
        while start < format.width {
            let wanted = min(Self.chunk, format.width - start)
            let got =
                design.isLossless
                ? sf_read_int(file, &integers, sf_count_t(wanted)) : sf_read_float(file, &reals, sf_count_t(wanted))
            guard got == wanted, sf_error(file) == 0 else {
                return sf_error(file) == 0
                    ? "it ends after \(start + max(0, Int(got))) of \(format.width) samples"
                    : String(cString: sf_strerror(file))
            }
            if design.isLossless {
                for index in 0..<wanted { scale.store(scale.bin(integers[index]), frame, start + index) }
            } else {
                for index in 0..<wanted { scale.store(scale.bin(reals[index]), frame, start + index) }
            }
            start += wanted
        }
        return nil
    }
}

/// How bins become samples and samples bins.
private struct Scale {
    let isWide: Bool
    /// 2^(n - 1).
    let middle: Int32
    /// The bin that is silence in a lossless file.
    var silence: Int32
    /// libsndfile's integers are left-justified in 32 bits: this brings a bin to the file's 8 or 16.
    let shift: Int32

    init(_ format: FrameFormat) {
        isWide = format.bytesPerSample == 2
        middle = 1 << (Int32(format.bitDepth) - 1)
        silence = middle
        shift = isWide ? 16 : 24
    }

    @inline(__always)
    func bin(_ frame: UnsafeMutableRawBufferPointer, _ index: Int) -> Int32 {
        isWide
            ? Int32(frame.load(fromByteOffset: 2 * index, as: UInt16.self))
            : Int32(frame.load(fromByteOffset: index, as: UInt8.self))
    }

    @inline(__always)
    func store(_ bin: Int32, _ frame: UnsafeMutableRawBufferPointer, _ index: Int) {
        if isWide {
            frame.storeBytes(of: UInt16(truncatingIfNeeded: bin), toByteOffset: 2 * index, as: UInt16.self)
        } else {
            frame.storeBytes(of: UInt8(truncatingIfNeeded: bin), toByteOffset: index, as: UInt8.self)
        }
    }

    /// Far from the silent bin the difference wraps around in the file's 8 or 16 bits.
    func integer(_ bin: Int32) -> Int32 { (bin - silence) << shift }

    func bin(_ integer: Int32) -> Int32 {
        let sum = (integer >> shift) + silence
        return min(sum & (isWide ? 0xffff : 0xff), 2 * middle - 1)
    }

    func real(_ bin: Int32) -> Float { (Float(bin - middle) + 0.5) / Float(middle) }

    func bin(_ real: Float) -> Int32 {
        let position = (real * Float(middle)).rounded(.down)
        // Also where a damaged stream gave no number at all.
        guard position >= Float(-middle) else { return 0 }
        return position >= Float(middle) ? 2 * middle - 1 : Int32(position) + middle
    }
}
