/// What one sample adds to the sums that a metric is made of: few of them, each with its number.
struct Tally: Sendable {
    private(set) var entries: [(place: Int, amount: Double)] = []

    init(_ sums: Double...) {
        entries = sums.enumerated().map { ($0, $1) }
    }

    mutating func add(_ amount: Double, at place: Int) { entries.append((place, amount)) }
}
