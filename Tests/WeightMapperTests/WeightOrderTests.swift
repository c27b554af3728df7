import TestSupport
import Testing

@testable import WeightMapper

@Suite struct WeightOrderTests {
    /// Each weight's number, channel and place within the channel, by its offset in memory.
    private func places(_ order: WeightOrder) -> [(number: Int, channel: Int, column: Int)?] {
        var places = [(number: Int, channel: Int, column: Int)?](repeating: nil, count: order.count)
        order.forEachRun { first, length in
            for i in 0..<length {
                #expect(places[first.offset + i] == nil, "visited twice")
                places[first.offset + i] = (first.number + i, first.channel, first.column + i)
            }
        }
        return places
    }

    @Test(arguments: Layout.all) func eachWeightIsVisitedOnce(layout: Layout) throws {
        let geometry = try layout.geometry
        let channels = geometry.channels
        let length = WeightOrder.channelLength(geometry)
        var random = SeededGenerator(5)
        func classes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) } }
        for count in [0, channels.count, channels.count + length] {
            let classes = classes(count)
            guard WeightOrder.canSort(geometry) || classes.isEmpty else {
                #expect(throws: MapperError.self) { try WeightOrder(geometry, classes: classes[...]) }
                continue
            }
            let order = try WeightOrder(geometry, classes: classes[...])
            let places = try places(order).map { try #require($0) }
            #expect(places.map(\.number).sorted().elementsEqual(0..<geometry.count))
            for (offset, place) in places.enumerated() {
                #expect(place.channel == offset / channels.inner % channels.count)
                #expect(place.column < length)
            }
            if WeightOrder.canSort(geometry) {
                let cells = Set(places.map { $0.channel * length + $0.column })
                #expect(cells.count == geometry.count)
            }
            if order.isMemoryOrder { #expect(places.map(\.number).elementsEqual(0..<geometry.count)) }
            guard classes.count > channels.count else { continue }
            // Weights of both classes follow each other by the sum of these, then channel by channel.
            let sorted = places.sorted { $0.number < $1.number }
            let keys = sorted.map { Int(classes[$0.channel]) + Int(classes[channels.count + $0.column]) }
            #expect(keys == keys.sorted())
            for (a, b) in zip(sorted.indices, sorted.indices.dropFirst()) where keys[a] == keys[b] {
                #expect((sorted[a].channel, sorted[a].column) < (sorted[b].channel, sorted[b].column))
            }
        }
    }

    @Test(arguments: Layout.all) func predictedWeightsFollowPlaceByPlace(layout: Layout) throws {
        let geometry = try layout.geometry
        guard WeightOrder.canSort(geometry) else { return }
        let order = WeightOrder.byPlaces(geometry)
        for (offset, place) in try places(order).map({ try #require($0) }).enumerated() {
            #expect(place.channel == offset / geometry.channels.inner % geometry.channels.count)
            #expect(place.number == place.column * geometry.channels.count + place.channel)
        }
        #expect(!order.isMemoryOrder && !order.keepsPictures)
    }

    @Test func channelsAreSortedWithinTheirGate() throws {
        let geometry = try LayerGeometry(kind: .lstm, shape: [12, 2])
        let order = try WeightOrder(geometry, classes: [2, 1, 0, 0, 5, 3, 1, 1, 1, 9, 8, 7])
        var sequence: [Int] = []
        order.forEachRun { first, _ in sequence.append(first.channel) }
        #expect(sequence == [2, 1, 0, 3, 5, 4, 6, 7, 8, 11, 10, 9])
        #expect(order.keepsPictures && !order.isMemoryOrder)
    }

    @Test(arguments: [1, 5, 7, 9, 12, 13, 100]) func otherNumbersOfClassesAreRefused(count: Int) throws {
        let geometry = try LayerGeometry(kind: .fc, shape: [6, 2])
        let classes = [UInt8](repeating: 0, count: count)
        #expect(throws: MapperError.self) { try WeightOrder(geometry, classes: classes[...]) }
    }
}

@Suite struct WeightClassesTests {
    /// A layer of 256 channels of 512 weights, in steps of 1.
    enum Form: String, CaseIterable, Sendable {
        case alike, loudChannels, loudPlaces, shiftedChannels, shiftedPlaces, loudFilters

        var layer: (weights: [Float], geometry: LayerGeometry) {
            get throws {
                let (channels, length) = (256, 512)
                var random = SeededGenerator(8)
                let channelScales = (0..<channels).map { _ in Bool.random(using: &random) ? Float(1) : 8 }
                let placeScales = (0..<length).map { _ in Bool.random(using: &random) ? Float(1) : 8 }
                let channelCenters = (0..<channels).map { _ in Float(Int.random(in: -30...30, using: &random)) }
                let placeCenters = (0..<length).map { _ in Float(Int.random(in: -30...30, using: &random)) }
                let weights = gaussians(channels * length, seed: 9).enumerated().map { i, weight in
                    let (channel, place) = (i / length, i % length)
                    return switch self {
                    case .alike: 3 * weight
                    case .loudChannels, .loudFilters: channelScales[channel] * weight
                    case .loudPlaces: placeScales[place] * weight
                    case .shiftedChannels: channelCenters[channel] + weight
                    case .shiftedPlaces: placeCenters[place] + weight
                    }
                }
                let geometry =
                    self == .loudFilters
                    ? try LayerGeometry(kind: .conv, shape: [256, 32, 4, 4])
                    : try LayerGeometry(kind: .fc, shape: [channels, length])
                return (weights, geometry)
            }
        }
    }

    @Test(
        arguments: [
            (.alike, 0, nil), (.loudChannels, 256, nil), (.loudFilters, 256, nil), (.loudPlaces, 768, nil),
            (.shiftedChannels, 0, .channels), (.shiftedPlaces, 0, .places),
        ] as [(Form, Int, WeightCenters.Axis?)])
    func classesAndCentersAreChosenWhereTheyPay(form: Form, classes: Int, axis: WeightCenters.Axis?) throws {
        let (weights, geometry) = try form.layer
        let found = WeightClasses(weights.map { $0 * 2 }, geometry)
        #expect(found.classes.count == classes)
        #expect(found.centers.axis == axis)
    }

    @Test func smallAndRaggedLayersHaveNone() throws {
        for geometry in [
            try LayerGeometry(kind: .fc, shape: [40, 100]), try LayerGeometry.folded(count: 8191),
            try LayerGeometry(kind: .fc, shape: [0, 7]),
        ] {
            let weights = gaussians(geometry.count, seed: 10).enumerated().map { $1 * ($0 / 100 % 2 == 0 ? 1 : 100) }
            let found = WeightClasses(weights.map { $0 * 2 }, geometry)
            #expect(found.classes.isEmpty && found.centers.axis == nil)
        }
    }

    @Test("sorting and centering save the bits that they promise", arguments: Form.allCases)
    func bitsAreSaved(form: Form) throws {
        let (weights, geometry) = try form.layer
        func bits(_ sortsWeights: Bool) throws -> Double {
            let layer = try TrellisQuantizer(states: 8, step: 0.5, sortsWeights: sortsWeights)
                .quantize(weights, geometry)
            // What an encoder that learns the frequencies of the last weights spends.
            return layer.bestPlanes(.deflate, depths: 1...16, geometry).bits + 8
                * Double(layer.codebook.serialized.count)
        }
        let (sorted, plain) = (try bits(true), try bits(false))
        if form == .alike { #expect(sorted == plain) } else { #expect(sorted < 0.95 * plain, "\(sorted) \(plain)") }
    }
}
