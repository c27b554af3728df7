import Glibc
import TestSupport
import Testing

@testable import WeightMapper

/// Layers whose weights are predicted by those before them in their channel.
@Suite struct WeightPredictionTests {
    /// A filter bank in several layouts: each filter a windowed wave.
    enum Bank: String, CaseIterable, Sendable {
        case conv1D, fc, keras, alongInputs

        var layer: (weights: [Float], geometry: LayerGeometry, lag: Int) {
            get throws {
                func wave(_ filter: Int, _ place: Int, _ length: Int, phase: Int = 0) -> Float {
                    let window = sin(Float.pi * (Float(place) + 0.5) / Float(length))
                    return window * sin(0.02 * Float(filter + 1) * Float(place) + Float(filter * filter + phase))
                }
                switch self {
                case .conv1D:
                    let geometry = try LayerGeometry(kind: .conv, shape: [64, 1, 128])
                    return ((0..<64 * 128).map { wave($0 / 128, $0 % 128, 128) }, geometry, 1)
                case .fc:
                    let geometry = try LayerGeometry(kind: .fc, shape: [64, 128])
                    return ((0..<64 * 128).map { wave($0 / 128, $0 % 128, 128) }, geometry, 1)
                case .keras:
                    let geometry = try LayerGeometry(kind: .fc, shape: [128, 64], convention: .keras)
                    return ((0..<64 * 128).map { wave($0 % 64, $0 / 64, 128) }, geometry, 1)
                case .alongInputs:
                    // Three waves beside each other, one for each place of a kernel.
                    let geometry = try LayerGeometry(kind: .conv, shape: [48, 80, 3])
                    let weights = (0..<48 * 240).map { wave($0 / 240, $0 % 240 / 3, 80, phase: $0 % 3) }
                    return (weights, geometry, 3)
                }
            }
        }
    }

    private func restored(_ planes: [Plane], _ codebook: TrellisCodebook, _ geometry: LayerGeometry) throws -> [Float] {
        let read = try TrellisCodebook(
            states: codebook.trellis.states, sorting: nil, centers: nil,
            prediction: codebook.prediction.map { ($0.order, $0.lag) }, codebook.serialized.span, geometry: geometry)
        #expect(read.serialized == codebook.serialized)
        var weights = [Float](repeating: .nan, count: geometry.count)
        try weights.withUnsafeMutableBufferPointer { try read.restore(planes, geometry, into: $0) }
        return weights
    }

