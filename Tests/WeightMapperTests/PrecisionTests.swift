import TestSupport
import Testing

@testable import WeightMapper

/// The claims' formulas, by cases worked out by hand.
@Suite struct PrecisionTests {
    /// The precision that fits `largest`, with its step.
    func fit(_ kind: PrecisionKind, _ largest: Double, bits: Int) -> Precision {
        Precision(kind, step: kind.step(fitting: largest, bits: bits))
    }

    @Test("s = ceil(log2(amax)) - bitnum + 1") func exponentsFit() {
        // ceil(log2(5)) = 3, and 3 - 8 + 1 = -4: 5 is 80 * 2^-4.
        #expect(fit(.exponent, 5, bits: 8) == .exponent(-4))
        #expect(fit(.exponent, 0.3, bits: 8) == .exponent(-8))
        #expect(fit(.exponent, 100, bits: 4) == .exponent(4))
        #expect(fit(.exponent, 100, bits: 16) == .exponent(-8))
        #expect(fit(.exponent, 100, bits: 2) == .exponent(6))
    }

    @Test(
        "the logarithm is exact at powers of two and next to them",
        arguments: [-1074, -1073, -1022, -149, -8, 0, 7, 1022])
    func logarithmsAreExact(exponent: Int) {
        let power = Double(sign: .plus, exponent: exponent, significand: 1)
        #expect(ceilingOfBinaryLogarithm(power) == exponent)
        #expect(ceilingOfBinaryLogarithm(power.nextUp) == exponent + 1)
        if exponent > -1074 {
            #expect(ceilingOfBinaryLogarithm(power.nextDown) == (exponent > -1073 ? exponent : -1074))
        }
        let narrow = Double(Float(sign: .plus, exponent: max(exponent, -149) % 127, significand: 1))
        #expect(Double(sign: .plus, exponent: ceilingOfBinaryLogarithm(narrow), significand: 1) == narrow)
    }

    @Test("f = amax / (2^(bitnum-1) - 1)") func scalesFit() {
        #expect(fit(.scale, 254, bits: 8) == .scale(2))
        #expect(fit(.scale, 3.5, bits: 4) == .scale(0.5))
        #expect(fit(.scale, 0.75, bits: 2) == .scale(0.75))
        // What is no binary32 is rounded up to one: 1 / 127 = 0x1.020408102..., of which 23 bits stay.
        #expect(fit(.scale, 1, bits: 8) == .scale(0x1.02040Ap-7))
        // Nor is it where binary32 has no normal number for it.
        #expect(fit(.scale, 0x1p-149, bits: 8) == .scale(0x1p-149 / 127))
        #expect(fit(.scale, 1e300, bits: 8) == .scale(1e300 / 127))
        #expect(fit(.scale, .leastNonzeroMagnitude, bits: 8) == .scale(.leastNonzeroMagnitude))
        #expect(127 * fit(.scale, Double(Float.greatestFiniteMagnitude), bits: 8).step <= 0x1.FFFFFEp127)
    }

    @Test("precisions stay within what binary64 holds") func extremes() {
        #expect(fit(.exponent, .leastNonzeroMagnitude, bits: 16) == .exponent(-1074))
        #expect(fit(.exponent, .greatestFiniteMagnitude, bits: 2) == .exponent(1023))
        #expect(PrecisionKind.exponent.raised(0x1p1023) == 0x1p1023)
        #expect(PrecisionKind.exponent.lowered(0x1p-1074) == 0x1p-1074)
    }

    @Test("one step is s + 1 or s - 1, and f * 2 or f / 2") func steps() {
        #expect(Precision(.exponent, step: PrecisionKind.exponent.raised(0x1p-7)) == .exponent(-6))
        #expect(Precision(.exponent, step: PrecisionKind.exponent.lowered(0x1p-7)) == .exponent(-8))
        #expect(PrecisionKind.scale.raised(0.3) == 0.6)
        #expect(PrecisionKind.scale.lowered(0.3) == 0.15)
    }

    @Test func precisionsSayWhatTheyAre() {
        #expect("\(Precision.exponent(-7))" == "s = -7")
        #expect("\(Precision.scale(0.25))" == "f = 0.25")
        #expect("\(Precision.scale(Double(Float(0.1))))" == "f = 0.1")
    }

    // MARK: - Statistics

    @Test("the estimate is mean|x| plus some deviations of |x|, and no more than amax") func distribution() throws {
        // |x| = 1, 1, 1, 5: mean 2, variance (1 + 1 + 1 + 9) / 4 = 3.
        let groups = PrecisionGroups(valueCount: 4)
        let found = try MagnitudeStatistics.measure([1, -1, 1, -5] as [Float], groups, distribution: true)[0]
        #expect(found.count == 4 && found.largest == 5 && found.mean == 2)
        #expect(abs(found.deviation - 3.0.squareRoot()) < 1e-15)
        let measure = AdjustmentStrategy.Measure.distribution(deviations: 1)
        #expect(abs(measure.value(of: found) - (2 + 3.0.squareRoot())) < 1e-15)
        #expect(AdjustmentStrategy.Measure.distribution(deviations: 4).value(of: found) == 5)
        #expect(AdjustmentStrategy.Measure.largest.value(of: found) == 5)
    }

