import CTrellis

/// Reads the indices of a trellis-quantized layer from its planes, in order, and walks the trellis by them.
///
/// `TrellisPlanes` says what planes hold. Several steps are taken at once where samples are bytes, by `TrellisTables`.
final class TrellisReader<Sample: BinScalar> {
    /// The most points that are read at once: what that needs stays in the first cache.
    static var most: Int { 1 << 12 }

    private let middle: Int32
    private let last: Sample
    private let isSplit: Bool
    private let tables: TrellisTables
    /// Samples of union 0, or of both; those of union 1; how far indices are beyond the bits of a sample.
    private let even, odd, beyond: UnsafeBufferPointer<Sample>
    private var (evenPlace, oddPlace, beyondPlace) = (0, 0, 0)
    private var state = 0
    /// The samples that were read last, and the unions of their states.
    private let samples: UnsafeMutablePointer<Sample>
    private let unions: UnsafeMutablePointer<UInt8>
    /// Which of these are beyond the bits of a sample, and by how much.
    private let excesses: UnsafeMutablePointer<Excess>
    private var excessCount = 0

    private struct Excess {
        let place, amount: Int32
    }

    /// - Parameters:
    ///   - planes: one or two, of samples of this type.
    ///   - count: number of weights.
    /// - Throws: `MapperError.parameters` for planes that cannot be those of so many weights.
    init(_ planes: [PlaneView], count: Int, _ trellis: Trellis) throws(MapperError) {
        let sizes = planes.map(\.count)
        guard let bits = planes.first?.bits, (2...16).contains(bits), planes.count <= 2,
            planes.allSatisfy({ $0.bits == bits }), sizes.reduce(0, +) >= count, planes.count == 1 || sizes[0] <= count
        else {
            let found = planes.map { "\($0.count) of \($0.bits) bits" }.joined(separator: ", ")
            throw .parameters(expected: "one or two planes of \(count) indices of 2 to 16 bits", found: found)
        }
        middle = Int32(1) << Int32(bits - 1)
        last = Sample(truncatingIfNeeded: 2 * middle - 1)
        isSplit = sizes[0] < count
        tables = .of(trellis)
        let parts = planes.map { $0.typed(as: Sample.self) }
        even = UnsafeBufferPointer(rebasing: parts[0][..<min(sizes[0], count)])
        let oddCount = count - even.count
        odd = UnsafeBufferPointer(rebasing: parts[parts.count - 1][..<oddCount])
        beyond = UnsafeBufferPointer(rebasing: parts[parts.count - 1][(parts.count == 1 ? count : oddCount)...])
        // Unions lie behind the samples, so that one address does for both.
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: Self.most * (MemoryLayout<Sample>.size + 1), alignment: 64)
        samples = memory.bindMemory(to: Sample.self, capacity: Self.most)
        unions = (memory + Self.most * MemoryLayout<Sample>.size).bindMemory(to: UInt8.self, capacity: Self.most)
        excesses = .allocate(capacity: Self.most)
    }

    deinit {
        UnsafeMutableRawPointer(samples).deallocate()
        excesses.deallocate()
    }

    /// Whether every point fits 16 bits, together with as many whole indices as a prediction may add.
    func isSmall(adding centers: Int32) -> Bool {
        guard Sample.bitWidth == 8 else { return false }
        // What is beyond is the sum of samples up to the first that is not the largest.
        var (longest, length) = (0, 0)
        for digit in beyond {
            length = digit == last ? length + 1 : 0
            longest = max(longest, length)
        }
        return 2 * (Int(middle) + (longest + 1) * Int(last) + Int(centers)) < Int(Int16.max)
    }

    /// Begins a run: the next state is 0.
    func begin() { state = 0 }

    /// Restores the next points of the grid, 2k + union.
    ///
    /// - Parameter points: receives them; at most `most`.
    /// - Throws: `MapperError.parameters` where a plane ends too early.
    func read<Point: FixedWidthInteger & SignedInteger>(
        _ points: UnsafeMutableBufferPointer<Point>
    ) throws(MapperError) {
        precondition(points.count <= Self.most)
        excessCount = 0
        guard Sample.bitWidth > 8 ? take(0..<points.count) : isSplit ? takeSplit(points.count) : takeWhole(points.count)
        else { throw Self.damaged }
        if Point.bitWidth == 16, Sample.bitWidth == 8, let target = points.baseAddress {
            let samples = UnsafeRawPointer(samples).assumingMemoryBound(to: UInt8.self)
            let target = UnsafeMutableRawPointer(target).assumingMemoryBound(to: Int16.self)
            wc_trellis_points(samples, unions, points.count, Int16(2 * middle), target)
        } else {
            let zero = Point(truncatingIfNeeded: 2 * middle)
            for i in points.indices {
                points[i] = Point(truncatingIfNeeded: samples[i]) &<< 1 &- zero &+ Point(truncatingIfNeeded: unions[i])
            }
        }
        for excess in UnsafeBufferPointer(start: excesses, count: excessCount) {
            points[Int(excess.place)] &+= Point(truncatingIfNeeded: 2 &* excess.amount)
        }
    }

    /// - Throws: `MapperError.parameters` unless all planes were taken to their ends.
    func finish() throws(MapperError) {
        guard evenPlace == even.count, oddPlace == odd.count, beyondPlace == beyond.count else { throw Self.damaged }
    }

    private static var damaged: MapperError {
        .parameters(expected: "as many indices in each plane as the trellis takes", found: "others")
    }

    /// Takes samples one by one.
    ///
    /// - Returns: whether they were there.
    private func take(_ range: Range<Int>) -> Bool {
        for place in range {
            let union = state & 1
            let sample: Sample
            if isSplit, union == 1 {
                guard oddPlace < odd.count else { return false }
                sample = odd[oddPlace]
                oddPlace += 1
            } else {
                guard evenPlace < even.count else { return false }
                sample = even[evenPlace]
                evenPlace += 1
            }
            // The middle is even.
            var parity = Int(truncatingIfNeeded: sample & 1)
            if !beyond.isEmpty, sample == 0 || sample == last {
                guard let excess = takeExcess(at: place, isBelow: sample == 0) else { return false }
                parity ^= excess
            }
            samples[place] = sample
            unions[place] = UInt8(truncatingIfNeeded: union)
            state = Int(tables.next[2 * state + parity])
        }
        return true
    }

    /// Takes how far an index is beyond the bits of a sample.
    ///
    /// - Returns: its parity; `nil` where it is not there.
    @inline(__always)
    private func takeExcess(at place: Int, isBelow: Bool) -> Int? {
        var excess: Int32 = 0
        var digit = last
        while digit == last {
            // Far fewer digits reach the limit of what a step allows than a damaged plane may hold.
            guard beyondPlace < beyond.count, excess < 1 << 24 else { return nil }
            digit = beyond[beyondPlace]
            excess &+= Int32(truncatingIfNeeded: digit)
            beyondPlace &+= 1
        }
        excesses[excessCount] = Excess(place: Int32(truncatingIfNeeded: place), amount: isBelow ? 0 &- excess : excess)
        excessCount &+= 1
        return Int(excess & 1)
    }
}

