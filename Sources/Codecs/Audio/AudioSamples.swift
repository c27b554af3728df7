import CCodecShims

private let chunk = 1 << 14

/// Writes so many samples, each made by `sample` from its number.
///
/// - Parameter put: libsndfile's function for the type, with its file.
/// - Returns: what went wrong; `nil` for nothing.
@inline(__always)
func writeSamples<Sample>(
    _ count: Int, _ put: (UnsafePointer<Sample>?, sf_count_t) -> sf_count_t, _ file: OpaquePointer,
    _ sample: (Int) -> Sample
) -> String? {
    var samples: [Sample] = []
    for start in stride(from: 0, to: count, by: chunk) {
        let end = min(start + chunk, count)
        samples.removeAll(keepingCapacity: true)
        for index in start..<end { samples.append(sample(index)) }
        guard put(samples, sf_count_t(end - start)) == end - start else {
            return libraryText(libsndfile.sf_strerror(file))
        }
    }
    return nil
}

/// Reads so many samples and hands each to `store` with its number.
///
/// - Parameter get: libsndfile's function for the type, with its file.
/// - Returns: what went wrong; `nil` for nothing.
@inline(__always)
func readSamples<Sample: Numeric>(
    _ count: Int, _ get: (UnsafeMutablePointer<Sample>?, sf_count_t) -> sf_count_t, _ file: OpaquePointer,
    _ store: (Sample, Int) -> Void
) -> String? {
    var samples = [Sample](repeating: 0, count: chunk)
    for start in stride(from: 0, to: count, by: chunk) {
        let wanted = min(chunk, count - start)
        let got = samples.withUnsafeMutableBufferPointer { get($0.baseAddress, sf_count_t(wanted)) }
        guard got == wanted, libsndfile.sf_error(file) == 0 else {
            return libsndfile.sf_error(file) == 0
                ? "it ends after \(start + max(0, Int(got))) of \(count) samples"
                : libraryText(libsndfile.sf_strerror(file))
        }
        for index in 0..<wanted { store(samples[index], start + index) }
    }
    return nil
}

/// How bins become samples and samples bins.
struct Scale {
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
    func bin(_ frame: UnsafeRawBufferPointer, _ index: Int) -> Int32 {
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
