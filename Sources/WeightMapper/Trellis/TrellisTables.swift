import Synchronization

/// What lets a decoder take several steps through a trellis at once.
///
/// States and unions are sums modulo 2 of bits: of the state before and of the parities of the indices. So what eight parities do to
/// a state is the exclusive or of what they do to state 0 and of what eight even indices do to that state. Where the union decides
/// from which plane an index comes, four steps depend on the next four parities of each plane and on the next four unions that the
/// state would give without odd indices; a state is a number made of the latter here.
///
/// Tables live as long as the program.
final class TrellisTables: Sendable {
    /// The state after one, by 2 * state + parity.
    nonisolated(unsafe) let next: UnsafePointer<UInt8>
    /// By state: after eight even indices the state, and above it the eight unions, the first lowest.
    nonisolated(unsafe) let eightOfState: UnsafePointer<UInt16>
    /// The same of state 0, by eight parities, the first lowest.
    nonisolated(unsafe) let eightOfParities: UnsafePointer<UInt16>
    /// By the number of a state: unions from it on as long as indices are even, the first lowest; and by these the number.
    nonisolated(unsafe) let unionsOfState, stateOfUnions: UnsafePointer<UInt8>
    /// What four steps by the planes of both unions need, in one piece of memory: `FourSteps` says where.
    nonisolated(unsafe) let four: UnsafeRawPointer
    /// By eight bits, the first lowest: a byte for each.
    nonisolated(unsafe) static let bytesOfBits: UnsafePointer<UInt64> = table(256) { bits in
        (0..<8).reduce(0) { $0 | UInt64(bits >> $1 & 1) << UInt64(8 * $1) }
    }

    /// Places in the memory of `four`.
    enum FourSteps {
        /// By four unions as of `unionsOfState`, four parities of the plane of union 0 shifted by 4, and four of union 1 shifted by 8,
        /// 16 bits: what the chosen parities add to `even`; at bit 8 the four unions; at bit 12 how many of them are 1.
        static let planes = 0
        /// By unions as of `unionsOfState`, a byte: those after four even indices.
        static let even = 2 << 12
        /// By the four unions, 64 bits: a byte for each sample that is taken, by how many bits it is to be shifted in four samples of
        /// the plane of union 0 below four of union 1; above them a byte for each union.
        static let unions = even + 256
        static let size = unions + 16 * 8
    }

    private static let made = Mutex<[Int: TrellisTables]>([:])

    /// The tables of a trellis.
    ///
    /// - Complexity: some ten thousand steps, once for each trellis.
    static func of(_ trellis: Trellis) -> TrellisTables {
        made.withLock { made in
            if let tables = made[trellis.states] { return tables }
            let tables = TrellisTables(trellis)
            made[trellis.states] = tables
            return tables
        }
    }

    private static func table<Entry: BitwiseCopyable>(_ count: Int, _ entry: (Int) -> Entry) -> UnsafePointer<Entry> {
        let memory = UnsafeMutablePointer<Entry>.allocate(capacity: count)
        for index in 0..<count { (memory + index).initialize(to: entry(index)) }
        return UnsafePointer(memory)
    }

    private init(_ trellis: Trellis) {
        let states = trellis.states
        /// State and unions after some steps.
        func walk(_ state: Int, _ parities: Int, steps: Int) -> (state: Int, unions: Int) {
            (0..<steps).reduce((state, 0)) { now, step in
                (trellis.next(now.0, parity: parities >> step & 1), now.1 | (now.0 & 1) << step)
            }
        }
        func eight(_ state: Int, _ parities: Int) -> UInt16 {
            let (next, unions) = walk(state, parities, steps: 8)
            return UInt16(unions << 8 | next)
        }
        let numbers = (0..<states).map { walk($0, 0, steps: states.trailingZeroBitCount).unions }
        var statesByNumber = [Int](repeating: 0, count: states)
        for (state, number) in numbers.enumerated() { statesByNumber[number] = state }
        precondition(Set(numbers).count == states, "unions tell the states of every trellis apart")
        next = Self.table(2 * states) { UInt8(trellis.next($0 >> 1, parity: $0 & 1)) }
        eightOfState = Self.table(states) { eight($0, 0) }
        eightOfParities = Self.table(256) { eight(0, $0) }
        unionsOfState = Self.table(states) { UInt8(numbers[$0]) }
        stateOfUnions = Self.table(states) { UInt8(statesByNumber[$0]) }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: FourSteps.size, alignment: 64)
        for index in 0..<1 << 12 where index & 15 < states {
            var (state, even, odd) = (statesByNumber[index & 15], index >> 4 & 15, index >> 8)
            var (unions, parities) = (0, 0)
            for step in 0..<4 {
                let union = state & 1
                let parity = (union == 1 ? odd : even) & 1
                if union == 1 { odd >>= 1 } else { even >>= 1 }
                unions |= union << step
                parities |= parity << step
                state = trellis.next(state, parity: parity)
            }
            let added = numbers[walk(0, parities, steps: 4).state]
            memory.storeBytes(
                of: UInt16(unions.nonzeroBitCount << 12 | unions << 8 | added),
                toByteOffset: FourSteps.planes + 2 * index, as: UInt16.self)
        }
        for state in 0..<states {
            memory.storeBytes(
                of: UInt8(numbers[walk(state, 0, steps: 4).state]), toByteOffset: FourSteps.even + numbers[state],
                as: UInt8.self)
        }
        for unions in 0..<16 {
            var taken = (0, 0)
            let shifts = (0..<4).reduce(UInt64(0)) { shifts, place in
                let isOdd = unions >> place & 1 == 1
                defer { isOdd ? (taken.1 += 1) : (taken.0 += 1) }
                return shifts | UInt64(8 * (isOdd ? 4 + taken.1 : taken.0)) << UInt64(8 * place)
            }
            memory.storeBytes(
                of: shifts | Self.bytesOfBits[unions] << 32, toByteOffset: FourSteps.unions + 8 * unions,
                as: UInt64.self)
        }
        four = UnsafeRawPointer(memory)
    }
}