    @Test("statistics neither overflow nor vanish", arguments: [0x1p-1066, 1e-200, 1, 1e200, 1e307])
    func extremeStatistics(unit: Double) throws {
        let values = [1, -1, 1, -5].map { $0 * unit }
        let found = try MagnitudeStatistics.measure(values, .init(valueCount: 4), distribution: true)[0]
        #expect(abs(found.mean / unit - 2) < 1e-2 && abs(found.deviation / unit - 3.0.squareRoot()) < 1e-2)
        var parts = MagnitudeStatistics()
        for half in [values[..<2], values[2...]] {
            parts.formUnion(
                try MagnitudeStatistics.measure(Array(half), .init(valueCount: 2), distribution: true)[0])
        }
        #expect(parts.count == 4 && parts.largest == found.largest)
        #expect(abs(parts.mean / found.mean - 1) < 1e-2 && abs(parts.deviation / found.deviation - 1) < 1e-2)
    }

    @Test func statisticsOfGroupsAreThoseOfTheirValues() throws {
        var random = SeededGenerator(5)
        for layout in Layout.all {
            let geometry = try layout.geometry
            let values = (0..<geometry.count).map { _ in random.normal() }
            for scope in [PrecisionScope.layer, .channel, .block(1), .block(2), .block(5), .block(1000)] {
                let groups = PrecisionGroups(geometry, scope)
                var members = [[Float]](repeating: [], count: groups.count)
                for (j, value) in values.enumerated() { members[groupByDefinition(of: j, groups)].append(value) }
                let found = try MagnitudeStatistics.measure(Chunks(values, of: 7), groups, distribution: true)
                #expect(found.map(\.count) == members.map(\.count))
                #expect(found.map(\.largest) == members.map { Double($0.map(\.magnitude).max() ?? 0) })
                for (statistics, members) in zip(found, members) where !members.isEmpty {
                    let sizes = members.map { Double($0.magnitude) }
                    let mean = sizes.reduce(0, +) / Double(sizes.count)
                    let variance = sizes.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(sizes.count)
                    #expect(abs(statistics.mean - mean) < 1e-9)
                    #expect(abs(statistics.deviation - variance.squareRoot()) < 1e-6)
                }
            }
        }
    }

    /// The group of value j as the definition has it.
    private func groupByDefinition(of j: Int, _ groups: PrecisionGroups) -> Int {
        let channel = j / groups.inner % groups.channels
        let place = j / (groups.inner * groups.channels) * groups.inner + j % groups.inner
        return place / groups.block * groups.channels + channel
    }

    @Test("groups are the output channels, or blocks of their inputs") func groupsOfLayers() throws {
        let layer = try LayerGeometry(kind: .fc, shape: [3, 10])
        #expect(PrecisionGroups(layer, .layer).count == 1)
        #expect(PrecisionGroups(layer, .channel).count == 3)
        #expect(PrecisionGroups(layer, .block(4)).count == 9)
        #expect(PrecisionGroups(layer, .block(10)) == PrecisionGroups(layer, .channel))
        // Stored the other way round, the same groups.
        let transposed = try LayerGeometry(kind: .fc, shape: [10, 3], convention: .keras)
        #expect(PrecisionGroups(transposed, .block(4)).count == 9)
        let matrix = (0..<30).map { Float(($0 * 7 + 3) % 31) - 15 }
        let other = (0..<30).map { matrix[$0 % 3 * 10 + $0 / 3] }
        let found = try MagnitudeStatistics.measure(matrix, PrecisionGroups(layer, .block(4)))
        #expect(try MagnitudeStatistics.measure(other, PrecisionGroups(transposed, .block(4))) == found)
    }

    @Test(arguments: [Float.nan, -.nan, .infinity, -.infinity], [0, 8, 29])
    func nonFiniteValuesAreNamed(value: Float, index: Int) throws {
        var values = [Float](repeating: 0.5, count: 30)
        values[index] = value
        for groups in [
            PrecisionGroups(valueCount: 30), .init(valueCount: 30, channels: 3),
            .init(valueCount: 30, channels: 3, inner: 1),
        ] {
            #expect(throws: MapperError.nonFinite(index: index, value: "\(value)")) {
                try OperationData(.weight, layer: "fc", measuring: Chunks(values, of: 7), groups: groups)
            }
        }
    }

    @Test func scopesHaveNames() {
        for scope in [PrecisionScope.layer, .channel, .block(1), .block(128)] {
            #expect(PrecisionScope(scope.description) == scope)
        }
        for name in ["", "Layer", "group", "group:", "group:0", "group:-4", "group:x", "block:4"] {
            #expect(PrecisionScope(name) == nil)
        }
    }
}

/// Values that come in chunks.
struct Chunks<Scalar: WeightScalar>: WeightSource {
    private let values: [Scalar]
    private let length: Int

    init(_ values: [Scalar], of length: Int) {
        self.values = values
        self.length = length
    }

    var count: Int { values.count }

    func forEachChunk<Failure: Error>(_ body: (Int, Span<Scalar>) throws(Failure) -> Void) throws(Failure) {
        for start in stride(from: 0, to: values.count, by: length) {
            try body(start, values.span.extracting(start..<min(start + length, values.count)))
        }
    }
}
