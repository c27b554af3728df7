import TestSupport
import Testing

@testable import WeightMapper

/// The strategies of CN111832695A, by cases worked out by hand, and what holds of all of them.
@Suite struct PrecisionAdjusterTests {
    /// Precisions after each observation of one group with these largest magnitudes.
    func series(
        _ kind: PrecisionKind, bits: Int = 8, _ strategy: AdjustmentStrategy, from initial: Precision? = nil,
        _ magnitudes: [Double]
    ) throws -> [Precision?] {
        var adjuster = try PrecisionAdjuster(kind, bits: bits, strategy: strategy, initial: initial)
        return try magnitudes.map {
            _ = try adjuster.observe([OperationData(.weight, layer: "fc", measuring: [$0 / 2, -$0, 0])])
            return adjuster.precision(.weight, layer: "fc")
        }
    }

    let upOnly = AdjustmentStrategy(up: .init(), down: nil)
    let upByStep = AdjustmentStrategy(up: .init(.largest, .step), down: nil)

    @Test("strategy 1: where amax >= (2^(bitnum-1) - 1) * 2^s, s = ceil(log2(amax)) - bitnum + 1")
    func upByLargest() throws {
        // pos = 127 * 2^-7 = 0.9921875.
        let found = try series(.exponent, upOnly, from: .exponent(-7), [0.99, 0.9921875, 1.5, 40, 0.001])
        #expect(found == [.exponent(-7), .exponent(-7), .exponent(-6), .exponent(-1), .exponent(-1)])
        // pos = 127 * 0.01 = 1.27; 2.54 / 127 = 0.02.
        let scales = try series(.scale, upOnly, from: .scale(0.01), [1.26, 2.54, 2])
        #expect(scales == [.scale(0.01), .scale(PrecisionKind.scale.step(fitting: 2.54, bits: 8)), scales[1]])
        #expect(abs((scales[1]?.step ?? 0) - 0.02) < 2e-9)
    }

    @Test("strategy 2: where amax >= pos, s + 1 or 2f, once a call")
    func upByLargestStepByStep() throws {
        let found = try series(.exponent, upByStep, from: .exponent(-7), [0.99, 40, 40, 1.9, 3.98])
        // After two steps s = -5, and pos = 127 / 32 = 3.96875.
        #expect(found == [-7, -6, -5, -5, -4].map { .exponent($0) })
        let scales = try series(.scale, upByStep, from: .scale(0.25), [31.7, 31.75, 64, 63])
        #expect(scales == [0.25, 0.5, 1, 1].map { .scale($0) })
    }

    @Test("strategies 3 and 4: as 1 and 2, by the mean of |x| and its standard deviation")
    func upByDistribution() throws {
        // |x| = 1 for 99 values and 100 for one: mean 1.99, deviation 99 * sqrt(0.01 * 0.99) = 9.85.
        let values = [Double](repeating: 1, count: 99) + [100]
        let estimate = 1.99 + 2 * 99 * (0.01 * 0.99).squareRoot()
        for (stride, expected) in [(AdjustmentStrategy.Stride.fitting, -2), (.step, -6)] {
            let strategy = AdjustmentStrategy(up: .init(.distribution(deviations: 2), stride), down: nil)
            var adjuster = try PrecisionAdjuster(.exponent, bits: 8, strategy: strategy, initial: .exponent(-7))
            let found = try adjuster.observe([OperationData(.output, layer: "fc", measuring: values)])
            // ceil(log2(21.69)) - 7 = -2; the largest alone would give ceil(log2(100)) - 7 = 0.
            #expect(found.map(\.new) == [.exponent(expected)])
            guard case .up(let measure, let bound) = found[0].reason else { Issue.record("expected up"); return }
            #expect(abs(measure - estimate) < 1e-9 && bound == 127.0 / 128)
        }
    }

