import CTrellis
import Foundation
import TestSupport
import Testing

@testable import WeightMapper

/// Weights from a Gaussian distribution of standard deviation 1 (Box and Muller's), and not only nearly so.
func gaussians(_ count: Int, seed: UInt64) -> [Float] {
    var random = SeededGenerator(seed)
    return (0..<count).map { _ in
        let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &random))).squareRoot()
        return Float(radius * cos(2 * Double.pi * Double.random(in: 0..<1, using: &random)))
    }
}

@Suite struct TrellisTests {
    static let trellises = Trellis.stateCounts.filter { $0 > 1 }

    @Test(arguments: trellises) func everyStateHasTwoPredecessorsOfOneUnion(states: Int) throws {
        let trellis = try #require(Trellis(states: states))
        var predecessors = [[Int]](repeating: [], count: states)
        for state in 0..<states {
            for parity in 0...1 {
                let next = trellis.next(state, parity: parity)
                predecessors[next].append(state)
                #expect(trellis.previous(next, parity: parity) == state)
                #expect(trellis.unionBefore(next) == state & 1)
                #expect(Int(trellis.transitions[2 * state + parity]) == next)
            }
        }
        #expect(predecessors.allSatisfy { $0.count == 2 && $0[0] != $0[1] && $0[0] & 1 == $0[1] & 1 })
    }

    @Test(arguments: [-1, 0, 2, 3, 5, 12, 512]) func otherNumbersOfStatesAreRefused(states: Int) {
        #expect(Trellis(states: states) == nil)
        #expect(throws: MapperError.self) { try TrellisQuantizer(states: states, step: 1) }
    }

    @Test(arguments: [0, -1, Float.nan, .infinity]) func stepsAreAboveZero(step: Float) {
        #expect(throws: MapperError.self) { try TrellisQuantizer(states: 8, step: step) }
    }

    // MARK: - The search

    struct Search: CustomTestStringConvertible, Sendable {
        let states: Int
        let lambda: Double
        let isSplit: Bool
        var testDescription: String { "\(states) states, lambda \(lambda)\(isSplit ? ", split" : "")" }

        static let all = Trellis.stateCounts.flatMap { states in
            [0, 0.1, 0.4].flatMap { lambda in
                [false, true].map { Search(states: states, lambda: lambda, isSplit: $0) }
            }
        }
    }

    @Test("no way through the trellis costs less than the one chosen", arguments: Search.all)
    func theChosenWayIsTheCheapest(search: Search) throws {
        let trellis = try #require(Trellis(states: search.states))
        let histogram = gaussians(5000, seed: 1).map { $0 * 4 }.withUnsafeBufferPointer {
            IndexHistogram(rounding: $0)
        }
        let bits = (0...1).map {
            RateModel.entropy.bits(search.isSplit ? Array(histogram.counts(ofUnion: $0)) : histogram.merged)
        }
        for (seed, scale) in [(UInt64(2), Float(4)), (3, 1), (4, 12), (5, 0.1)] {
            let positions = gaussians(9, seed: seed).map { $0 * scale }
            let (indices, unions) = choose(
                positions, trellis, RateTable(histogram, .entropy, lambda: search.lambda, isSplit: search.isSplit))
            func cost(_ position: Float, _ k: Int, _ union: Int) -> Double {
                let error = Double(position) - Double(2 * k + union)
                return error * error + search.lambda * bits[union][k + IndexHistogram.reach]
            }
            var state = 0
            var total = 0.0
            for (i, position) in positions.enumerated() {
                #expect(Int(unions[i]) == state & 1)
                total += cost(position, Int(indices[i]), Int(unions[i]))
                state = trellis.next(state, parity: Int(indices[i]) & 1)
            }
            // Every sequence of parities, each weight at the best point that the way allows.
            let best = (0..<1 << positions.count).map { way in
                var state = 0
                return positions.enumerated().reduce(0.0) { sum, weight in
                    let (union, parity) = (state & 1, way >> weight.offset & 1)
                    state = trellis.next(state, parity: parity)
                    let points = (-20...20).map { 2 * $0 + parity }
                    return sum + (points.map { cost(weight.element, $0, union) }.min() ?? 0)
                }
            }.min()
            #expect(abs(total - (best ?? 0)) < 1e-4, "\(seed)")
        }
    }

    private func choose(_ positions: [Float], _ trellis: Trellis, _ table: RateTable) -> (k: [Int32], union: [UInt8]) {
        var (indices, unions) = (
            [Int32](repeating: .max, count: positions.count), [UInt8](repeating: .max, count: positions.count)
        )
        positions.withUnsafeBufferPointer { positions in
            indices.withUnsafeMutableBufferPointer { indices in
                unions.withUnsafeMutableBufferPointer { unions in
                    TrellisSearch(trellis).choose(positions, [table], indices: indices, unions: unions)
                }
            }
        }
        return (indices, unions)
    }

