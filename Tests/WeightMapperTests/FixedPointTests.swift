import TestSupport
import Testing

@testable import WeightMapper

@Suite struct FixedPointTests {
    struct Result<Scalar> {
        var bins: [UInt16]
        var restored: [Scalar]
        var codebook: FixedPointCodebook
        var precisions: [Precision] { codebook.steps.indices.map(codebook.precision(ofGroup:)) }
    }

    static let scopes = [PrecisionScope.layer, .channel, .block(1), .block(3), .block(32)]

    /// Quantizes chunk by chunk, sends the codebook through its bytes, and reconstructs in pieces that cut groups.
    func roundTrip<Scalar: WeightScalar>(
        _ weights: [Scalar], _ geometry: LayerGeometry, _ quantizer: FixedPointQuantizer
    ) throws -> Result<Scalar> {
        var bins = [UInt16](repeating: 0xffff, count: weights.count)
        var target = bins.mutableSpan
        let codebook = try quantizer.quantize(Chunks(weights, of: 11), geometry, into: &target)
        let read = try FixedPointCodebook(
            bits: quantizer.bits, kind: quantizer.kind, encoding: codebook.encoding, codebook.serialized.span,
            scope: quantizer.scope, geometry: geometry)
        #expect(read == codebook as? FixedPointCodebook)
        #expect(read.serialized == codebook.serialized)
        var restored = [Scalar](repeating: .nan, count: weights.count)
        for start in stride(from: 0, to: weights.count, by: 7) {
            let end = min(start + 7, weights.count)
            var piece = [Scalar](repeating: .nan, count: end - start)
            var span = piece.mutableSpan
            read.reconstruct(bins[start..<end].span, at: start, into: &span)
            restored.replaceSubrange(start..<end, with: piece)
        }
        #expect(bins.allSatisfy { Int($0) < 1 << quantizer.bits })
        return Result(bins: bins, restored: restored, codebook: read)
    }

    func roundTrip<Scalar: WeightScalar>(
        _ weights: [Scalar], _ kind: PrecisionKind, bits: Int, _ scope: PrecisionScope = .layer
    ) throws -> Result<Scalar> {
        try roundTrip(
            weights, LayerGeometry(kind: .fc, shape: [weights.count]),
            FixedPointQuantizer(kind, bits: bits, scope: scope))
    }

    @Test("a bin is k + 2^(bitnum-1), a weight k * 2^s") func exponents() throws {
        // ceil(log2(0.9)) - 4 + 1 = -3: weights in eighths.
        let result = try roundTrip([0.9, 0.3, -0.3, 0, 0.06, -0.9] as [Float], .exponent, bits: 4)
        #expect(result.precisions == [.exponent(-3)])
        #expect(result.bins == [7, 2, -2, 0, 0, -7].map { UInt16(8 + $0) })
        #expect(result.restored == [0.875, 0.25, -0.25, 0, 0, -0.875])
        #expect(result.codebook.encoding == "int8" && result.codebook.serialized == [0xfd])
    }

    @Test("a bin is k + 2^(bitnum-1), a weight k * f") func scales() throws {
        // 3.5 / 7 = 0.5.
        let result = try roundTrip([3.5, 0.8, -0.7, 0.25, -3.3] as [Float], .scale, bits: 4)
        #expect(result.precisions == [.scale(0.5)])
        #expect(result.bins == [7, 2, -1, 0, -7].map { UInt16(8 + $0) })
        #expect(result.restored == [3.5, 1, -0.5, 0, -3.5])
        #expect(result.codebook.encoding == "bfloat16" && result.codebook.serialized == [0, 0x3f])
    }

