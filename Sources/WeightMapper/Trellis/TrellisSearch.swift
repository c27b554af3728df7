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
    /// For each weight and state whether the better way there came by an odd k: 0 or -1.
    private let decisions: UnsafeMutableBufferPointer<Int8>
    /// For each weight 2 * union + parity of k.
    private let subsets: UnsafeMutableBufferPointer<UInt8>
    private let previous: [UInt8]

    init(_ trellis: Trellis) {
        self.trellis = trellis
        decisions = .allocate(capacity: Self.runLength * trellis.states)
        subsets = .allocate(capacity: Self.runLength)
        previous =
            trellis.states == 1 ? [] : (0..<2 * trellis.states).map { UInt8(trellis.previous($0 >> 1, parity: $0 & 1)) }
    }

    deinit {
        decisions.deallocate()
        subsets.deallocate()
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
        switch trellis.states {
        case 1: chooseParities(positions, tables)
        case 4: search(positions, tables, FourStates())
        case 8: search(positions, tables, EightStates())
        default: search(positions, tables, ManyStates(trellis))
        }
        takeIndices(positions, tables, indices, unions)
    }

    /// Calls `body` with consecutive stretches of weights and the rows of their tables.
    @inline(__always)
    private func forEachTable(
        _ count: Int, _ tables: [RateTable], _ body: (Range<Int>, UnsafePointer<SIMD4<Float>>) -> Void
    ) {
        for (index, table) in tables.enumerated() {
            let length = tables.count > 1 ? Self.stretchLength : count
            let first = index * length
            table.rows.withUnsafeBufferPointer { rows in
                guard let rows = rows.baseAddress else { return }
                body(first..<min(first + length, count), rows)
            }
        }
    }

    /// One state: each weight for itself.
    private func chooseParities(_ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable]) {
        forEachTable(positions.count, tables) { range, rows in
            for i in range {
                let costs = metrics(positions[i], rows)
                subsets[i] = costs[1] < costs[0] ? 1 : 0
            }
        }
    }

    @inline(__always)
    private func search<Costs: StateCosts>(
        _ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable], _ start: Costs
    ) {
        let states = trellis.states
        var costs = start
        // Costs are brought back to 0 before they grow so large that adding to them rounds.
        let stretch = 64
        forEachTable(positions.count, tables) { range, rows in
            for first in stride(from: range.lowerBound, to: range.upperBound, by: stretch) {
                for i in first..<min(first + stretch, range.upperBound) {
                    costs.advance(
                        metrics(positions[i], rows),
                        UnsafeMutableRawPointer(decisions.baseAddress.unsafelyUnwrapped + i * states))
                }
                costs.lower()
            }
        }
        var state = costs.cheapest
        let half = states / 2
        previous.withUnsafeBufferPointer { previous in
            for i in stride(from: positions.count - 1, through: 0, by: -1) {
                let parity = Int(decisions[i &* states &+ state]) & 1
                subsets[i] = UInt8(truncatingIfNeeded: (state >= half ? 2 : 0) + parity)
                state = Int(previous[2 &* state &+ parity])
            }
        }
    }

    /// The point of each weight's subset that is cheaper.
    private func takeIndices(
        _ positions: UnsafeBufferPointer<Float>, _ tables: [RateTable],
        _ indices: UnsafeMutableBufferPointer<Int32>, _ unions: UnsafeMutableBufferPointer<UInt8>
    ) {
        forEachTable(positions.count, tables) { range, rows in
            let cells = UnsafeRawPointer(rows).assumingMemoryBound(to: Float.self)
            for i in range {
                let (row, position, shift) = cell(positions[i])
                let subset = Int(subsets[i])
                let start = cells[16 &* row &+ subset]
                let (below, above) = (position - start, position - start - 4)
                let isAbove =
                    above * above + cells[16 &* row &+ 8 &+ subset] < below * below + cells[16 &* row &+ 4 &+ subset]
                let point = Int32(start) &+ (isAbove ? 4 : 0) &+ shift
                let union = Int32(truncatingIfNeeded: subset >> 1)
                indices[i] = (point &- union) >> 1
                unions[i] = UInt8(truncatingIfNeeded: union)
            }
        }
    }
}

