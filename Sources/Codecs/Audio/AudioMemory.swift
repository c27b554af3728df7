import CCodecShims

/// A file in memory for libsndfile: either a stream that is only read, or bytes that grow as they are written.
final class AudioMemory {
    private let source: UnsafeRawBufferPointer
    private(set) var written: [UInt8] = []
    private var position = 0

    /// A file to read; `source` must outlive it.
    init(reading source: UnsafeRawBufferPointer) {
        self.source = source
    }

    /// A file to write.
    init() {
        source = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    private var count: Int { max(source.count, written.count) }

    private func seek(_ offset: Int, _ whence: Int32) -> Int {
        let base =
            switch Int(whence) {
            case SF_SEEK_CUR: position
            case SF_SEEK_END: count
            default: 0
            }
        let (target, overflow) = base.addingReportingOverflow(offset)
        guard !overflow, (0...count).contains(target) else { return -1 }
        position = target
        return target
    }

    private func read(_ target: UnsafeMutableRawPointer, _ wanted: Int) -> Int {
        let taken = max(0, min(wanted, count - position))
        guard taken > 0 else { return 0 }
        if let base = source.baseAddress {
            target.copyMemory(from: base + position, byteCount: taken)
        } else {
            // libsndfile reads back parts of the header it wrote.
            written.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(start: target, count: taken)
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + taken]))
            }
        }
        position += taken
        return taken
    }

    private func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        let overlap = min(bytes.count, written.count - position)
        written.replaceSubrange(position..<position + overlap, with: bytes)
        position += bytes.count
        return bytes.count
    }

    /// Opens the file with libsndfile, which must be closed before the memory is released; nil when it refuses.
    func open(_ mode: Int32, _ info: inout SF_INFO) -> OpaquePointer? {
        var callbacks = SF_VIRTUAL_IO(
            get_filelen: { sf_count_t(AudioMemory.from($0)?.count ?? 0) },
            seek: { (offset, whence, memory) in sf_count_t(AudioMemory.from(memory)?.seek(Int(offset), whence) ?? -1) },
            read: { (target, count, memory) in
                guard let target, let memory = AudioMemory.from(memory) else { return 0 }
                return sf_count_t(memory.read(target, Int(count)))
            },
            write: { (bytes, count, memory) in
                guard let memory = AudioMemory.from(memory) else { return 0 }
                return sf_count_t(memory.write(UnsafeRawBufferPointer(start: bytes, count: Int(count))))
            },
            tell: { sf_count_t(AudioMemory.from($0)?.position ?? -1) })
        return libsndfile.sf_open_virtual(&callbacks, mode, &info, Unmanaged.passUnretained(self).toOpaque())
    }

    private static func from(_ pointer: UnsafeMutableRawPointer?) -> AudioMemory? {
        pointer.map { Unmanaged<AudioMemory>.fromOpaque($0).takeUnretainedValue() }
    }
}
