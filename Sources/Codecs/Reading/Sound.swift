import CCodecShims

/// A sound as a network may take it.
package struct Sound: Sendable {
    /// Samples in a second.
    package let rate: Int
    package let channels: Int
    /// Values from -1 to 1, the channels of a moment one after another.
    package let samples: [Float]

    /// Most samples that are read.
    package static let mostSamples = 1 << 28

    /// Whether a file is one of the kinds that are read (WAV, FLAC, Ogg, AIFF), by its first bytes.
    package static func recognizes(_ file: UnsafeRawBufferPointer) -> Bool {
        ["RIFF", "RF64", "fLaC", "OggS", "FORM"].contains { file.starts(with: $0.utf8) }
    }

    /// Reads a file with libsndfile.
    ///
    /// - Throws: `CodecError.unavailable` without the library, `.damaged`, `.unsupported` for more than ``mostSamples``.
    package init(_ file: UnsafeRawBufferPointer) throws(CodecError) {
        if let reason = reasonMissing(wc_libsndfile_load) { throw .unavailable(codec: "sound", reason: reason) }
        let memory = AudioMemory(reading: file)
        var info = SF_INFO()
        guard let handle = memory.open(Int32(SFM_READ), &info) else {
            throw .damaged(codec: "sound", reason: "not a whole sound file")
        }
        defer {
            _ = libsndfile.sf_close(handle)
            withExtendedLifetime(memory) {}
        }
        let (total, overflow) = Int(info.frames).multipliedReportingOverflow(by: Int(info.channels))
        guard total >= 0, !overflow, total <= Self.mostSamples else {
            throw .unsupported(
                codec: "sound", expected: "at most \(Self.mostSamples) samples",
                found: "\(info.frames) in \(info.channels) channels")
        }
        rate = Int(info.samplerate)
        channels = Int(info.channels)
        // A header may claim more than there is: memory is taken as samples come.
        var samples: [Float] = []
        var piece = [Float](repeating: 0, count: (1 << 14) / max(channels, 1) * max(channels, 1))
        while samples.count < total {
            let wanted = min(piece.count, total - samples.count)
            let got = piece.withUnsafeMutableBufferPointer {
                libsndfile.sf_read_float(handle, $0.baseAddress, sf_count_t(wanted))
            }
            guard got == wanted, libsndfile.sf_error(handle) == 0 else {
                throw .damaged(
                    codec: "sound", reason: "it ends after \(samples.count + max(0, Int(got))) of \(total) samples")
            }
            samples += piece[..<wanted]
        }
        self.samples = samples
    }
}