// MARK: - Several at once

/// A one in each byte.
private let ones: UInt64 = 0x0101_0101_0101_0101

/// The lowest bits of eight bytes, the first lowest.
@inline(__always)
private func lowestBits(_ bytes: UInt64) -> UInt64 { ((bytes & ones) &* 0x0102_0408_1020_4080) &>> 56 }

/// The highest bit of each of eight bytes that are 0 or `last`.
@inline(__always)
private func anyExtreme(_ bytes: UInt64, _ last: UInt64) -> UInt64 {
    func isNotZero(_ bytes: UInt64) -> UInt64 { ((bytes & 0x7f7f_7f7f_7f7f_7f7f) &+ 0x7f7f_7f7f_7f7f_7f7f) | bytes }
    return ~(isNotZero(bytes) & isNotZero(bytes ^ last)) & 0x8080_8080_8080_8080
}

/// Which of eight bytes are 0 or `last`, a bit for each.
@inline(__always)
private func extremes(_ bytes: UInt64, _ last: UInt64) -> UInt64 { lowestBits(anyExtreme(bytes, last) &>> 7) }

extension TrellisReader {
    /// Takes samples of one plane, eight at a time.
    private func takeWhole(_ count: Int) -> Bool {
        guard even.count - evenPlace >= count, let start = even.baseAddress else { return take(0..<count) }
        let source = UnsafeRawPointer(start + evenPlace)
        let (target, flags) = (UnsafeMutableRawPointer(samples), UnsafeMutableRawPointer(unions))
        let (ofState, ofParities, bytes) = (tables.eightOfState, tables.eightOfParities, TrellisTables.bytesOfBits)
        let lasts = UInt64(truncatingIfNeeded: last) &* ones
        let mayExceed = !beyond.isEmpty
        var state = UInt16(truncatingIfNeeded: state)
        var place = 0
        while place &+ 8 <= count {
            let eight = source.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            var parities = Int(truncatingIfNeeded: lowestBits(eight))
            if mayExceed {
                var found = extremes(eight, lasts)
                while found != 0 {
                    let first = found.trailingZeroBitCount
                    found &= found &- 1
                    let isBelow = (eight &>> UInt64(truncatingIfNeeded: 8 &* first)) & 255 == 0
                    guard let excess = takeExcess(at: place &+ first, isBelow: isBelow) else { return false }
                    parities ^= excess &<< first
                }
            }
            let entry = ofState[Int(state)] ^ ofParities[parities]
            target.storeBytes(of: eight, toByteOffset: place, as: UInt64.self)
            flags.storeBytes(of: bytes[Int(entry &>> 8)], toByteOffset: place, as: UInt64.self)
            state = entry & 255
            place &+= 8
        }
        self.state = Int(state)
        evenPlace += place
        return take(place..<count)
    }

