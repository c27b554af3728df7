import CCodecShims

/// The bin that a lossless track takes for silence, the sample 0.
///
/// FLAC pays for magnitude and predicts, but cannot subtract a constant: where one outlier has pushed the bulk of the
/// weights away from the middle bin, every sample would carry that offset, up to half a bit per weight. The file's comment
/// then names another bin as silence.
enum SilentBin {
    private static let key = "silence="

    /// The bin that most weights lie around: the middle one unless the median is well away from it.
    static func choose(_ frame: UnsafeRawBufferPointer, _ format: FrameFormat) -> Int32 {
        var counts = [Int](repeating: 0, count: 1 << format.bitDepth)
        counts.withUnsafeMutableBufferPointer { counts in
            if format.bytesPerSample == 1 {
                for bin in frame { counts[Int(bin)] += 1 }
            } else {
                for bin in frame.bindMemory(to: UInt16.self) { counts[Int(bin)] += 1 }
            }
        }
        let middle = counts.count / 2
        let median = quantile(counts, format.width / 2)
        let spread = quantile(counts, format.width * 3 / 4) - quantile(counts, format.width / 4)
        // Closer than a quarter of the quartiles' distance the comment costs more than it saves.
        return Int32(4 * abs(median - middle) > spread ? median : middle)
    }

    /// The bin of the sample that has so many below it.
    private static func quantile(_ counts: [Int], _ rank: Int) -> Int {
        var seen = 0
        return counts.firstIndex { count in
            seen += count
            return seen > rank
        } ?? 0
    }

    /// Notes the silent bin in a file that is about to be written.
    static func write(_ bin: Int32, to file: OpaquePointer) -> Bool {
        libsndfile.sf_set_string(file, Int32(SF_STR_COMMENT), "\(key)\(bin)") == 0
    }

    /// The silent bin that a file names; `nil` for the middle one.
    static func read(_ file: OpaquePointer, _ format: FrameFormat) -> Int32? {
        guard let text = libsndfile.sf_get_string(file, Int32(SF_STR_COMMENT)).map({ String(cString: $0) }),
            text.hasPrefix(key), let bin = Int32(text.dropFirst(key.count)), (0..<1 << format.bitDepth).contains(bin)
        else { return nil }
        return bin
    }
}
