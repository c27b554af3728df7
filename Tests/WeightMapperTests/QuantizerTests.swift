import TestSupport
import Testing

@testable import WeightMapper

@Suite struct QuantizerTests {
    struct Result<Scalar> {
        var bins: [UInt16]
        var restored: [Scalar]
        var codebook: UniformCodebook
    }

    /// Quantizes, sends the codebook through its bytes, and reconstructs in pieces that cut channels.
    func roundTrip<Scalar: WeightScalar>(
        _ weights: [Scalar], _ geometry: LayerGeometry, bits: Int, scope: RangeScope = .channel,
        reconstruction: Reconstruction = .middle
    ) throws -> Result<Scalar> {
        let quantizer = try UniformQuantizer(bits: bits, scope: scope, reconstruction: reconstruction)
        var bins = [UInt16](repeating: 0xffff, count: weights.count)
        var target = bins.mutableSpan
        let codebook = try quantizer.quantize(weights, geometry, into: &target)
        let read = try UniformCodebook(
            bits: bits, encoding: codebook.encoding, codebook.serialized.span, scope: scope,
            reconstruction: reconstruction, geometry: geometry)
        var restored = [Scalar](repeating: .nan, count: weights.count)
        for start in stride(from: 0, to: weights.count, by: 7) {
            let end = min(start + 7, weights.count)
            var piece = [Scalar](repeating: .nan, count: end - start)
            var span = piece.mutableSpan
            read.reconstruct(bins[start..<end].span, at: start, into: &span)
            restored.replaceSubrange(start..<end, with: piece)
        }
        #expect(bins.allSatisfy { Int($0) < 1 << bits })
        return Result(bins: bins, restored: restored, codebook: read)
    }

    @Test("claim 2: equal intervals over [Wmin, Wmax], numbered in rising order", arguments: 1...16)
    func intervalsAreEqualAndRise(bits: Int) throws {
        let count = 1 << bits
        // One weight in the middle of each interval, the ends of the range at its ends.
        // A range without 0 is taken as it is.
        let middles: [Double] = (0..<count).map { bin in 4 + (2 * Double(bin) + 1) / Double(count) }
        let weights: [Double] = [4] + middles + [6]
        let geometry = try LayerGeometry(kind: .fc, shape: [weights.count])
        let result = try roundTrip(weights, geometry, bits: bits, scope: .layer)
        let expected: [UInt16] = [0] + (0..<count).map { UInt16($0) } + [UInt16(count - 1)]
        #expect(result.bins == expected)
        #expect(Array(result.restored[1...count]) == middles)
        let narrow = try roundTrip(weights.map { Float($0) }, geometry, bits: bits, scope: .layer)
        #expect(narrow.bins == result.bins)
    }

    @Test(arguments: 1...16, RangeScope.allCases)
    func everyErrorIsAtMostHalfAnInterval(bits: Int, scope: RangeScope) throws {
        var random = SeededGenerator(UInt64(bits))
        for layout in Layout.some {
            let geometry = try layout.geometry
            let weights = (0..<geometry.count).map { _ in
                Float.random(in: -1...1, using: &random) * Float.random(in: 0...3, using: &random)
            }
            let result = try roundTrip(weights, geometry, bits: bits, scope: scope)
            let ranges = result.codebook.ranges
            for i in weights.indices {
                let channel = i / ranges.channels.inner % ranges.channels.count
                let half = (ranges.highs[channel] - ranges.lows[channel]) / Double(1 << bits) / 2
                #expect(abs(Double(weights[i]) - Double(result.restored[i])) <= half * 1.02 + 1e-6)
            }
        }
    }

