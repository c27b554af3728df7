/// A rate-1/2 trellis over Ungerboeck's one-dimensional codes, which lets a quantizer with a coarse step choose, from one weight
/// to the next, between two grids shifted by half a step.
///
/// In state s the weight lies on the grid of union u = s mod 2, at (2k + u) * step; the parity of k leads to the next state. One
/// state is no trellis but a scalar quantizer: one grid, at 2k * step.
///
/// Source: G. Ungerboeck, "Channel coding with multilevel/phase signals", IEEE Trans. Inf. Theory 28 (1982), table I (its
/// parity-check polynomials); T. R. Fischer and M. Wang, "Entropy-constrained trellis-coded quantization", IEEE Trans. Inf.
/// Theory 38 (1992).
public struct Trellis: Hashable, Sendable {
    /// Number of states: one of `stateCounts`.
    public let states: Int
    /// What the union adds to the shifted state: the parity-check polynomial h0 without its last digit.
    let unionTaps: Int
    /// What an odd k adds to it: h1 without its last digit.
    let parityTaps: Int

    /// Parity-check polynomials (h0, h1) by number of states.
    private static let polynomials: [Int: (h0: Int, h1: Int)] = [
        1: (0, 0), 4: (0o5, 0o2), 8: (0o13, 0o04), 16: (0o23, 0o04), 32: (0o45, 0o10), 64: (0o103, 0o024),
        128: (0o235, 0o126), 256: (0o515, 0o362),
    ]

    /// The numbers of states that exist, rising.
    public static let stateCounts = polynomials.keys.sorted()

    /// The trellis with so many states; `nil` when there is none.
    public init?(states: Int) {
        guard let (h0, h1) = Self.polynomials[states] else { return nil }
        self.states = states
        unionTaps = h0 >> 1
        parityTaps = h1 >> 1
    }

    /// `stateCounts` as a person reads them.
    public static var knownStates: String { stateCounts.map(String.init).joined(separator: ", ") }

    /// The trellis with so many states.
    ///
    /// - Throws: `MapperError.parameters` when there is none.
    static func known(states: Int) throws(MapperError) -> Trellis {
        guard let trellis = Trellis(states: states) else {
            throw .parameters(expected: "a trellis of \(knownStates) states", found: "\(states)")
        }
        return trellis
    }

    /// The state after one with a k of this parity.
    func next(_ state: Int, parity: Int) -> Int {
        state >> 1 ^ (state & 1) * unionTaps ^ parity * parityTaps
    }

    /// The union of both states that lead to this one.
    func unionBefore(_ state: Int) -> Int { state >= max(states / 2, 1) ? 1 : 0 }

    /// The state before this one when k had this parity.
    func previous(_ state: Int, parity: Int) -> Int {
        let union = unionBefore(state)
        return 2 * ((state ^ union * unionTaps ^ parity * parityTaps) & (states / 2 - 1)) + union
    }

    /// `next` as a table: entry 2 * state + parity.
    var transitions: [UInt8] {
        (0..<2 * states).map { UInt8(next($0 >> 1, parity: $0 & 1)) }
    }
}
