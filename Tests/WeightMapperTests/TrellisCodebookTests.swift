import Glibc
import TestSupport
import Testing

@testable import WeightMapper

/// From weights to planes and back.
@Suite struct TrellisCodebookTests {
    /// Weights that a layer may have.
    enum Weights: String, CaseIterable, Sendable {
        case bellShaped, zeros, constant, alternating, outliers, denormal, largest

        func values(_ count: Int) -> [Float] {
            switch self {
            case .bellShaped: gaussians(count, seed: UInt64(count))
            case .zeros: [Float](repeating: 0, count: count)
            case .constant: [Float](repeating: -0.37, count: count)
            case .alternating: (0..<count).map { $0 % 2 == 0 ? 3 : -3 }
            // Indices far beyond a byte, on both sides.
            case .outliers:
                gaussians(count, seed: 1).enumerated().map { $0 % 11 == 5 ? $1 * 3000 : $0 % 7 == 3 ? $1 * 40 : $1 }
            case .denormal: gaussians(count, seed: 2).map { $0 * 0x1p-130 }
            case .largest: (0..<count).map { $0 % 3 == 0 ? .greatestFiniteMagnitude : -.greatestFiniteMagnitude / 7 }
            }
        }
    }

    /// Sends the codebook through its bytes, and restores.
    func restored<Scalar: WeightScalar>(
        _ planes: [Plane], _ codebook: TrellisCodebook, _ geometry: LayerGeometry, as _: Scalar.Type
    ) throws -> [Scalar] {
        let read = try TrellisCodebook(
            states: codebook.trellis.states, hasChannelSteps: codebook.hasChannelSteps, sorting: codebook.sorting,
            centers: codebook.centers.axis, prediction: codebook.prediction.map { ($0.order, $0.lag) },
            codebook.serialized.span, geometry: geometry)
        #expect(read.serialized == codebook.serialized)
        var weights = [Scalar](repeating: .nan, count: geometry.count)
        try weights.withUnsafeMutableBufferPointer { try read.restore(planes, geometry, into: $0) }
        return weights
    }

    func restored(_ planes: [Plane], _ codebook: TrellisCodebook, _ geometry: LayerGeometry) throws -> [Float] {
        try restored(planes, codebook, geometry, as: Float.self)
    }

    /// The weights that a search without sorting chooses, found beside the quantizer.
    func chosen(_ weights: [Float], _ quantizer: TrellisQuantizer, _ layer: TrellisLayer, _ geometry: LayerGeometry)
        throws -> [Float]
    {
        let step = layer.codebook.step
        let order = try WeightOrder(geometry)
        var offsets = [Int](repeating: -1, count: weights.count)
        order.forEachRun { first, length in
            for i in 0..<length { offsets[first.number + i] = first.offset + i }
        }
        // Of weights as large as any there is, those that a way may pass by are smaller.
        let bound = .greatestFiniteMagnitude - 5 * step
        let positions = offsets.map { min(max(weights[$0], -bound), bound) * (1 / step) }
        var (indices, unions) = (
            [Int32](repeating: 0, count: weights.count), [UInt8](repeating: 0, count: weights.count)
        )
        positions.withUnsafeBufferPointer { positions in
            let table = RateTable(
                IndexHistogram(rounding: positions), quantizer.rates, lambda: quantizer.lambda, isSplit: layer.isSplit)
            indices.withUnsafeMutableBufferPointer { indices in
                unions.withUnsafeMutableBufferPointer { unions in
                    TrellisSearch(quantizer.trellis).choose(positions, [table], indices: indices, unions: unions)
                }
            }
        }
        var points = [Float](repeating: .nan, count: weights.count)
        for (i, offset) in offsets.enumerated() {
            points[offset] = Float(Double(2 * indices[i] + Int32(unions[i])) * Double(step))
        }
        return points
    }