    @Test func meansComeCloserThanMiddles() throws {
        var random = SeededGenerator(3)
        let weights = (0..<4096).map { _ in
            Float((0..<8).reduce(0.0) { s, _ in s + Double.random(in: -1...1, using: &random) })
        }
        let geometry = try LayerGeometry(kind: .fc, shape: [64, 64])
        func squaredError(_ reconstruction: Reconstruction) throws -> Double {
            let restored = try roundTrip(weights, geometry, bits: 3, scope: .layer, reconstruction: reconstruction)
                .restored
            return zip(weights, restored).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        }
        let (mean, middle) = (try squaredError(.mean), try squaredError(.middle))
        #expect(mean < 0.95 * middle)
    }

    @Test(arguments: RangeScope.allCases, Reconstruction.allCases)
    func degenerateLayersComeBackExactly(scope: RangeScope, reconstruction: Reconstruction) throws {
        for value in [Float(0), -0.37, 5, .leastNonzeroMagnitude, -.greatestFiniteMagnitude] {
            for shape in [[1], [4], [3, 4]] {
                let geometry = try LayerGeometry(kind: .fc, shape: shape)
                let weights = [Float](repeating: value, count: geometry.count)
                let result = try roundTrip(weights, geometry, bits: 8, scope: scope, reconstruction: reconstruction)
                #expect(result.restored == weights)
            }
        }
        let empty = try LayerGeometry(kind: .fc, shape: [0, 4])
        let nothing = try roundTrip([Float](), empty, bits: 8, scope: scope, reconstruction: reconstruction)
        #expect(nothing.restored.isEmpty)
    }