    @Test("k saturates at 2^(bitnum-1) - 1 and -2^(bitnum-1)", arguments: PrecisionKind.allCases)
    func saturation(kind: PrecisionKind) throws {
        let quantizer = try FixedPointQuantizer(kind, bits: 8, scope: .layer, steps: [0.5])
        let weights: [Float] = [63.5, 63.7, 64, 1e30, -64, -64.1, -.greatestFiniteMagnitude]
        let result = try roundTrip(weights, LayerGeometry(kind: .fc, shape: [7]), quantizer)
        #expect(result.bins == [255, 255, 255, 255, 0, 0, 0])
        #expect(result.restored == [63.5, 63.5, 63.5, 63.5, -64, -64, -64])
        // A power of two is the largest magnitude of its exponent: only the negative one is a k.
        let powers = try roundTrip([1, -1] as [Float], .exponent, bits: 8)
        #expect(powers.restored == [127.0 / 128, -1])
    }

    @Test(arguments: PrecisionKind.allCases, 2...16) func everyErrorIsAtMostHalfAStep(kind: PrecisionKind, bits: Int)
        throws
    {
        var random = SeededGenerator(UInt64(bits))
        for layout in Layout.some {
            let geometry = try layout.geometry
            let weights = (0..<geometry.count).map { _ in random.normal() * Float.random(in: 0...3, using: &random) }
            for scope in Self.scopes {
                let result = try roundTrip(
                    weights, geometry, FixedPointQuantizer(kind, bits: bits, scope: scope))
                let doubles = try roundTrip(
                    weights.map { Double($0) }, geometry, FixedPointQuantizer(kind, bits: bits, scope: scope))
                #expect(doubles.codebook.steps == result.codebook.steps)
                for i in weights.indices {
                    let step = result.codebook.steps[result.codebook.groups.group(of: i)]
                    // Positive weights that would need k = 2^(bits-1) stop a step short.
                    let half = Double(weights[i]) > largestCode(bits: bits) * step ? 1 : 0.5
                    let error = abs(Double(result.restored[i]) - Double(weights[i]))
                    #expect(error <= half * step * 1.01)
                    #expect(abs(doubles.restored[i] - Double(weights[i])) <= half * step * 1.0001)
                }
            }
        }
    }

    @Test func precisionsOfGroupsFitTheirGroups() throws {
        // One row of ones, one of hundreds, in halves of different size.
        let weights: [Float] = [1, -1, 4, -4, 100, 90, 3, 2.5]
        let geometry = try LayerGeometry(kind: .fc, shape: [2, 4])
        func precisions(_ scope: PrecisionScope) throws -> [Precision] {
            try roundTrip(weights, geometry, FixedPointQuantizer(.exponent, bits: 8, scope: scope)).precisions
        }
        #expect(try precisions(.layer) == [.exponent(0)])
        #expect(try precisions(.channel) == [-5, 0].map { .exponent($0) })
        // By block, and in it by channel.
        #expect(try precisions(.block(2)) == [-7, 0, -5, -5].map { .exponent($0) })
    }

    @Test func aLoneOutlierDoesNotSetThePrecision() throws {
        var weights = (0..<4096).map { Float($0 % 17 - 8) / 8 }
        weights[77] = 64
        let geometry = try LayerGeometry(kind: .fc, shape: [64, 64])
        let quantizer = try FixedPointQuantizer(.scale, bits: 8, scope: .layer, measure: .distribution())
        let result = try roundTrip(weights, geometry, quantizer)
        let others = weights.indices.filter { $0 != 77 }
        #expect(others.allSatisfy { abs(weights[$0] - result.restored[$0]) < 0.04 })
        #expect(result.restored[77] < 10)
    }

    @Test(
        "a precision that an adjuster followed along a series is each checkpoint's", arguments: PrecisionKind.allCases)
    func precisionsOfASeries(kind: PrecisionKind) throws {
        var random = SeededGenerator(11)
        let geometry = try LayerGeometry(kind: .fc, shape: [8, 16])
        let groups = PrecisionGroups(geometry, .channel)
        var adjuster = try PrecisionAdjuster(
            kind, bits: 8, strategy: .init(up: .init(.largest, .step)), granularity: .group)
        var weights = (0..<geometry.count).map { _ in random.normal() }
        var shared = 0
        var last: [Precision]?
        for _ in 0..<10 {
            _ = try adjuster.observe([OperationData(.weight, layer: "fc", measuring: weights, groups: groups)])
            let steps = try #require(adjuster.steps(.weight, layer: "fc"))
            let result = try roundTrip(
                weights, geometry, FixedPointQuantizer(kind, bits: 8, scope: .channel, steps: steps))
            shared += last == result.precisions ? 1 : 0
            last = result.precisions
            for i in weights.indices { weights[i] += 0.003 * random.normal() }
        }
        #expect(shared >= 5)
    }

