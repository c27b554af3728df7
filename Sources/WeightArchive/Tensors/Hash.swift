import CXXHash
import Glibc

/// XXH3-128 (xxHash 0.8, seed 0), as 32 lower-case hexadecimal digits, most significant first.
///
/// It notices accidents: every flipped bit, every missing byte. It does not withstand an adversary who forges hashes too.
struct Hasher128: ~Copyable {
    // Freed once, in deinit; nil only when out of memory.
    private let state: OpaquePointer?

    init() {
        state = XXH3_createState()
        precondition(state != nil, "out of memory")
        XXH3_128bits_reset(state)
    }

    deinit { XXH3_freeState(state) }

    private typealias Append = @convention(c) (OpaquePointer?, UnsafeRawPointer?, Int) -> XXH_errorcode

    /// The library's function that uses what this processor has, twice as fast, where the library was built with it; else the one for
    /// all processors.
    private static let append: Append =
        dlsym(nil, "XXH3_128bits_update_dispatch").map { unsafeBitCast($0, to: Append.self) }
        ?? { XXH3_128bits_update($0, $1, $2) }

    /// Appends bytes.
    func update(_ bytes: UnsafeRawBufferPointer) {
        _ = Self.append(state, bytes.baseAddress, bytes.count)
    }

    /// The hash of all bytes so far.
    var digest: String { text(XXH3_128bits_digest(state)) }

    /// The hash of some bytes.
    static func hash(_ bytes: UnsafeRawBufferPointer) -> String {
        let hasher = Hasher128()
        hasher.update(bytes)
        return hasher.digest
    }
}

/// The canonical representation of a hash.
private func text(_ hash: XXH128_hash_t) -> String {
    [hash.high64, hash.low64].map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
}