    /// Takes samples of the planes of both unions, four at a time.
    private func takeSplit(_ count: Int) -> Bool {
        let (evens, odds) = (UnsafeRawPointer(even.baseAddress), UnsafeRawPointer(odd.baseAddress))
        guard let evens, let odds else { return take(0..<count) }
        let lasts = UInt64(truncatingIfNeeded: last) &* ones
        let mayExceed = !beyond.isEmpty
        var steps = SplitSteps(
            tables: tables.four, even: evens + evenPlace, odd: odds + oddPlace,
            target: UnsafeMutableRawPointer(samples),
            coming: UInt64(tables.unionsOfState[state]))
        let window = SplitSteps.window
        let (lastEven, lastOdd) = (evens + (even.count - window), odds + (odd.count - window))
        let lastTarget = UnsafeMutableRawPointer(samples) + (count - window)
        while steps.target <= lastTarget, steps.even <= lastEven, steps.odd <= lastOdd {
            steps.look()
            guard mayExceed, steps.hasExtremes(lasts) else {
                for _ in 0..<window / 4 { _ = steps.take(Self.most) }
                continue
            }
            var (e, f) = steps.extremes(lasts)
            for _ in 0..<window / 4 {
                let odd: UInt64
                if (e | f) & 15 == 0 {
                    odd = steps.take(Self.most)
                } else {
                    // One by one.
                    (evenPlace, oddPlace) = (steps.even - evens, steps.odd - odds)
                    state = Int(tables.stateOfUnions[Int(steps.coming)])
                    let (place, before) = (steps.target - UnsafeMutableRawPointer(samples), oddPlace)
                    guard take(place..<place &+ 4) else { return false }
                    odd = UInt64(truncatingIfNeeded: oddPlace &- before)
                    steps.coming = UInt64(tables.unionsOfState[state])
                    steps.skip(odd: odd)
                }
                e &>>= 4 &- odd
                f &>>= odd
            }
        }
        (evenPlace, oddPlace) = (steps.even - evens, steps.odd - odds)
        state = Int(tables.stateOfUnions[Int(steps.coming)])
        return take((steps.target - UnsafeMutableRawPointer(samples))..<count)
    }
}

/// Four steps at a time by the planes of both unions: few enough variables to stay in registers.
private struct SplitSteps {
    /// Samples of a plane within which steps are taken, after a look at them, before the next.
    static let window = 32

    let tables: UnsafeRawPointer
    /// The next samples of both planes, and where what is taken goes.
    var even, odd: UnsafeRawPointer
    var target: UnsafeMutableRawPointer
    /// The unions from the next on as long as indices are even.
    var coming: UInt64
    /// The parities of the next samples of both planes, where `FourSteps.planes` has them.
    private var (evenParities, oddParities): (UInt64, UInt64) = (0, 0)