    @Test("strategy 5: where amax < 2^(s + bitnum - 1 - margin), s falls to the value of 1, never below the floor")
    func downByLargest() throws {
        // With s = 0, margin 2: below 2^5 = 32.
        let down = AdjustmentStrategy(up: nil, down: .init())
        let found = try series(.exponent, down, from: .exponent(0), [32, 31.9, 5, 1000])
        #expect(found == [0, -2, -4, -4].map { .exponent($0) })
        var floored = down
        floored.floor = .exponent(-3)
        #expect(
            try series(.exponent, floored, from: .exponent(0), [5, 0.001]) == [.exponent(-3), .exponent(-3)])
        var narrow = down
        narrow.margin = 1
        #expect(try series(.exponent, narrow, from: .exponent(0), [64, 63]) == [.exponent(0), .exponent(-1)])
        #expect(try series(.scale, down, from: .scale(1), [32, 25.4]) == [.scale(1), .scale(Double(Float(0.2)))])
    }

    @Test("strategy 6: down step by step, and by the distribution")
    func downByStepAndDistribution() throws {
        var step = AdjustmentStrategy(up: nil, down: .init(.largest, .step))
        #expect(
            try series(.exponent, step, from: .exponent(0), [5, 5, 5, 5]) == [-1, -2, -3, -3].map { .exponent($0) })
        #expect(
            try series(.scale, step, from: .scale(1), [5, 5, 5, 5]) == [0.5, 0.25, 0.125, 0.125].map { .scale($0) })
        step.floor = .scale(0.4)
        #expect(try series(.scale, step, from: .scale(1), [5, 5]) == [.scale(0.5), .scale(0.4)])
        // The outlier of 100 does not keep s up: mean 1.99 and one deviation are 11.84, below 2^(3 + 7 - 2).
        let values = [Double](repeating: 1, count: 99) + [100]
        for (stride, expected) in [(AdjustmentStrategy.Stride.fitting, -3), (.step, 2)] {
            let strategy = AdjustmentStrategy(up: nil, down: .init(.distribution(deviations: 1), stride))
            var adjuster = try PrecisionAdjuster(.exponent, bits: 8, strategy: strategy, initial: .exponent(3))
            _ = try adjuster.observe([OperationData(.input, layer: "fc", measuring: values)])
            #expect(adjuster.precision(.input, layer: "fc") == .exponent(expected))
        }
    }

    // MARK: - Properties

    static let strategies: [AdjustmentStrategy] = {
        let rules = [AdjustmentStrategy.Measure.largest, .distribution()].flatMap { measure in
            [AdjustmentStrategy.Stride.fitting, .step].map { AdjustmentStrategy.Rule(measure, $0) }
        }
        return (rules + [nil]).flatMap { up in (rules + [nil]).map { AdjustmentStrategy(up: up, down: $0) } }
    }()

    @Test(arguments: PrecisionKind.allCases, strategies) func oneObservationMovesAPrecisionOnce(
        kind: PrecisionKind, strategy: AdjustmentStrategy
    ) throws {
        var random = SeededGenerator(7)
        var strategy = strategy
        strategy.floor = kind == .exponent ? .exponent(-12) : .scale(0x1p-12)
        var adjuster = try PrecisionAdjuster(kind, bits: 8, strategy: strategy)
        var current: Precision?
        for observation in 0..<200 {
            let size = Double(sign: .plus, exponent: Int.random(in: -16...16, using: &random), significand: 1)
            let values = (0..<50).map { _ in Double(random.normal()) * size }
            let found = try adjuster.observe([OperationData(.weight, layer: "fc", measuring: values)])
            #expect(found.count <= 1)
            let now = adjuster.precision(.weight, layer: "fc")
            guard let step = now?.step else { Issue.record("expected a precision"); return }
            #expect(step >= 0x1p-12)
            guard let adjustment = found.first else {
                #expect(now == current)
                continue
            }
            #expect(adjustment.old == current && adjustment.new == now && adjustment.observation == observation)
            switch adjustment.reason {
            case .first: #expect(observation == 0)
            case .up(let measure, let bound):
                #expect(measure >= bound && step > adjustment.old?.step ?? 0)
                if strategy.up?.stride == .step { #expect(step == 2 * (adjustment.old?.step ?? 0)) }
            case .down(let measure, let bound):
                #expect(measure < bound && step < adjustment.old?.step ?? 0)
                if strategy.down?.stride == .step { #expect(2 * step == adjustment.old?.step || step == 0x1p-12) }
            }
            current = now
        }
        #expect(strategy.up != nil || strategy.down != nil || current == adjuster.precision(.weight, layer: "fc"))
    }

    @Test(arguments: PrecisionKind.allCases, 2...16) func afterGoingUpByTheLargestNothingSaturates(
        kind: PrecisionKind, bits: Int
    ) throws {
        var random = SeededGenerator(UInt64(bits))
        for _ in 0..<100 {
            let size = Double(sign: .plus, exponent: Int.random(in: -900...900, using: &random), significand: 1)
            let largest = Double.random(in: 1...2, using: &random) * size
            let found = try #require(try series(kind, bits: bits, upOnly, [largest / 1000, largest])[1])
            // An exponent's k may have to be 2^(bits-1), at which positive ones stop a step short.
            let most = largestCode(bits: bits) + (kind == .exponent ? 1 : 0)
            #expect((largest / found.step).rounded() <= most)
        }
    }

    @Test(arguments: PrecisionKind.allCases, strategies) func dataThatMovesByLessThanTheMarginDoesNotOscillate(
        kind: PrecisionKind, strategy: AdjustmentStrategy
    ) throws {
        var adjuster = try PrecisionAdjuster(kind, bits: 8, strategy: strategy)
        var changes = 0
        for observation in 0..<40 {
            let size = observation.isMultiple(of: 2) ? 1.01 : 0.55
            let found = try adjuster.observe([
                OperationData(.weight, layer: "fc", measuring: (1...100).map { Double($0) * size })
            ])
            if observation > 3 { changes += found.count }
        }
        #expect(changes == 0)
    }

    @Test func zerosSayNothing() throws {
        for kind in PrecisionKind.allCases {
            let found = try series(kind, AdjustmentStrategy(), [0, 0, 1, 0, 0])
            #expect(found[0] == nil && found[1] == nil)
            #expect(found[2] != nil && found[3] == found[2] && found[4] == found[2])
        }
        let given = try series(.exponent, AdjustmentStrategy(), from: .exponent(3), [0, 0])
        #expect(given == [.exponent(3), .exponent(3)])
    }

    @Test("denormal numbers have a precision") func denormals() throws {
        let found = try series(.exponent, AdjustmentStrategy(), [0x1p-149, 0x1p-1074])
        #expect(found == [.exponent(-156), .exponent(-1074)])
        let scales = try series(.scale, AdjustmentStrategy(), [0x1p-149, 0x1p-1074])
        #expect(scales == [.scale(0x1p-149 / 127), .scale(0x1p-1074)])
    }

    // MARK: - Granularity

    @Test("the extreme is looked for over all layers, layer by layer, or group by group, each by category")
    func granularity() throws {
        let data = [
            try OperationData(
                .weight, layer: "a", measuring: [1, -1, 2, 0.5] as [Float], groups: .init(valueCount: 4, channels: 2)),
            try OperationData(
                .weight, layer: "b", measuring: [-16, 1, 1, 1] as [Float], groups: .init(valueCount: 4, channels: 2)),
            try OperationData(
                .weightDerivative, layer: "a", measuring: [0.25] as [Float], groups: .init(valueCount: 1)),
        ]
        func precisions(_ granularity: Granularity) throws -> [Precision?] {
            var adjuster = try PrecisionAdjuster(.exponent, bits: 8, granularity: granularity)
            let found = try adjuster.observe(data)
            #expect(found.count == [.category: 2, .layer: 3, .group: 5][granularity])
            #expect(found.allSatisfy { ($0.layer == nil) == (granularity == .category) })
            #expect(found.allSatisfy { ($0.group == nil) == (granularity != .group) })
            let all = [("a", 0), ("a", 1), ("b", 0), ("b", 1)].map { layer, group in
                adjuster.precision(.weight, layer: layer, group: group)
            }
            return all + [adjuster.precision(.weightDerivative, layer: "a")]
        }
        #expect(try precisions(.category) == [-3, -3, -3, -3, -9].map { .exponent($0) })
        #expect(try precisions(.layer) == [-6, -6, -3, -3, -9].map { .exponent($0) })
        #expect(try precisions(.group) == [-7, -6, -3, -7, -9].map { .exponent($0) })
    }

    @Test(arguments: DataCategory.allCases) func categoriesInAnyCombination(category: DataCategory) throws {
        let data = try DataCategory.allCases.map { try OperationData($0, layer: "fc", measuring: [1.5, 2]) }
        var one = try PrecisionAdjuster(.scale, bits: 8, categories: [category])
        #expect(try one.observe(data).map(\.category) == [category])
        var others = try PrecisionAdjuster(
            .scale, bits: 8, categories: Set(DataCategory.allCases).subtracting([category]))
        #expect(try others.observe(data).count == DataCategory.allCases.count - 1)
        #expect(others.precision(category, layer: "fc") == nil)
    }

    @Test func layersHaveSeriesOfTheirOwn() throws {
        var adjuster = try PrecisionAdjuster(.exponent, bits: 8)
        _ = try adjuster.observe([OperationData(.weight, layer: "a", measuring: [1.0])])
        _ = try adjuster.observe([OperationData(.weight, layer: "b", measuring: [4.0])])
        let later = try adjuster.observe([OperationData(.weight, layer: "a", measuring: [8.0])])
        #expect(later.map(\.observation) == [1])
        #expect("\(later[0])" == "W a: s = -7 -> s = -4, since 8.0 reached 0.9921875")
        #expect(adjuster.precision(.weight, layer: "b") == .exponent(-5))
    }

    // MARK: - Mistakes

    @Test func whatCannotBeIsRefused() throws {
        for bits in [-1, 0, 1, 17] {
            #expect(throws: MapperError.self) { try PrecisionAdjuster(.scale, bits: bits) }
        }
        for precision in [Precision.exponent(-1075), .exponent(1024), .scale(1)] {
            #expect(throws: MapperError.self) { try PrecisionAdjuster(.exponent, bits: 8, initial: precision) }
        }
        for precision in [Precision.scale(0), .scale(-1), .scale(.infinity), .scale(.nan), .exponent(0)] {
            #expect(throws: MapperError.self) { try PrecisionAdjuster(.scale, bits: 8, initial: precision) }
            #expect(throws: MapperError.self) {
                try PrecisionAdjuster(.scale, bits: 8, strategy: .init(floor: precision))
            }
        }
        #expect(throws: MapperError.self) { try PrecisionAdjuster(.scale, bits: 8, strategy: .init(margin: 0)) }
    }

    @Test func anotherNumberOfGroupsIsRefusedAndChangesNothing() throws {
        var adjuster = try PrecisionAdjuster(.exponent, bits: 8, granularity: .group)
        func observe(_ channels: Int, _ value: Float) throws -> [Adjustment] {
            let groups = PrecisionGroups(valueCount: 6, channels: channels)
            return try adjuster.observe([
                OperationData(.weight, layer: "other", measuring: [value]),
                OperationData(
                    .weight, layer: "fc", measuring: [Float](repeating: value, count: 6), groups: groups),
            ])
        }
        #expect(try observe(2, 1).count == 3)
        #expect(throws: MapperError.precision(expected: "2 groups of W fc, as before", found: "3")) {
            try observe(3, 8)
        }
        #expect(adjuster.precision(.weight, layer: "other") == .exponent(-7))
        #expect(try observe(2, 8).count == 3)
    }

    @Test(arguments: strategies) func strategiesHaveNames(strategy: AdjustmentStrategy) {
        guard strategy.up != nil || strategy.down != nil else { return }
        #expect(AdjustmentStrategy(strategy.name) == strategy)
    }

    @Test(arguments: ["", "+", "up+", "up+up", "sideways", "up-", "up-step-step", "down-distribution-", "Up"])
    func otherNamesAreNone(name: String) {
        #expect(AdjustmentStrategy(name) == nil)
    }
}