    /// Every way to put a layer in planes gives the same weights back.
    func expectRoundTrip(
        _ weights: [Float], _ geometry: LayerGeometry, states: Int, step: Float, bits: some Sequence<Int> = 2...16
    ) throws {
        let quantizer = try TrellisQuantizer(
            states: states, step: step, sortsWeights: false, keepsChannels: false)
        let layer = try quantizer.quantize(weights, geometry)
        let expected = try chosen(weights, quantizer, layer, geometry)
        #expect(layer.count == weights.count)
        #expect(expected.allSatisfy { $0.isFinite })
        for bits in bits {
            for (isSplit, isFolded) in [(false, false), (layer.isSplit, false), (false, true)] {
                let planes = layer.planes(bits: bits, isSplit: isSplit, isFolded: isFolded)
                #expect(planes.allSatisfy { $0.bits == bits })
                #expect(planes.reduce(0) { $0 + $1.samples.count } == layer.sampleCount(bits: bits))
                #expect(try restored(planes, layer.codebook, geometry) == expected, "\(bits) \(isSplit) \(isFolded)")
            }
        }
        for coder in [PlaneCoder.deflate, .frameHuffman, .rice, .adaptive] where !weights.isEmpty {
            let planes = layer.bestPlanes(coder, depths: 1...16, geometry).planes
            #expect(try restored(planes, layer.codebook, geometry) == expected, "\(coder)")
            #expect(planes.reduce(0) { $0 + $1.samples.count } <= coder.mostSamples * weights.count)
            for plane in planes { #expect(try plane.shape.geometry(of: geometry).count == plane.samples.count) }
        }
    }

    @Test(arguments: Layout.all) func weightsOfAllLayoutsComeBack(layout: Layout) throws {
        let geometry = try layout.geometry
        let weights = gaussians(geometry.count, seed: 3)
        try expectRoundTrip(weights, geometry, states: 8, step: 0.3, bits: [2, 4, 8])
    }

    @Test(arguments: Weights.allCases, Trellis.stateCounts) func weightsOfAllSortsComeBack(
        weights: Weights, states: Int
    ) throws {
        for shape in [[1], [3], [9, 14]] {
            let geometry = try LayerGeometry(kind: .fc, shape: shape)
            let step: Float = weights == .denormal ? 0x1p-132 : 0.25
            try expectRoundTrip(weights.values(geometry.count), geometry, states: states, step: step)
        }
    }

    @Test(arguments: [(1, 0.9), (4, 0.9), (8, 0.7), (8, 1), (64, 1.1)] as [(Int, Float)])
    func layersWhoseUnionsPartComeBack(states: Int, step: Float) throws {
        for shape in [[64, 80], [300, 301]] {
            let geometry = try LayerGeometry(kind: .fc, shape: shape, convention: .keras)
            let weights = Weights.bellShaped.values(geometry.count)
            let quantizer = try TrellisQuantizer(states: states, step: step, sortsWeights: false)
            let layer = try quantizer.quantize(weights, geometry)
            #expect(layer.isSplit == (states > 1))
            let expected = try restored(
                layer.planes(bits: 8, isSplit: false, isFolded: false), layer.codebook, geometry)
            for bits in [2, 3, 9] {
                let planes = layer.planes(bits: bits, isSplit: layer.isSplit, isFolded: false)
                if states > 1 { #expect(planes.count == 2) }
                #expect(try restored(planes, layer.codebook, geometry) == expected)
            }
        }
    }

    @Test(arguments: WeightClassesTests.Form.allCases) func sortedAndCenteredLayersComeBack(
        form: WeightClassesTests.Form
    ) throws {
        let (weights, geometry) = try form.layer
        let step: Float = 0.25
        let quantizer = try TrellisQuantizer(states: 1, step: step, lambda: 0, keepsChannels: false)
        let layer = try quantizer.quantize(weights, geometry)
        // However weights are sorted and around whatever they lie, one grid has one nearest point.
        let expected = weights.map { Float(Double(($0 / (2 * step)).rounded(.toNearestOrEven)) * 2 * Double(step)) }
        for (bits, isFolded) in [(2, false), (4, false), (8, true)] {
            let planes = layer.planes(bits: bits, isSplit: layer.isSplit, isFolded: isFolded)
            #expect(try restored(planes, layer.codebook, geometry) == expected)
        }
        let wide = try restored(
            layer.planes(bits: 4, isSplit: false, isFolded: false), layer.codebook, geometry, as: Double.self)
        #expect(wide.map { Float($0) } == expected)
    }

    @Test("with one state and without lambda no weight is off by more than the step", arguments: Layout.some)
    func everyErrorIsAtMostTheStep(layout: Layout) throws {
        let geometry = try layout.geometry
        for (step, scale) in [(0.3, 1), (0.001, 1), (0x1p-100, 0x1p-98), (1e30, 1e32)] as [(Float, Float)] {
            let weights = gaussians(geometry.count, seed: 4).map { $0 * scale }
            let layer = try TrellisQuantizer(states: 1, step: step, lambda: 0).quantize(weights, geometry)
            let result = try restored(
                layer.planes(bits: 8, isSplit: false, isFolded: false), layer.codebook, geometry)
            #expect(zip(weights, result).allSatisfy { abs($0 - $1) <= step * 1.0001 })
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity], [0, 5, 40]) func nonFiniteWeightsAreNamed(
        value: Float, index: Int
    ) throws {
        var weights = [Float](repeating: 0.5, count: 41)
        weights[index] = value
        let geometry = try LayerGeometry(kind: .fc, shape: [41])
        #expect(throws: MapperError.nonFinite(index: index, value: "\(value)")) {
            try TrellisQuantizer(states: 8, step: 0.1).quantize(weights, geometry)
        }
    }

    @Test(arguments: Trellis.stateCounts, [0.01, 3, 400, 9000, 30_000] as [Float])
    func theLargestHalfStaysFinite(states: Int, step: Float) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [40, 40])
        let weights = (0..<1600).map { i -> Float in i % 2 == 0 ? 65_504 : Float(i) * 32 - 65_504 }
        let layer = try TrellisQuantizer(states: states, step: step).quantize(weights, geometry, limit: 65_504)
        let result = try restored(layer.planes(bits: 8, isSplit: false, isFolded: false), layer.codebook, geometry)
        #expect(result.allSatisfy { $0.magnitude <= 65_504 })
    }

    /// Layers of channels of which each is an octave below the one before, and one is 0.
    static let fading: [(shape: [Int], convention: LayoutConvention)] = [
        ([20, 64], .pytorch), ([64, 20], .keras), ([20, 3, 3, 1], .pytorch), ([20, 2], .pytorch),
        ([64, 200], .pytorch),
    ]

    @Test("no channel becomes 0 unless it was", arguments: 0..<5, Trellis.stateCounts)
    func channelsAreKept(layer: Int, states: Int) throws {
        let (shape, convention) = Self.fading[layer]
        let geometry = try LayerGeometry(kind: shape.count == 4 ? .conv : .fc, shape: shape, convention: convention)
        let channels = geometry.channels.count
        let order = try WeightOrder(geometry)
        let values = gaussians(geometry.count, seed: 5)
        var weights = [Float](repeating: 0, count: geometry.count)
        var channel = [Int](repeating: 0, count: geometry.count)
        order.forEachRun { first, run in
            for i in 0..<run {
                channel[first.offset + i] = first.channel
                weights[first.offset + i] =
                    first.channel == 7 ? 0 : values[first.number + i] * exp2(-Float(6 * (first.channel % 20)))
            }
        }
        let quantized = try TrellisQuantizer(states: states, step: 2).quantize(weights, geometry)
        #expect(quantized.codebook.hasChannelSteps)
        let without = try TrellisQuantizer(states: states, step: 2, keepsChannels: false).quantize(weights, geometry)
        #expect(!without.codebook.hasChannelSteps)
        let planes = quantized.planes(bits: 8, isSplit: quantized.isSplit, isFolded: false)
        let result = try restored(planes, quantized.codebook, geometry)
        #expect(try restored(planes, quantized.codebook, geometry, as: Double.self).map { Float($0) } == result)
        var isLeft = [Bool](repeating: false, count: channels)
        for (index, channel) in channel.enumerated() where result[index] != 0 { isLeft[channel] = true }
        for own in 0..<channels where own != 7 { #expect(isLeft[own], "channel \(own)") }
    }

    @Test(arguments: [0x1p-20, 0x1p-130] as [Float]) func channelsAreKeptWherePlacesHaveCenters(scale: Float) throws {
        var (weights, geometry) = try WeightClassesTests.Form.shiftedPlaces.layer
        let length = geometry.count / geometry.channels.count
        for place in 0..<length { weights[3 * length + place] *= scale }
        // Rounded to the nearest point, all weights of the channel are 0.
        let layer = try TrellisQuantizer(states: 1, step: 0.5, lambda: 0).quantize(weights, geometry)
        #expect(layer.codebook.centers.axis == .places && layer.codebook.hasChannelSteps)
        let planes = layer.planes(bits: 8, isSplit: false, isFolded: false)
        let result = try restored(planes, layer.codebook, geometry)[3 * length..<4 * length]
        let largest = try #require(weights[3 * length..<4 * length].max { $0.magnitude < $1.magnitude })
        #expect(result.contains { abs($0 - largest) < 0.3 * largest.magnitude })
    }

    @Test func whereNoChannelIsSmallAllHaveTheStepOfTheLayer() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [64, 100])
        let weights = gaussians(geometry.count, seed: 6)
        let layers = try [true, false].map {
            try TrellisQuantizer(states: 8, step: 0.5, keepsChannels: $0).quantize(weights, geometry).codebook
        }
        #expect(!layers[0].hasChannelSteps && layers[0].serialized == layers[1].serialized)
    }

    /// 7.5.1 of the specification, by hand.
    @Test func stepsOfChannelsAreThoseOfTheSpecification() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [4, 2])
        let bytes = littleEndian(Float(0.3).bitPattern) + [0, 1, 30, 145]
        let codebook = try TrellisCodebook(
            states: 1, hasChannelSteps: true, sorting: nil, centers: nil, bytes.span, geometry: geometry)
        let plane = Plane(bits: 4, shape: .channels, samples: .narrow([11, 8, 6, 8, 9, 8, 13, 8]))
        let step = Double(Float(0.3))
        let steps = [step, step / 2, step * 0x1p-30, Double(Float(step * 0x1p-145))]
        #expect(
            try restored([plane], codebook, geometry, as: Double.self)
                == [6 * steps[0], 0, -4 * steps[1], 0, 2 * steps[2], 0, 10 * steps[3], 0])
    }

    // MARK: - Bytes and planes that somebody changed

    @Test func stepsOfChannelsAreRefusedWhereTheyDoNotFit() throws {
        func read(_ geometry: LayerGeometry, _ extra: Int) throws {
            let bytes = littleEndian(Float(1).bitPattern) + [UInt8](repeating: 1, count: extra)
            _ = try TrellisCodebook(
                states: 8, hasChannelSteps: true, sorting: nil, centers: nil, bytes.span, geometry: geometry)
        }
        let geometry = try LayerGeometry(kind: .fc, shape: [6, 4])
        try read(geometry, 6)
        for extra in [0, 4, 5, 7] { #expect(throws: MapperError.self) { try read(geometry, extra) } }
        // A folded layer, whose last row is short, has no channels of its own.
        let folded = try LayerGeometry.folded(count: 23)
        #expect(throws: MapperError.self) { try read(folded, folded.channels.count) }
    }

    @Test func codebooksOfTheWrongSizeAreRefused() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [6, 4])
        let step = littleEndian(Float(0.5).bitPattern)
        for (sorting, axis, extra) in [
            (nil, nil, 0), (.channels, nil, 6), (.both, nil, 10), (nil, .channels, 6), (nil, .places, 4),
            (.both, .places, 14),
        ] as [(TrellisCodebook.Sorting?, WeightCenters.Axis?, Int)] {
            func read(_ bytes: [UInt8]) throws {
                _ = try TrellisCodebook(states: 8, sorting: sorting, centers: axis, bytes.span, geometry: geometry)
            }
            let right = step + [UInt8](repeating: 3, count: extra)
            try read(right)
            #expect(throws: MapperError.self) { try read(right + [0]) }
            for length in 0..<right.count { #expect(throws: MapperError.self) { try read(Array(right[..<length])) } }
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity, 0, -0.0, -1]) func codebooksOfOtherStepsAreRefused(
        step: Float
    ) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [6, 4])
        for states in [8, 3, 0, -8] {
            let bytes = littleEndian((states == 8 ? step : 1).bitPattern)
            #expect(throws: MapperError.self) {
                try TrellisCodebook(states: states, sorting: nil, centers: nil, bytes.span, geometry: geometry)
            }
        }
    }

    @Test func classesOfALayerThatCannotBeSortedAreRefused() throws {
        // A folded layer, whose last row is short.
        let geometry = try LayerGeometry.folded(count: 23)
        let count = geometry.channels.count
        let bytes = littleEndian(Float(1).bitPattern) + [UInt8](repeating: 0, count: count)
        let codebook = try TrellisCodebook(
            states: 8, sorting: .channels, centers: nil, bytes.span, geometry: geometry)
        let plane = Plane(bits: 2, shape: .channels, samples: .narrow([UInt8](repeating: 2, count: 23)))
        #expect(throws: MapperError.self) { try restored([plane], codebook, geometry) }
    }

    @Test(arguments: [1, 4, 8, 256]) func planesOfOtherLayersAreRefused(states: Int) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [10, 10])
        let codebook = try TrellisCodebook(
            states: states, sorting: nil, centers: nil, littleEndian(Float(1).bitPattern).span, geometry: geometry)
        func plane(_ bits: Int, _ count: Int, _ value: UInt8 = 1) -> Plane {
            let samples: Plane.Samples =
                bits <= 8
                ? .narrow([UInt8](repeating: value, count: count)) : .wide([UInt16](repeating: 256, count: count))
            return Plane(bits: bits, shape: .run(count), samples: samples)
        }
        for planes in [
            [], [plane(4, 99)], [plane(4, 101)], [plane(4, 0)], [plane(1, 100)], [plane(17, 100)], [plane(0, 100)],
            [plane(4, 50), plane(5, 50)], [plane(4, 101), plane(4, 1)], [plane(4, 0), plane(4, 100)],
            [plane(4, 100), plane(4, 1)], [plane(4, 40), plane(4, 40), plane(4, 20)], [plane(9, 99), plane(9, 2)],
            // Beyond the bits, and how far never follows; or never ends; or more follows than is asked for.
            [plane(4, 101, 15)], [plane(4, 101, 0)], [plane(4, 1000, 15)], [plane(2, 8_000_000, 3)],
            [plane(4, 100, 0), plane(4, 101, 1)], [plane(4, 100, 0), plane(4, 99, 1)],
        ] { #expect(throws: MapperError.self) { try restored(planes, codebook, geometry) } }
        #expect(try restored([plane(4, 100)], codebook, geometry).count == 100)
        #expect(try restored([plane(4, 100, 0), plane(4, 100)], codebook, geometry).count == 100)
    }

    @Test("planes of any samples give weights or errors", arguments: [1, 4, 8, 64]) func noise(states: Int) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [70, 1000])
        let codebook = try TrellisCodebook(
            states: states, sorting: nil, centers: nil, littleEndian(Float(1).bitPattern).span, geometry: geometry)
        var random = SeededGenerator(UInt64(states))
        for round in 0..<40 {
            let bits = 2 + round % 7
            let first = round % 3 == 0 ? geometry.count : Int.random(in: 0...geometry.count, using: &random)
            let second = geometry.count - first + Int.random(in: 0...3, using: &random)
            let planes = [first, second].map { count in
                let samples = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() & (1 << UInt64(bits) - 1))
                }
                return Plane(bits: bits, shape: .run(count), samples: .narrow(samples))
            }
            do {
                #expect(try restored(planes, codebook, geometry).allSatisfy { $0.isFinite })
            } catch is MapperError {}
        }
    }
}
