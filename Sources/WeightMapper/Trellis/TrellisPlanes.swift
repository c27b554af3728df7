/// How the indices k of a trellis-quantized layer lie in planes.
///
/// A sample is k + 2^(n-1). Either one plane holds all of them, or two hold those chosen in states of union 0 and of union 1, each in
/// order; the latter saves bits at low rates, where the unions' frequencies differ. Of an index beyond the n bits the sample is the
/// first or the last, and how far it is beyond follows after all indices, at the end of the last plane or in a plane of its own: as
/// samples that are added up to the first which is not 2^n - 1.
enum TrellisPlanes {
    /// Samples that say how far an index is beyond the n bits.
    static func digits(of excess: Int, bits: Int) -> [UInt16] {
        let top = (1 << bits) - 1
        return [UInt16](repeating: UInt16(top), count: excess / top) + [UInt16(excess % top)]
    }

    /// Reads indices back, in order, and walks the trellis by them.
    struct Reader {
        /// All planes' samples, with some zeros after two of them: a run may be walked before it is known to be there.
        private let samples: Plane.Samples
        private let isSplit: Bool
        private let bits: Int
        private let count: Int
        /// Where union 1 begins, and where all ends.
        private let ends: (Int, Int)
        private var places: (Int, Int)
        /// The next sample of what is beyond.
        private var beyond: Int

        /// - Throws: `MapperError.parameters` for planes that cannot be those of so many weights.
        init(_ planes: [Plane], count: Int) throws(MapperError) {
            let sizes = planes.map(\.samples.count)
            let total = sizes.reduce(0, +)
            guard let bits = planes.first?.bits, (2...16).contains(bits), planes.count <= 2, total >= count,
                planes.allSatisfy({ $0.bits == bits }), planes.count == 1 || sizes[0] <= count
            else {
                let found = planes.map { "\($0.samples.count) of \($0.bits) bits" }.joined(separator: ", ")
                throw .parameters(expected: "one or two planes of \(count) indices of 2 to 16 bits", found: found)
            }
            self.bits = bits
            self.count = count
            isSplit = sizes[0] < count
            samples =
                planes.count == 1 && !isSplit
                ? planes[0].samples : planes[0].samples.joined(to: planes[1].samples, zeros: TrellisSearch.runLength)
            ends = (min(sizes[0], count), total)
            places = (0, isSplit ? ends.0 : 0)
            beyond = count
        }

        /// Restores the next points of the grid, 2k + union; the state is 0 before the first.
        ///
        /// - Throws: `MapperError.parameters` where a plane ends too early.
        mutating func walk(_ transitions: [UInt8], into points: inout [Int32], _ range: Range<Int>) throws(MapperError)
        {
            precondition(range.count <= TrellisSearch.runLength && range.upperBound <= points.count)
            let isWhole =
                switch samples {
                case .narrow(let samples): walk(samples, transitions, into: &points, range)
                case .wide(let samples): walk(samples, transitions, into: &points, range)
                }
            guard isWhole, places.0 <= ends.0, places.1 <= count else { throw Self.damaged }
        }

        /// - Throws: `MapperError.parameters` unless all planes were taken to their ends.
        func finish() throws(MapperError) {
            guard places.0 == ends.0, !isSplit || places.1 == count, beyond == ends.1 else { throw Self.damaged }
        }

        private static let damaged = MapperError.parameters(
            expected: "as many indices in each plane as the trellis takes", found: "others")

        @specialized(where Sample == UInt8)
        @specialized(where Sample == UInt16)
        private mutating func walk<Sample: BinScalar>(
            _ samples: [Sample], _ transitions: [UInt8], into points: inout [Int32], _ range: Range<Int>
        ) -> Bool {
            // Copies of what the loop changes, which the compiler then keeps in registers.
            let middle = Int32(1) << Int32(bits - 1)
            let last = 2 * middle - 1
            let mayExceed = ends.1 > count
            let end = ends.1
            var (even, odd) = places
            var next = beyond
            var state = 0
            var isWhole = true
            samples.withUnsafeBufferPointer { samples in
                transitions.withUnsafeBufferPointer { transitions in
                    points.withUnsafeMutableBufferPointer { points in
                        func take(_ i: Int, _ sample: Int32) {
                            var k = sample &- middle
                            if mayExceed, sample == 0 || sample == last {
                                var excess: Int32 = 0
                                var digit = last
                                while digit == last {
                                    // Far fewer digits reach the limit of what a step allows than a damaged plane may hold.
                                    guard next < end, excess < 1 << 24 else {
                                        isWhole = false
                                        return
                                    }
                                    digit = Int32(truncatingIfNeeded: samples[next])
                                    excess &+= digit
                                    next &+= 1
                                }
                                k = sample == 0 ? k &- excess : k &+ excess
                            }
                            points[i] = 2 &* k &+ Int32(truncatingIfNeeded: state & 1)
                            state = Int(transitions[2 &* state &+ Int(k & 1)])
                        }
                        if isSplit {
                            for i in range {
                                let union = state & 1
                                // Both are read before it is known which, so that reading does not wait for the state.
                                let first = Int32(truncatingIfNeeded: samples[even])
                                let second = Int32(truncatingIfNeeded: samples[odd])
                                take(i, first ^ (first ^ second) & (0 &- Int32(truncatingIfNeeded: union)))
                                even &+= 1 &- union
                                odd &+= union
                            }
                        } else {
                            let first = even &- range.lowerBound
                            for i in range { take(i, Int32(truncatingIfNeeded: samples[first &+ i])) }
                            even += range.count
                        }
                    }
                }
            }
            places = (even, odd)
            beyond = next
            return isWhole
        }
    }
}

extension Plane.Samples {
    /// These samples, then others of the same width, then zeros.
    fileprivate func joined(to other: Plane.Samples, zeros: Int) -> Plane.Samples {
        switch (self, other) {
        case (.narrow(let a), .narrow(let b)): .narrow(a + b + [UInt8](repeating: 0, count: zeros))
        case (.wide(let a), .wide(let b)): .wide(a + b + [UInt16](repeating: 0, count: zeros))
        // Planes of one depth have one width.
        default: self
        }
    }
}
