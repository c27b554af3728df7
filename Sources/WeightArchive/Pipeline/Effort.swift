import WeightMapper

/// How hard packing tries, 1...9: `docs/effort.md` has what each level costs and gains.
public struct Effort: Hashable, Sendable {
    /// 1 rounds to the nearest point; 9 searches a trellis of 256 states.
    public let level: Int
    /// States of the trellis where they were asked for; else those of the level.
    private let requestedStates: Int?

    /// What is used when nothing is asked for: level 5.
    public static let standard = Effort(level: 5, requestedStates: nil)

    private init(level: Int, requestedStates: Int?) {
        self.level = level
        self.requestedStates = requestedStates
    }

    /// An effort.
    ///
    /// - Parameter states: states of the trellis, one of `Trellis.stateCounts`; `nil` for those of the level.
    /// - Throws: `ArchiveError.option` for a level outside 1...9 or a number of states that does not exist.
    public init(_ level: Int, states: Int? = nil) throws(ArchiveError) {
        guard (1...9).contains(level) else { throw .option("--effort: expected 1 to 9, found \(level)") }
        guard states.map({ Trellis.stateCounts.contains($0) }) ?? true else {
            throw .option("trellis: expected \(Trellis.knownStates) states, found \(states ?? 0)")
        }
        self.level = level
        requestedStates = states
    }

    /// States of the trellis.
    public var states: Int { requestedStates ?? [1, 1, 4, 4, 8, 16, 32, 64, 256][level - 1] }

    /// Squared steps that a bit is worth.
    var lambda: Double { level == 1 ? 0 : TrellisQuantizer.bestLambda }

    /// Searches of each run.
    var passes: Int { level >= 7 ? 3 : level >= 6 ? 2 : 1 }

    /// The effort by which a step is looked for: more states and searches save about as many bits at every step.
    var whileLooking: Effort { Effort(level: min(level, 5), requestedStates: min(states, 8)) }

    /// Whether weights of like scale are put together where it pays.
    var sortsWeights: Bool { level >= 4 }

    /// The codec for pictures that is tried beside the default one where the medium is free; JPEG XL finds contexts, for time.
    var pictureCodec: String? { level == 9 ? "jxl:effort=9" : level >= 5 ? "jxl" : nil }
}