    @Test(arguments: PrecisionKind.allCases, scopes) func zerosComeBack(kind: PrecisionKind, scope: PrecisionScope)
        throws
    {
        let geometry = try LayerGeometry(kind: .fc, shape: [3, 4])
        for weights in [[Float](repeating: 0, count: 12), [-0.0] + [Float](repeating: 0, count: 10) + [3]] {
            for steps in [nil, [Double](repeating: 0, count: PrecisionGroups(geometry, scope).count)] {
                let quantizer =
                    try steps.map { try FixedPointQuantizer(kind, bits: 8, scope: scope, steps: $0) }
                    ?? FixedPointQuantizer(kind, bits: 8, scope: scope)
                let result = try roundTrip(weights, geometry, quantizer)
                #expect(result.restored.dropLast().allSatisfy { $0 == 0 })
                if steps == nil { #expect(abs(result.restored[11] - weights[11]) <= 0.03) }
            }
        }
        let empty = try LayerGeometry(kind: .fc, shape: [0, 4])
        #expect(try roundTrip([Float](), empty, FixedPointQuantizer(kind, bits: 8, scope: scope)).restored.isEmpty)
    }

    @Test(arguments: PrecisionKind.allCases, [4, 8, 16]) func extremesStayFinite(kind: PrecisionKind, bits: Int) throws
    {
        for unit in [Double.leastNonzeroMagnitude, 0x1p-1022, 0x1p-149, 0x1p-126, 1, 0x1p127, 0x1p1023] {
            let weights = [1, -1, 0.9375, 0].map { $0 * unit * (unit < 1 ? 1 : 1.999) }
            let result = try roundTrip(weights, kind, bits: bits, .channel)
            for (weight, restored) in zip(weights, result.restored) {
                #expect(restored.isFinite && abs(restored - weight) <= 0.13 * abs(weight))
            }
            let narrow = weights.map { Float($0) }
            let floats = try roundTrip(narrow.map { $0.isFinite ? $0 : 0 }, kind, bits: bits, .channel)
            #expect(floats.restored.allSatisfy { $0.isFinite })
        }
    }

    @Test func noWeightIsMoreThanTheTypeHolds() throws {
        // 65,504 is the largest binary16; in steps of 1,024 the nearest is 65,536.
        let weights: [Float] = [65_504, -65_504, 1000]
        let quantizer = try FixedPointQuantizer(.exponent, bits: 8, scope: .layer, steps: [1024], largest: 65_504)
        let result = try roundTrip(weights, LayerGeometry(kind: .fc, shape: [3]), quantizer)
        #expect(result.restored == [64_512, -64_512, 1024])
    }

    // MARK: - Storage

    @Test func precisionsAreStoredInAsFewBytesAsHoldThem() throws {
        func encoding<Scalar: WeightScalar>(
            _ weights: [Scalar], _ kind: PrecisionKind, _ scope: PrecisionScope
        ) throws -> String {
            try roundTrip(
                weights, LayerGeometry(kind: .fc, shape: [2, weights.count / 2]),
                FixedPointQuantizer(kind, bits: 8, scope: scope)
            ).codebook.encoding
        }
        #expect(try encoding([1, 2, 3, 4] as [Float], .exponent, .channel) == "int8")
        #expect(try encoding([1, 2, 0x1p-149, 0] as [Float], .exponent, .channel) == "int16")
        #expect(try encoding([1, 2, 3, 1.7] as [Float], .scale, .layer) == "float32")
        #expect(try encoding([1, 2, 3, 1.7] as [Float], .scale, .channel) == "bfloat16")
        #expect(try encoding([1, 2, 0x1p-149, 0] as [Float], .scale, .channel) == "float64")
        #expect(try encoding([1, 2, 1e300, 0] as [Double], .scale, .layer) == "float64")
    }

    @Test func damagedCodebooksAreRefused() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [4, 4])
        func read(
            _ bytes: [UInt8], _ encoding: String, _ kind: PrecisionKind, bits: Int = 8,
            _ scope: PrecisionScope = .channel
        ) throws -> FixedPointCodebook {
            try FixedPointCodebook(
                bits: bits, kind: kind, encoding: encoding, bytes.span, scope: scope, geometry: geometry)
        }
        func zeros(_ count: Int) -> [UInt8] { Array(repeating: 0, count: count) }
        #expect(try read(zeros(4), "int8", .exponent).steps == [1, 1, 1, 1])
        #expect(try read(zeros(8), "int8", .exponent, .block(2)).steps.count == 8)
        #expect(try read([0x80, 0x3f], "bfloat16", .scale, .layer).steps == [1])
        for (bytes, encoding, kind) in [
            (zeros(3), "int8", PrecisionKind.exponent), (zeros(5), "int8", .exponent), ([], "int8", .exponent),
            (zeros(4), "float32", .exponent), (zeros(4), "int8", .scale), (zeros(4), "nonsense", .scale),
            // A scale of 0, of less than 0, infinity, NaN; exponents that binary64 does not have.
            (zeros(16), "float32", .scale), (zeros(8), "bfloat16", .scale), (zeros(32), "float64", .scale),
            (Array(repeating: 0xbf, count: 16), "float32", .scale),
            (Array([[0, 0, 0x80, 0x7f]].joined()) + zeros(12), "float32", .scale),
            (Array(repeating: 0xff, count: 16), "float32", .scale),
            (Array(repeating: 0x7f, count: 8), "int16", .exponent),
            ([0xcd, 0xfb, 0, 0, 0, 0, 0, 0], "int16", .exponent),
        ] {
            #expect(throws: MapperError.self) { try read(bytes, encoding, kind) }
        }
        for bits in [-1, 0, 1, 17] {
            #expect(throws: MapperError.self) { try read(zeros(4), "int8", .exponent, bits: bits) }
            #expect(throws: MapperError.self) { try FixedPointQuantizer(.scale, bits: bits, scope: .layer) }
        }
    }

    @Test func stepsThatDoNotFitAreRefused() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [4, 4])
        for steps in [[0.3], [-1], [.nan], [.infinity]] {
            #expect(throws: MapperError.self) {
                try FixedPointQuantizer(.exponent, bits: 8, scope: .layer, steps: steps)
            }
        }
        let quantizer = try FixedPointQuantizer(.exponent, bits: 8, scope: .channel, steps: [1, 2, 4])
        #expect(throws: MapperError.precision(expected: "a precision for each of 4 groups", found: "3")) {
            try self.roundTrip([Float](repeating: 1, count: 16), geometry, quantizer)
        }
    }

    @Test(arguments: PrecisionKind.allCases, scopes) func nonFiniteWeightsAreNamed(
        kind: PrecisionKind, scope: PrecisionScope
    ) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [3, 10])
        let given = [Double](repeating: 1, count: PrecisionGroups(geometry, scope).count)
        for value in [Float.nan, .infinity, -.infinity] {
            var weights = [Float](repeating: 0.5, count: 30)
            weights[23] = value
            for quantizer in [
                try FixedPointQuantizer(kind, bits: 8, scope: scope),
                try FixedPointQuantizer(kind, bits: 8, scope: scope, steps: given),
            ] {
                #expect(throws: MapperError.nonFinite(index: 23, value: "\(value)")) {
                    try self.roundTrip(weights, geometry, quantizer)
                }
            }
        }
    }
}
