import Glibc

/// Times of a kernel and of `memcpy`, its peer, taken in turns.
struct Measurement {
    /// What was run, as the table names it.
    let name: String
    /// Weights in one run.
    let weights: Int
    /// Bytes of one copy of the kernel's input or output, whichever is larger.
    let bytes: Int
    /// Processor time of each run of the kernel, in seconds.
    let kernel: [Double]
    /// Processor time of each copy, in seconds.
    let copy: [Double]

    /// Runs `body` and the copy in turns, after one of each that does not count.
    ///
    /// In turns, so that what else the machine does slows both alike.
    init(_ name: String, weights: Int, bytes: Int, _ copier: Copier, _ body: () throws -> Void) rethrows {
        var kernel: [Double] = []
        var copy: [Double] = []
        for _ in 0...Self.runs {
            kernel.append(try processorTime { try body() })
            copy.append(processorTime { copier.copy(bytes) })
        }
        self.name = name
        self.weights = weights
        self.bytes = bytes
        self.kernel = Array(kernel.dropFirst())
        self.copy = Array(copy.dropFirst())
    }

    /// Runs that count.
    static let runs = 9

    /// One line of JSON.
    var json: String {
        """
        {"name": "\(name)", "weights": \(weights), "bytes": \(bytes), "kernel": \(kernel), "copy": \(copy)}
        """
    }
}

/// Two large buffers, one copied to the other.
final class Copier {
    private let source: UnsafeMutableRawBufferPointer
    private let target: UnsafeMutableRawBufferPointer

    init(capacity: Int) {
        source = .allocate(byteCount: capacity, alignment: 4096)
        target = .allocate(byteCount: capacity, alignment: 4096)
        source.initializeMemory(as: UInt8.self, repeating: 1)
        target.initializeMemory(as: UInt8.self, repeating: 2)
    }

    deinit {
        source.deallocate()
        target.deallocate()
    }

    func copy(_ bytes: Int) {
        UnsafeMutableRawBufferPointer(rebasing: target[..<bytes])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<bytes]))
    }
}

/// Seconds for which this thread had a processor while `body` ran.
func processorTime(_ body: () throws -> Void) rethrows -> Double {
    func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
    let start = now()
    try body()
    return now() - start
}
