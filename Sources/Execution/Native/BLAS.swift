import CEngineShims

/// OpenBLAS, loaded when a network is run by the native target.
struct BLAS: Sendable {
    static let title = "OpenBLAS"

    /// The file that Debian's libopenblas0 installs.
    private static let file = "libopenblas.so.0"

    private let functions: wc_openblas

    /// - Parameter path: the library, when it is another than the system's.
    /// - Throws: `ExecutionError.missing`.
    init(_ path: String?) throws(ExecutionError) {
        var message = wc_engine_message()
        guard let table = wc_openblas_load(path ?? Self.file, &message) else {
            throw .missing(engine: Self.title, reason: message.string, advice: "Debian: apt install libopenblas0")
        }
        functions = table.pointee
    }

    /// The library's version and processor.
    var configuration: String {
        String(cString: functions.configuration()).split(separator: " ").prefix(2).joined(separator: " ")
    }

    /// Sets how many threads later products use, in the whole process.
    func setThreads(_ count: Int) { functions.set_threads(Int32(clamping: max(count, 1))) }

    /// C = alpha A B + beta C, row-major.
    ///
    /// - Parameters:
    ///   - a: m x k, or k x m when it is transposed; `lda` from row to row.
    ///   - b: k x n, or n x k when it is transposed.
    ///   - c: m x n.
    /// - Throws: `KernelFailure` for sizes beyond 2^31, which the library does not take.
    func multiply(
        m: Int, n: Int, k: Int, alpha: Float = 1, a: UnsafePointer<Float>?, lda: Int, isATransposed: Bool = false,
        b: UnsafePointer<Float>?, ldb: Int, isBTransposed: Bool = false, beta: Float = 0,
        c: UnsafeMutablePointer<Float>?, ldc: Int
    ) throws(KernelFailure) {
        guard m > 0, n > 0, let c else { return }
        guard k > 0, let a, let b else {
            for row in 0..<m {
                for column in 0..<n { c[row * ldc + column] = beta == 0 ? 0 : c[row * ldc + column] * beta }
            }
            return
        }
        guard [m, n, k, lda, ldb, ldc].allSatisfy({ $0 <= Int32.max }) else {
            throw KernelFailure(expected: "matrices with sides below 2^31", found: "\(m) x \(k) by \(k) x \(n)")
        }
        // OpenBLAS multiplies a vector as if it were a matrix many times more slowly.
        if m == 1 {
            functions.sgemv(
                101, isBTransposed ? 111 : 112, Int32(isBTransposed ? n : k), Int32(isBTransposed ? k : n), alpha, b,
                Int32(max(ldb, 1)), a, Int32(isATransposed ? max(lda, 1) : 1), beta, c, 1)
            return
        }
        functions.sgemm(
            101, isATransposed ? 112 : 111, isBTransposed ? 112 : 111, Int32(m), Int32(n), Int32(k), alpha, a,
            Int32(max(lda, 1)), b, Int32(max(ldb, 1)), beta, c, Int32(max(ldc, 1)))
    }
}
