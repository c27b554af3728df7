import Dispatch
import Glibc

/// Runs `work`, and cancels it on the first Ctrl-C or SIGTERM, so that temporary files are removed and what runs is finished
/// and kept; a second one kills.
func withInterruption<Result: Sendable>(_ work: @escaping @Sendable () async throws -> Result) async throws -> Result {
    let task = Task { try await work() }
    let numbers = [SIGINT, SIGTERM]
    let sources = numbers.map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            task.cancel()
            signal(number, SIG_DFL)
        }
        source.resume()
        return source
    }
    defer {
        for source in sources { source.cancel() }
        // Else this program, and any that it starts, could not be interrupted any more.
        for number in numbers { signal(number, SIG_DFL) }
    }
    return try await task.value
}
