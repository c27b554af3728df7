import Evaluation
import Glibc
import Synchronization
import WeightArchive

/// One line on a terminal's standard error that says how far the work is and when it will be done; silent elsewhere.
final class ProgressLine: Sendable {
    private let title: String
    private let unit: (name: String, size: Double)
    private let isShown: Bool
    private let start = ContinuousClock.now
    private let lastDrawn: Mutex<ContinuousClock.Instant?> = Mutex(nil)

    /// - Parameter unit: what is counted, and how many of it make one; a million weights when left out.
    init(_ title: String, quiet: Bool, unit: (name: String, size: Double) = ("M weights", 1e6)) {
        self.title = title
        self.unit = unit
        isShown = !quiet && isatty(STDERR_FILENO) == 1
    }

    func show(_ progress: Progress) {
        guard isShown, progress.total > 0 else { return }
        let now = ContinuousClock.now
        lastDrawn.withLock { last in
            if let last, now - last < .milliseconds(100), progress.done < progress.total { return }
            last = now
            let part = Double(progress.done) / Double(progress.total)
            let elapsed = (now - start) / .seconds(1)
            let bar = String(repeating: "#", count: Int(part * 20)).padded(to: 20, with: "-")
            // What an earlier run did took none of this one's time.
            let own = Double(progress.done - progress.resumed)
            let rate = elapsed > 0 ? fixed(own / elapsed / unit.size, 1) : "-"
            let left = own > 0 ? clock(Double(progress.total - progress.done) * elapsed / own) : "-:--"
            writeToStandardError(
                "\r\(title) [\(bar)] \(Int(part * 100)) %  \(rate) \(unit.name)/s  ETA \(left) \u{1B}[K")
        }
    }

    /// Removes the line.
    func clear() {
        if isShown, lastDrawn.withLock({ $0 != nil }) { writeToStandardError("\r\u{1B}[K") }
    }

    private func clock(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        return "\(whole / 60):" + "\(whole % 60)".padded(left: 2, with: "0")
    }
}

extension String {
    fileprivate func padded(to length: Int, with fill: Character) -> String {
        self + String(repeating: fill, count: max(length - count, 0))
    }

    fileprivate func padded(left length: Int, with fill: Character) -> String {
        String(repeating: fill, count: max(length - count, 0)) + self
    }
}