    @Test func extremeRangesStayFinite() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [4])
        let huge = try roundTrip(
            [-Float.greatestFiniteMagnitude, 0, 1, .greatestFiniteMagnitude], geometry, bits: 8, scope: .layer)
        #expect(huge.restored.allSatisfy { $0.isFinite })
        #expect(huge.bins[0] == 0 && huge.bins[1] == huge.bins[2] && huge.bins[3] == 255)
        #expect(throws: MapperError.rangeOverflow) {
            try roundTrip([-Double.greatestFiniteMagnitude, .greatestFiniteMagnitude, 0, 1], geometry, bits: 16)
        }
        let denormals = [0, 1, 35, 71].map { Float($0) * .leastNonzeroMagnitude }
        let tiny = try roundTrip(denormals, geometry, bits: 4, scope: .layer)
        #expect(zip(tiny.restored, denormals).allSatisfy { abs($0 - $1) <= 3 * .leastNonzeroMagnitude })
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity], [0, 5, 16, 40])
    func nonFiniteWeightsAreNamed(value: Float, index: Int) throws {
        var weights = [Float](repeating: 0.5, count: 41)
        weights[index] = value
        let interleaved = try LayerGeometry(kind: .conv, axes: [.init(.output, 41)], count: 41)
        for geometry in [try LayerGeometry.folded(count: 41), interleaved] {
            #expect(throws: MapperError.nonFinite(index: index, value: "\(value)")) {
                try self.roundTrip(weights, geometry, bits: 8)
            }
        }
    }

    @Test func outliersOfOneChannelLeaveTheOthersAlone() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [2, 100])
        let weights = (0..<200).map { i -> Float in Float(i % 100 - 50) / 100 * (i < 100 ? 1 : 100) }
        let byChannel = try roundTrip(weights, geometry, bits: 8).restored
        let byLayer = try roundTrip(weights, geometry, bits: 8, scope: .layer).restored
        func worst(_ restored: [Float]) -> Float { zip(weights, restored).prefix(100).map { abs($0 - $1) }.max() ?? 0 }
        #expect(worst(byChannel) < 0.003)
        #expect(worst(byLayer) > 0.1)
    }

    @Test(arguments: [(8, 2), (9, 3)]) func rangesByChannelCostSixteenBitsEach(bits: Int, bytes: Int) throws {
        var random = SeededGenerator(9)
        let weights = (0..<64 * 32).map { _ in Float.random(in: -1...1, using: &random) }
        let result = try roundTrip(weights, try LayerGeometry(kind: .fc, shape: [64, 32]), bits: bits)
        #expect(result.codebook.serialized.count == 4 + 64 * bytes)
        // Rows of one sign, far from zero, keep exact bounds.
        let shifted = try roundTrip(weights.map { $0 + 10 }, try LayerGeometry(kind: .fc, shape: [64, 32]), bits: bits)
        #expect(shifted.codebook.ranges.encoding == .float32)
    }

    @Test("0 is a point of the grid wherever a channel's range holds it", arguments: 2...16, RangeScope.allCases)
    func zerosComeBackAsZeros(bits: Int, scope: RangeScope) throws {
        var random = SeededGenerator(UInt64(bits))
        let geometry = try LayerGeometry(kind: .fc, shape: [16, 64])
        // A pruned layer; among its rows filters without negative weights, one without positive ones, and one of zeros.
        let weights = (0..<16 * 64).map { i -> Float in
            let value = Float.random(in: 0.01...1, using: &random)
            let isPruned = Float.random(in: 0...1, using: &random) < 0.5
            switch i / 64 {
            case 0...3: return isPruned ? 0 : value
            case 4: return isPruned ? 0 : -value
            case 5: return 0
            default: return isPruned ? 0 : 2 * value - 1
            }
        }
        let result = try roundTrip(weights, geometry, bits: bits, scope: scope)
        for (weight, restored) in zip(weights, result.restored) where weight == 0 { #expect(restored == 0) }
        // An interval more on the range's 2^n, and one code of the step.
        let largest = zip(weights, result.restored).map { abs($0 - $1) }.max() ?? 0
        #expect(largest <= 1.07 / Float((1 << bits) - 1))
        #expect(result.codebook.ranges.encoding == .zero)
        // A channel far from 0 gives the layer exact bounds; the others keep their zeros.
        let beside = try roundTrip(
            weights + (0..<64).map { 10 + Float($0) / 64 }, try LayerGeometry(kind: .fc, shape: [17, 64]), bits: bits)
        #expect(beside.codebook.ranges.encoding == .float32)
        for (weight, restored) in zip(weights, beside.restored) where weight == 0 { #expect(restored == 0) }
    }

    @Test func smallWeightsAreNotMovedAllTheSameWay() throws {
        var random = SeededGenerator(5)
        // One weight in each row makes the others smaller than an interval.
        let weights = (0..<64 * 64).map { i -> Float in
            i % 64 == 7 ? 3.3 : Float.random(in: -0.02...0.02, using: &random)
        }
        let restored = try roundTrip(weights, try LayerGeometry(kind: .fc, shape: [64, 64]), bits: 6).restored
        for row in 0..<64 {
            let places = (64 * row..<64 * row + 64).filter { $0 % 64 != 7 }
            let moved = places.reduce(Float(0)) { $0 + restored[$1] - weights[$1] } / 63
            #expect(abs(moved) < 0.01)
        }
    }

    @Test func codebooksOfTheWrongSizeAreRefused() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [4, 4])
        for (encoding, bytes) in [
            ("float32", 31), ("float32", 33), ("minifloat", 15), ("zero", 11), ("zero", 13), ("nonsense", 16),
            ("float64", 32),
        ] {
            #expect(throws: MapperError.self) {
                try UniformCodebook(
                    bits: 8, encoding: encoding, [UInt8](repeating: 0, count: bytes).span, scope: .channel,
                    reconstruction: .middle, geometry: geometry)
            }
        }
        let notANumber = [UInt8](repeating: 0xff, count: 32)
        #expect(throws: MapperError.self) {
            try UniformCodebook(
                bits: 8, encoding: "float32", notANumber.span, scope: .channel, reconstruction: .middle,
                geometry: geometry)
        }
    }

    @Test(arguments: [0, -1, 17]) func bitDepthsOutsideOneToSixteenAreRefused(bits: Int) {
        #expect(throws: MapperError.bits(bits)) { try UniformQuantizer(bits: bits) }
    }
}