/// The row of the table for a position; beyond its ends the position moved there by a multiple of four steps, and by how much.
@inline(__always)
private func cell(_ position: Float) -> (row: Int, position: Float, shift: Int32) {
    // Rounded down without a call.
    var cell = Int32(position)
    cell &-= Float(cell) > position ? 1 : 0
    let edge = Int32(RateTable.cells)
    guard cell < -edge || cell >= edge else { return (Int(cell &+ edge), position, 0) }
    let inside = cell < 0 ? -edge &+ (cell & 3) : edge &- 4 &+ (cell & 3)
    let shift = cell &- inside
    return (Int(inside &+ edge), position - Float(shift), shift)
}

/// What the best point of each subset costs.
@inline(__always)
private func metrics(_ position: Float, _ rows: UnsafePointer<SIMD4<Float>>) -> SIMD4<Float> {
    let (row, position, _) = cell(position)
    let below = SIMD4(repeating: position) - rows[4 &* row]
    let above = below - SIMD4(repeating: 4)
    let first = below * below + rows[4 &* row &+ 1]
    let second = above * above + rows[4 &* row &+ 2]
    return first.replacing(with: second, where: second .< first)
}

// MARK: - States

/// The costs of the cheapest ways to each state, as far as a search has come.
private protocol StateCosts {
    /// Goes on by one weight whose subsets cost `metrics`; notes for each state whether its way came by an odd k.
    mutating func advance(_ metrics: SIMD4<Float>, _ decisions: UnsafeMutableRawPointer)
    /// Subtracts the same from all costs, so that the least is small.
    mutating func lower()
    /// The state with the least cost.
    var cheapest: Int { get }
}

/// What no way leads to yet.
private let unreached: Float = 1e30

@inline(__always)
private func cheaper(_ a: SIMD4<Float>, _ b: SIMD4<Float>) -> (costs: SIMD4<Float>, isSecond: SIMDMask<SIMD4<Int32>>) {
    let isSecond = b .< a
    return (a.replacing(with: b, where: isSecond), isSecond)
}

@inline(__always)
private func bytes(_ mask: SIMDMask<SIMD4<Int32>>) -> SIMD4<Int8> {
    SIMD4<Int8>(truncatingIfNeeded: unsafeBitCast(mask, to: SIMD4<Int32>.self))
}

/// Lanes exchanged as the index changes by XOR.
@inline(__always)
private func exchanged(_ v: SIMD4<Float>, _ by: Int) -> SIMD4<Float> {
    switch by {
    case 1: SIMD4(v[1], v[0], v[3], v[2])
    case 2: SIMD4(v[2], v[3], v[0], v[1])
    case 3: SIMD4(v[3], v[2], v[1], v[0])
    default: v
    }
}

/// Polynomials 13 and 04: states 2i and 2i + 1 in lane i of two vectors.
private struct EightStates: StateCosts {
    var even = SIMD4<Float>(0, unreached, unreached, unreached)
    var odd = SIMD4<Float>(repeating: unreached)

    @inline(__always)
    mutating func advance(_ metrics: SIMD4<Float>, _ decisions: UnsafeMutableRawPointer) {
        let (low, isOddLow) = cheaper(
            even + SIMD4(repeating: metrics[0]), exchanged(even, 2) + SIMD4(repeating: metrics[1]))
        let (high, isOddHigh) = cheaper(
            exchanged(odd, 1) + SIMD4(repeating: metrics[2]), exchanged(odd, 3) + SIMD4(repeating: metrics[3]))
        let both = SIMD8<Int32>(
            lowHalf: unsafeBitCast(isOddLow, to: SIMD4<Int32>.self),
            highHalf: unsafeBitCast(isOddHigh, to: SIMD4<Int32>.self))
        decisions.storeBytes(of: SIMD8<Int8>(truncatingIfNeeded: both), as: SIMD8<Int8>.self)
        even = SIMD4(low[0], low[2], high[0], high[2])
        odd = SIMD4(low[1], low[3], high[1], high[3])
    }

    mutating func lower() {
        let least = SIMD4(repeating: min(even.min(), odd.min()))
        even -= least
        odd -= least
    }