    @Test(
        "wide vectors decide as narrow ones do", .enabled(if: wc_trellis_has_wide_vectors()),
        arguments: [16, 32, 64, 128, 256])
    func widthsOfVectorsDoNotShow(states: Int) throws {
        var trellis = wc_trellis(try #require(Trellis(states: states)))
        var random = SeededGenerator(9)
        let metrics = (0..<4 * 500).map { _ in Float(Int.random(in: 0...40, using: &random)) / 8 }
        func decide(isWide: Bool) -> (costs: [Float], decisions: [UInt8]) {
            var costs = [Float](repeating: 1e30, count: states)
            costs[0] = 0
            var decisions = [UInt8](repeating: 0, count: 500 * states / 8)
            wc_trellis_advance(&trellis, isWide, &costs, metrics, 500, &decisions)
            return (costs, decisions)
        }
        #expect(decide(isWide: true) == decide(isWide: false))
    }

    @Test("a way costs the same wherever on the grid weights lie", arguments: [1, 4, 8, 16, 256])
    func farFromZeroPointsAreAsNear(states: Int) throws {
        let trellis = try #require(Trellis(states: states))
        let table = RateTable(IndexHistogram(), .entropy, lambda: 0, isSplit: false)
        let positions = gaussians(200, seed: 6)
        func errors(_ shift: Float) -> [Float] {
            let shifted = positions.map { ($0 * 64).rounded() / 64 + shift }
            let (indices, unions) = choose(shifted, trellis, table)
            return shifted.indices.map { shifted[$0] - Float(2 * indices[$0] + Int32(unions[$0])) }
        }
        let near = errors(0)
        for shift: Float in [4, -4, 128, -124, 1000, -1000, 60_000, -60_000] { #expect(errors(shift) == near) }
    }

    // MARK: - Rate and distortion

    /// Bits per weight beyond what no quantizer can go below, 0.5 log2(variance / error), and bits per weight.
    private func excess(_ states: Int, lambda: Double, step: Float) throws -> (excess: Double, bits: Double) {
        let weights = gaussians(1 << 16, seed: 7)
        let geometry = try LayerGeometry(kind: .fc, shape: [256, 256])
        let layer = try TrellisQuantizer(states: states, step: step, lambda: lambda, passes: 2)
            .quantize(weights, geometry)
        let planes = layer.planes(bits: 8, isSplit: layer.isSplit, isFolded: false)
        let bits = planes.reduce(0) { $0 + $1.entropyBits } / Double(weights.count)
        var restored = [Float](repeating: .nan, count: weights.count)
        try restored.withUnsafeMutableBufferPointer { try layer.codebook.restore(planes, geometry, into: $0) }
        let error = zip(weights, restored).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let variance = weights.reduce(0.0) { $0 + Double($1 * $1) }
        return (bits - 0.5 * log2(variance / error), bits)
    }

    @Test(
        "how close Gaussian weights come to the bound of rate and distortion",
        arguments: [(1, 0.26), (4, 0.12), (8, 0.1), (16, 0.09), (64, 0.07)])
    func boundOfRateAndDistortion(states: Int, limit: Double) throws {
        let (excess, bits) = try excess(states, lambda: TrellisQuantizer.bestLambda, step: 0.26)
        #expect(2.6...3.0 ~= bits, "\(bits)")
        #expect(excess < limit, "\(excess)")
        #expect(excess > (states == 1 ? 0.2 : 0.03), "\(excess)")
    }

    @Test("rounding needs a quarter of a bit more than the bound") func rounding() throws {
        let (excess, _) = try excess(1, lambda: 0, step: 0.26)
        #expect(0.25...0.28 ~= excess, "\(excess)")
    }

    @Test("below two bits each union has a plane, which saves some") func unionsPart() throws {
        #expect(try excess(8, lambda: TrellisQuantizer.bestLambda, step: 0.8).excess < 0.13)
    }

    // MARK: - Code lengths

    @Test(arguments: 1...8) func codeLengthsAreThoseOfAHuffmanCode(seed: UInt64) {
        var random = SeededGenerator(seed)
        let symbols = Int.random(in: 2...300, using: &random)
        let counts = (0..<symbols).map { _ in
            Int.random(in: 0...9, using: &random) == 0 ? 0 : Int(exp2(Double.random(in: 0...16, using: &random)))
        }
        let lengths = HuffmanCode.lengths(counts, limit: 60)
        #expect(zip(counts, lengths).allSatisfy { ($0 == 0) == ($1 == 0) })
        // Kraft's sum is 1: no code word could be shorter.
        #expect(lengths.reduce(0.0) { $1 == 0 ? $0 : $0 + exp2(-Double($1)) } == 1)
        let total = Double(counts.reduce(0, +))
        let entropy = counts.reduce(0.0) { $1 == 0 ? $0 : $0 - Double($1) / total * log2(Double($1) / total) }
        let mean = zip(counts, lengths).reduce(0.0) { $0 + Double($1.0 * $1.1) } / total
        #expect(entropy - 1e-9 <= mean && mean < entropy + 1)
    }

    @Test func degenerateCodesHaveLengthsToo() {
        #expect(HuffmanCode.lengths([], limit: 15) == [])
        #expect(HuffmanCode.lengths([0, 0], limit: 15) == [0, 0])
        #expect(HuffmanCode.lengths([0, 7, 0], limit: 15) == [0, 1, 0])
        #expect(HuffmanCode.lengths([5, 5], limit: 15) == [1, 1])
        #expect(HuffmanCode.lengths([8, 4, 2, 1, 1], limit: 15) == [1, 2, 3, 4, 4])
        // Fibonacci's numbers make the longest code words.
        let counts = (0..<30).reduce(into: [1, 1]) { counts, _ in counts.append(counts.suffix(2).reduce(0, +)) }
        #expect(HuffmanCode.lengths(counts, limit: 60).max() == counts.count - 1)
        #expect(HuffmanCode.lengths(counts, limit: 15).max() == 15)
    }
}
