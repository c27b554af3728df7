import TestSupport
import Testing

@testable import WeightMapper

/// Indices out of their planes, however many steps are taken at once.
struct TrellisReaderTests {
    /// Planes of indices as the format has them, written down step by step, and the points of the grid.
    private struct Written {
        var planes: [Plane] = []
        var points: [Int] = []

        /// - Parameters:
        ///   - lengths: weights of each run of the trellis.
        ///   - spread: a typical index; those beyond the bits are said at the end.
        init(
            _ count: Int, _ trellis: Trellis, bits: Int, isSplit: Bool, runLength: Int, spread: Float, seed: UInt64
        ) {
            let middle = 1 << (bits - 1)
            let top = 2 * middle - 1
            var samples: [[Int]] = [[], []]
            var beyond: [Int] = []
            var state = 0
            for (place, value) in gaussians(count, seed: seed).enumerated() {
                if place % runLength == 0 { state = 0 }
                let index = Int((value * spread).rounded())
                let (sample, union) = (index + middle, state & 1)
                samples[isSplit ? union : 0].append(max(0, min(top, sample)))
                if sample <= 0 || sample >= top {
                    let excess = sample <= 0 ? -sample : sample - top
                    beyond += Array(repeating: top, count: excess / top) + [excess % top]
                }
                points.append(2 * index + union)
                state = trellis.next(state, parity: index & 1)
            }
            samples[isSplit ? 1 : 0] += beyond
            planes = samples.prefix(isSplit ? 2 : 1).map { samples in
                Plane(
                    bits: bits, shape: .run(samples.count),
                    samples: bits <= 8 ? .narrow(samples.map { UInt8($0) }) : .wide(samples.map { UInt16($0) }))
            }
        }
    }

    @Test(arguments: Trellis.stateCounts, [false, true]) func pointsComeBack(states: Int, isSplit: Bool) throws {
        let trellis = try #require(Trellis(states: states))
        let step: Float = 0.75
        for (bits, spread) in [
            (2, 0.2), (2, 1), (3, 1), (4, 0.8), (4, 3), (4, 40), (7, 30), (8, 20), (8, 60), (8, 4000), (9, 200),
        ] as [(Int, Float)] {
            // Shorter than what is read at once, and longer than a run.
            for (columns, rows) in [(1, 3), (9, 7), (100, 103), (300, 301)] {
                let geometry = try LayerGeometry(kind: .fc, shape: [rows, columns])
                let written = Written(
                    geometry.count, trellis, bits: bits, isSplit: isSplit, runLength: TrellisCodebook.runLength,
                    spread: spread, seed: UInt64(bits))
                let codebook = try TrellisCodebook(
                    states: states, sorting: nil, centers: nil, littleEndian(step.bitPattern).span, geometry: geometry)
                var weights = [Float](repeating: .nan, count: geometry.count)
                // Of one state there is no other union.
                guard !isSplit || states > 1 && written.planes[0].samples.count < geometry.count else { continue }
                try weights.withUnsafeMutableBufferPointer {
                    try codebook.restore(written.planes, geometry, into: $0)
                }
                let expected = written.points.map { Float(Double($0) * Double(step)) }
                #expect(weights == expected, "\(bits) \(spread) \(rows)x\(columns)")
            }
        }
    }

    @Test(arguments: [4, 8, 256]) func aPlaneThatIsTooShortIsRefusedWhereverItEnds(states: Int) throws {
        let trellis = try #require(Trellis(states: states))
        let geometry = try LayerGeometry(kind: .fc, shape: [20, 20])
        let codebook = try TrellisCodebook(
            states: states, sorting: nil, centers: nil, littleEndian(Float(1).bitPattern).span, geometry: geometry)
        let written = Written(
            400, trellis, bits: 4, isSplit: true, runLength: 1 << 16, spread: 3, seed: 5)
        guard case .narrow(let even) = written.planes[0].samples, case .narrow(let odd) = written.planes[1].samples
        else {
            return
        }
        for moved in 1..<even.count {
            // As many samples in all, but not those that the trellis takes.
            let planes = [Array(even.dropLast(moved)), odd + even.suffix(moved)].map {
                Plane(bits: 4, shape: .run($0.count), samples: .narrow($0))
            }
            var weights = [Float](repeating: .nan, count: 400)
            #expect(throws: MapperError.self) {
                try weights.withUnsafeMutableBufferPointer { try codebook.restore(planes, geometry, into: $0) }
            }
        }
    }
}