    private func noise(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) } / Double(a.count)
    }

    @Test(arguments: Bank.allCases, [1, 8, 256]) func filterBanksTakeFewerBitsAtTheSameError(
        bank: Bank, states: Int
    ) throws {
        let (weights, geometry, lag) = try bank.layer
        let step: Float = 0.05
        func layer(predicts: Bool) throws -> (noise: Double, bits: Double, TrellisCodebook) {
            let quantizer = try TrellisQuantizer(states: states, step: step, sortsWeights: predicts)
            let layer = try quantizer.quantize(weights, geometry)
            let planes = layer.planes(bits: 8, isSplit: false, isFolded: true)
            let bits = planes.reduce(0) { $0 + $1.entropyBits } / Double(weights.count)
            for depth in [2, 4, 9] {
                let others = layer.planes(bits: depth, isSplit: layer.isSplit, isFolded: false)
                #expect(
                    try restored(others, layer.codebook, geometry) == restored(planes, layer.codebook, geometry))
            }
            return (noise(weights, try restored(planes, layer.codebook, geometry)), bits, layer.codebook)
        }
        let (plain, predicted) = (try layer(predicts: false), try layer(predicts: true))
        #expect(plain.2.prediction == nil)
        let prediction = try #require(predicted.2.prediction)
        #expect(prediction.lag == lag && prediction.channelCount == geometry.channels.count)
        // At the same error: half a bit halves it.
        let bits = predicted.bits + 0.5 * log2(predicted.noise / plain.noise)
        #expect(bits < plain.bits - 1, "\(bits) \(plain.bits)")
    }

    @Test(arguments: [[64, 128], [128, 64], [31, 300], [40, 6], [256, 1], [1, 4096]])
    func weightsThatNothingPredictsAreNot(shape: [Int]) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: shape)
        let weights = gaussians(geometry.count, seed: 8)
        #expect(try TrellisQuantizer(states: 8, step: 0.1).quantize(weights, geometry).codebook.prediction == nil)
    }

    @Test("weights too large for a prediction's limit are not predicted") func largeWeights() throws {
        let (weights, geometry, _) = try Bank.conv1D.layer
        let layer = try TrellisQuantizer(states: 8, step: 1e-4).quantize(weights, geometry)
        #expect(layer.codebook.prediction == nil)
        let restored = try restored(layer, geometry)
        #expect(noise(weights, restored) < 1e-7)
    }

    private func restored(_ layer: TrellisLayer, _ geometry: LayerGeometry) throws -> [Float] {
        var weights = [Float](repeating: .nan, count: geometry.count)
        try weights.withUnsafeMutableBufferPointer {
            try layer.codebook.restore(layer.planes(bits: 16, isSplit: false, isFolded: true), geometry, into: $0)
        }
        return weights
    }

    /// 7.5.4 of the specification, by hand.
    @Test func predictionsAreThoseOfTheSpecification() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [2, 4])
        let coefficients: [Int8] = [64, -128, 32, 127]
        let bytes = littleEndian(Float(1).bitPattern) + coefficients.map { UInt8(bitPattern: $0) }
        let codebook = try TrellisCodebook(
            states: 1, sorting: nil, centers: nil, prediction: (order: 2, lag: 1), bytes.span, geometry: geometry)
        // k of each place, both channels.
        let k: [[Int]] = [[5, -3], [0, 2], [1, 0], [-2, 7]]
        let samples = k.joined().map { UInt8($0 + 128) }
        var expected = [Float](repeating: 0, count: 8)
        var points = [[Int]](repeating: [0, 0], count: 4)
        for place in 0..<4 {
            for channel in 0..<2 {
                var sum = 64
                if place >= 1 { sum += Int(coefficients[channel]) * points[place - 1][channel] }
                if place >= 2 { sum += Int(coefficients[2 + channel]) * points[place - 2][channel] }
                let center = Int((Double(sum) / 128).rounded(.down))
                points[place][channel] = 2 * (k[place][channel] + center)
                expected[channel * 4 + place] = Float(points[place][channel])
            }
        }
        let plane = Plane(bits: 8, shape: .run(8), samples: .narrow(samples))
        #expect(try restored([plane], codebook, geometry) == expected)
    }

    @Test(arguments: [(0, 1), (5, 1), (-1, 1), (1, 0), (1, 4), (1, -1), (2, .max)]) func otherPredictionsAreRefused(
        order: Int, lag: Int
    ) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [6, 4])
        let bytes = littleEndian(Float(1).bitPattern) + [UInt8](repeating: 1, count: 6 * max(min(order, 4), 0))
        #expect(throws: MapperError.self) {
            try TrellisCodebook(
                states: 8, sorting: nil, centers: nil, prediction: (order, lag), bytes.span, geometry: geometry)
        }
    }

    @Test func predictedLayersHaveNeitherClassesNorCenters() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [6, 4])
        func read(_ sorting: TrellisCodebook.Sorting?, _ axis: WeightCenters.Axis?, extra: Int) throws {
            let bytes = littleEndian(Float(1).bitPattern) + [UInt8](repeating: 1, count: extra)
            _ = try TrellisCodebook(
                states: 8, sorting: sorting, centers: axis, prediction: (1, 1), bytes.span, geometry: geometry)
        }
        try read(nil, nil, extra: 6)
        for extra in [0, 5, 7, 12] { #expect(throws: MapperError.self) { try read(nil, nil, extra: extra) } }
        for extra in [6, 12] {
            #expect(throws: MapperError.self) { try read(.channels, nil, extra: extra) }
            #expect(throws: MapperError.self) { try read(nil, .channels, extra: extra) }
        }
        // A folded layer, whose last row is short.
        let folded = try LayerGeometry.folded(count: 23)
        let bytes = littleEndian(Float(1).bitPattern) + [UInt8](repeating: 0, count: folded.channels.count)
        #expect(throws: MapperError.self) {
            try TrellisCodebook(
                states: 8, sorting: nil, centers: nil, prediction: (1, 1), bytes.span, geometry: folded)
        }
    }

    @Test func predictionsThatGrowAreLimited() throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [8, 500])
        let bytes = littleEndian(Float(1).bitPattern) + [UInt8](repeating: 0x7f, count: 32)
        let codebook = try TrellisCodebook(
            states: 4, sorting: nil, centers: nil, prediction: (4, 1), bytes.span, geometry: geometry)
        let plane = Plane(bits: 8, shape: .run(4000), samples: .narrow([UInt8](repeating: 255, count: 4000)))
        let largest = try restored([plane], codebook, geometry).max()
        #expect(largest == Float(2 * (127 + 8191) + 1))
    }
}
