/// Where memory that is needed for a moment comes from, and goes back to.
public struct ScratchMemory: Sendable {
    /// So many bytes, which hold anything, aligned to 16.
    let allocate: @Sendable (_ byteCount: Int) throws -> UnsafeMutableRawBufferPointer
    /// Gives them back.
    let release: @Sendable (UnsafeMutableRawBufferPointer) -> Void

    /// Memory from functions, which may be called from several threads at once.
    ///
    /// - Parameters:
    ///   - allocate: gives so many bytes, aligned to 16.
    ///   - release: takes them back.
    public init(
        allocate: @escaping @Sendable (_ byteCount: Int) throws -> UnsafeMutableRawBufferPointer,
        release: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void
    ) {
        self.allocate = allocate
        self.release = release
    }

    /// That of the system.
    public static let system = ScratchMemory {
        .allocate(byteCount: $0, alignment: 16)
    } release: {
        $0.deallocate()
    }
}
