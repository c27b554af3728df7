import CCodecShims

/// Memory that pictures and others released: of at most 64 MB, which wait, the next ones are made.
///
/// Layers are decoded one after the other, and pages fresh from the system cost more than decoding what fills them.
public enum RecycledMemory {
    /// So many bytes, which hold anything, aligned to 16.
    ///
    /// - Throws: `CodecError.unsupported` when memory is short.
    public static func allocate(_ byteCount: Int) throws(CodecError) -> UnsafeMutableRawBufferPointer {
        guard let memory = wc_allocate(max(byteCount, 1)) else {
            throw .unsupported(
                codec: "memory", expected: "a layer that fits into memory", found: "\(byteCount) bytes")
        }
        return UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    }

    /// Gives memory back that `allocate` gave.
    public static func release(_ memory: UnsafeMutableRawBufferPointer) { wc_release(memory.baseAddress) }
}