    var cheapest: Int { argmin((0..<8).map { $0 & 1 == 0 ? even[$0 / 2] : odd[$0 / 2] }) }
}

/// Polynomials 5 and 2: all states in one vector.
private struct FourStates: StateCosts {
    var costs = SIMD4<Float>(0, unreached, unreached, unreached)

    @inline(__always)
    mutating func advance(_ metrics: SIMD4<Float>, _ decisions: UnsafeMutableRawPointer) {
        // Each state's predecessors: 0 and 2, 2 and 0, 1 and 3, 3 and 1.
        let (next, isOdd) = cheaper(
            SIMD4(costs[0], costs[2], costs[1], costs[3]) + SIMD4(metrics[0], metrics[0], metrics[2], metrics[2]),
            SIMD4(costs[2], costs[0], costs[3], costs[1]) + SIMD4(metrics[1], metrics[1], metrics[3], metrics[3]))
        decisions.storeBytes(of: bytes(isOdd), as: SIMD4<Int8>.self)
        costs = next
    }

    mutating func lower() { costs -= SIMD4(repeating: costs.min()) }

    var cheapest: Int { argmin((0..<4).map { costs[$0] }) }
}

/// Sixteen states and more: those of even and of odd number in vectors of four.
private struct ManyStates: StateCosts {
    private var even: [SIMD4<Float>]
    private var odd: [SIMD4<Float>]
    private var next: [SIMD4<Float>]
    private let parityTaps, unionTaps: Int

    init(_ trellis: Trellis) {
        let vectors = trellis.states / 8
        even = Array(repeating: SIMD4(repeating: unreached), count: vectors)
        odd = even
        next = even + even
        even[0][0] = 0
        parityTaps = trellis.parityTaps
        unionTaps = trellis.unionTaps & (trellis.states / 2 - 1)
    }

    @inline(__always)
    mutating func advance(_ metrics: SIMD4<Float>, _ decisions: UnsafeMutableRawPointer) {
        let vectors = even.count
        let bothTaps = unionTaps ^ parityTaps
        even.withUnsafeMutableBufferPointer { even in
            odd.withUnsafeMutableBufferPointer { odd in
                next.withUnsafeMutableBufferPointer { next in
                    for v in 0..<vectors {
                        let (low, isOddLow) = cheaper(
                            even[v] + SIMD4(repeating: metrics[0]),
                            exchanged(even[v ^ parityTaps >> 2], parityTaps & 3) + SIMD4(repeating: metrics[1]))
                        let (high, isOddHigh) = cheaper(
                            exchanged(odd[v ^ unionTaps >> 2], unionTaps & 3) + SIMD4(repeating: metrics[2]),
                            exchanged(odd[v ^ bothTaps >> 2], bothTaps & 3) + SIMD4(repeating: metrics[3]))
                        next[v] = low
                        next[vectors &+ v] = high
                        decisions.storeBytes(of: bytes(isOddLow), toByteOffset: 4 &* v, as: SIMD4<Int8>.self)
                        decisions.storeBytes(
                            of: bytes(isOddHigh), toByteOffset: 4 &* (vectors &+ v), as: SIMD4<Int8>.self)
                    }
                    for v in 0..<vectors {
                        let (a, b) = (next[2 &* v], next[2 &* v &+ 1])
                        even[v] = SIMD4(a[0], a[2], b[0], b[2])
                        odd[v] = SIMD4(a[1], a[3], b[1], b[3])
                    }
                }
            }
        }
    }

    mutating func lower() {
        let least = min(even.map { $0.min() }.min() ?? 0, odd.map { $0.min() }.min() ?? 0)
        for v in even.indices {
            even[v] -= SIMD4(repeating: least)
            odd[v] -= SIMD4(repeating: least)
        }
    }

    var cheapest: Int {
        argmin(
            (0..<8 * even.count).map { state in
                let vector = state & 1 == 0 ? even[state / 8] : odd[state / 8]
                return vector[state / 2 % 4]
            })
    }
}

private func argmin(_ costs: [Float]) -> Int {
    costs.indices.min { (costs[$0], $0) < (costs[$1], $1) } ?? 0
}