    init(
        tables: UnsafeRawPointer, even: UnsafeRawPointer, odd: UnsafeRawPointer, target: UnsafeMutableRawPointer,
        coming: UInt64
    ) {
        (self.tables, self.even, self.odd, self.target, self.coming) = (tables, even, odd, target, coming)
    }

    /// Finds the parities of the next `window` samples of each plane.
    @inline(__always)
    mutating func look() {
        (evenParities, oddParities) = (0, 0)
        for part in 0..<4 {
            let shift = UInt64(truncatingIfNeeded: 8 &* part)
            evenParities |= lowestBits(eight(even, part)) &<< (shift &+ 4)
            oddParities |= lowestBits(eight(odd, part)) &<< (shift &+ 8)
        }
    }

    /// Whether any of those samples is 0 or the last.
    @inline(__always)
    func hasExtremes(_ lasts: UInt64) -> Bool {
        (0..<4).reduce(0) { $0 | anyExtreme(eight(even, $1), lasts) | anyExtreme(eight(odd, $1), lasts) } != 0
    }

    /// Which of those samples are, a bit for each.
    func extremes(_ lasts: UInt64) -> (even: UInt64, odd: UInt64) {
        (0..<4).reduce((0, 0)) {
            let shift = UInt64(truncatingIfNeeded: 8 &* $1)
            return (
                $0.0 | (WeightMapper.extremes(eight(even, $1), lasts) &<< shift),
                $0.1 | (WeightMapper.extremes(eight(odd, $1), lasts) &<< shift)
            )
        }
    }

    @inline(__always)
    private func eight(_ samples: UnsafeRawPointer, _ part: Int) -> UInt64 {
        samples.loadUnaligned(fromByteOffset: 8 &* part, as: UInt64.self)
    }

    /// Takes four samples, and their unions to `distance` behind them.
    ///
    /// - Returns: how many of them are of the plane of union 1.
    @inline(__always)
    mutating func take(_ distance: Int) -> UInt64 {
        let index = Int(truncatingIfNeeded: (evenParities & 0xf0) | (oddParities & 0xf00) | (coming & 15))
        let entry = UInt64(tables.load(fromByteOffset: TrellisTables.FourSteps.planes &+ 2 &* index, as: UInt16.self))
        let both =
            UInt64(even.loadUnaligned(as: UInt32.self)) | UInt64(odd.loadUnaligned(as: UInt32.self)) &<< 32
        let unions = Int(truncatingIfNeeded: entry &>> 8 & 15)
        let shifts = tables.load(fromByteOffset: TrellisTables.FourSteps.unions &+ 8 &* unions, as: UInt64.self)
        // A shift takes the last six bits of how far.
        target.storeBytes(of: UInt8(truncatingIfNeeded: both &>> shifts), as: UInt8.self)
        target.storeBytes(of: UInt8(truncatingIfNeeded: both &>> (shifts &>> 8)), toByteOffset: 1, as: UInt8.self)
        target.storeBytes(of: UInt8(truncatingIfNeeded: both &>> (shifts &>> 16)), toByteOffset: 2, as: UInt8.self)
        target.storeBytes(of: UInt8(truncatingIfNeeded: both &>> (shifts &>> 24)), toByteOffset: 3, as: UInt8.self)
        target.storeBytes(of: UInt32(truncatingIfNeeded: shifts &>> 32), toByteOffset: distance, as: UInt32.self)
        let next = tables.load(
            fromByteOffset: TrellisTables.FourSteps.even &+ Int(truncatingIfNeeded: coming), as: UInt8.self)
        coming = UInt64(next) ^ (entry & 255)
        let count = entry &>> 12
        skip(odd: count)
        return count
    }

    /// Goes past four samples, so many of them of the plane of union 1.
    @inline(__always)
    mutating func skip(odd count: UInt64) {
        evenParities &>>= 4 &- count
        oddParities &>>= count
        even += Int(truncatingIfNeeded: 4 &- count)
        odd += Int(truncatingIfNeeded: count)
        target += 4
    }
}
