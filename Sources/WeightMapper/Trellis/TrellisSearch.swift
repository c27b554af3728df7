import CTrellis

/// Finds for a run of weights the cheapest way through a trellis: the indices with the least sum of squared error and lambda
/// times bits (Viterbi's algorithm).
///
/// Each run begins in state 0 and ends in any. Sums are of `Float`, in an order that the processor does not decide: the result is
/// the same everywhere.
final class TrellisSearch {
    /// Weights after which a run ends, and with it what the search keeps: a decoder can begin at each.
    static let runLength = 1 << 16
    /// Weights for which one table of rates holds where weights are sorted.
    static let stretchLength = 1 << 13

    private let trellis: Trellis
    /// For each weight and state whether the better way there came by an odd k: `wc_trellis_advance`'s bits.
    private let decisions: UnsafeMutableBufferPointer<UInt8>
    /// For each weight in bit s whether the better point of subset s is the one above the weight.
    private let aboves: UnsafeMutableBufferPointer<UInt8>
    /// For each weight 2 * union + parity of k of the subset chosen, and 4 where its point above is better.
    private let choices: UnsafeMutableBufferPointer<UInt8>
    /// Of a block, what the best point of each subset costs.
    private let metrics: UnsafeMutableBufferPointer<Float>
    private let previous: [UInt8]

    private static let isWide = wc_trellis_has_wide_vectors()
    /// What no way leads to yet.
    private static let unreached: Float = 1e30
    /// Weights after which costs are brought back to 0, before they grow so large that adding to them rounds.
    private static let blockLength = 64

    init(_ trellis: Trellis) {
        self.trellis = trellis
        decisions = .allocate(capacity: Self.runLength * ceilDivide(trellis.states, 8))
        aboves = .allocate(capacity: Self.runLength)
        choices = .allocate(capacity: Self.runLength)
        metrics = .allocate(capacity: 4 * Self.blockLength)
        previous =
            trellis.states == 1 ? [] : (0..<2 * trellis.states).map { UInt8(trellis.previous($0 >> 1, parity: $0 & 1)) }
    }

    deinit {
        decisions.deallocate()
        aboves.deallocate()
        choices.deallocate()
        metrics.deallocate()
    }

    /// Chooses the index k of each weight, and the union of the state that it is chosen in.
    ///
    /// - Parameters:
    ///   - positions: weights in steps, at most `runLength`; magnitudes below 2^22.
    ///   - tables: what points there are and what they cost: one for all weights, or for each `stretchLength` of them.
    ///   - indices: receives k of each weight; the grid point is 2k + union.
    ///   - unions: receives the union of each weight.
    /// - Complexity: a few nanoseconds for each weight with up to 8 states, then linear in the states.
    func choose(
        _ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable], indices: UnsafeMutableBufferPointer<Int32>,
        unions: UnsafeMutableBufferPointer<UInt8>
    ) {
        precondition(positions.count <= Self.runLength)
        if trellis.states == 1 { chooseParities(positions, tables) } else { search(positions, tables) }
        takeIndices(positions, indices, unions)
    }

    /// Calls `body` with consecutive blocks of weights, `metrics` and `aboves` being theirs.
    @inline(__always)
    private func forEachBlock(
        _ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable], _ body: (Range<Int>) -> Void
    ) {
        for (index, table) in tables.enumerated() {
            let length = tables.count > 1 ? Self.stretchLength : positions.count
            let stretch = index * length..<min((index + 1) * length, positions.count)
            for first in stride(from: stretch.lowerBound, to: stretch.upperBound, by: Self.blockLength) {
                let block = first..<min(first + Self.blockLength, stretch.upperBound)
                table.rows.withUnsafeBufferPointer { rows in
                    wc_trellis_measure(
                        positions.baseAddress.unsafelyUnwrapped + first, block.count,
                        UnsafeRawPointer(rows.baseAddress.unsafelyUnwrapped).assumingMemoryBound(to: Float.self),
                        Int32(RateTable.cells), metrics.baseAddress.unsafelyUnwrapped,
                        aboves.baseAddress.unsafelyUnwrapped + first)
                }
                body(block)
            }
        }
    }

    /// One state: each weight for itself.
    private func chooseParities(_ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable]) {
        forEachBlock(positions, tables) { block in
            for i in block {
                let place = 4 &* (i &- block.lowerBound)
                choices[i] = Self.choice(metrics[place &+ 1] < metrics[place] ? 1 : 0, aboves[i])
            }
        }
    }

    private func search(_ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable]) {
        let bytes = ceilDivide(trellis.states, 8)
        var costs = [Float](repeating: Self.unreached, count: trellis.states)
        costs[0] = 0
        var shape = wc_trellis(trellis)
        forEachBlock(positions, tables) { block in
            wc_trellis_advance(
                &shape, Self.isWide, &costs, metrics.baseAddress.unsafelyUnwrapped, block.count,
                decisions.baseAddress.unsafelyUnwrapped + block.lowerBound * bytes)
        }
        let cheapest = costs.indices.min { (costs[$0], $0) < (costs[$1], $1) } ?? 0
        goBack(from: cheapest, positions.count, bytes)
    }

    /// Follows the way that ends in a state to where it began.
    private func goBack(from last: Int, _ count: Int, _ bytes: Int) {
        let half = trellis.states / 2
        let (decisions, aboves, choices) = (decisions, aboves, choices)
        var state = last
        previous.withUnsafeBufferPointer { previous in
            var i = count
            while i > 0 {
                i &-= 1
                let (union, place) = (state >= half ? 1 : 0, state & (half &- 1))
                let byte = Int(decisions[i &* bytes &+ place &>> 2])
                let parity = byte &>> (4 &* union &+ place & 3) & 1
                choices[i] = Self.choice(2 &* union &+ parity, aboves[i])
                state = Int(previous[2 &* state &+ parity])
            }
        }
    }

    @inline(__always)
    private static func choice(_ subset: Int, _ above: UInt8) -> UInt8 {
        let subset = UInt8(truncatingIfNeeded: subset)
        return subset | (above &>> subset & 1) &<< 2
    }

    /// The point of each weight that was chosen.
    private func takeIndices(
        _ positions: UnsafeBufferPointer<Float>, _ indices: UnsafeMutableBufferPointer<Int32>,
        _ unions: UnsafeMutableBufferPointer<UInt8>
    ) {
        for i in positions.indices {
            let choice = Int32(choices[i])
            let (union, parity) = (choice >> 1 & 1, choice & 1)
            let cell = roundedDown(positions[i])
            // A subset's points lie four steps apart.
            let below = cell &- ((cell &- 2 &* parity &- union) & 3)
            indices[i] = (below &+ (choice & 4) &- union) >> 1
            unions[i] = UInt8(truncatingIfNeeded: union)
        }
    }
}

/// A position below 2^22 rounded down, without a call.
@inline(__always)
private func roundedDown(_ position: Float) -> Int32 {
    let nearest = (position + Float.roundingMagic).roundedBits
    return nearest &- (Float(nearest) > position ? 1 : 0)
}

extension wc_trellis {
    init(_ trellis: Trellis) {
        self.init(
            states: UInt32(trellis.states), union_taps: UInt32(trellis.unionTaps),
            parity_taps: UInt32(trellis.parityTaps))
    }
}
