/// How the indices k of a trellis-quantized layer lie in planes.
///
/// A sample is k + 2^(n-1). Either one plane holds all of them, or two hold those chosen in states of union 0 and of union 1, each in
/// order; the latter saves bits at low rates, where the unions' frequencies differ. Indices beyond the n bits are the first or last
/// sample there, and what they are beyond it follows in a plane of its own, the overflow.
enum TrellisPlanes {
    /// Reads indices back, in order, and walks the trellis by them.
    struct Reader {
        /// The indices; where they are split, those of union 1 follow those of union 0. Some zeros follow both, so that a run may
        /// be walked before it is known to be there.
        private let samples: Plane.Samples
        private let isSplit: Bool
        private let overflow: Plane.Samples?
        private let bits: Int
        /// Where union 1 begins, and where all ends.
        private let ends: (Int, Int)
        private var places: (Int, Int)
        private var overflowPlace = 0

        /// - Throws: `MapperError.parameters` for planes that cannot be those of so many weights.
        init(_ planes: [Plane], count: Int) throws(MapperError) {
            let isSplit = planes.first?.samples.count != count
            let indices = planes.prefix(isSplit ? 2 : 1)
            guard let bits = indices.first?.bits, (2...16).contains(bits), indices.allSatisfy({ $0.bits == bits }),
                indices.reduce(0, { $0 + $1.samples.count }) == count, planes.count - indices.count <= 1
            else {
                let found = planes.map { "\($0.samples.count) of \($0.bits) bits" }.joined(separator: ", ")
                throw .parameters(
                    expected: "one or two planes of \(count) indices of 2 to 16 bits, and one of overflow", found: found
                )
            }
            self.bits = bits
            self.isSplit = isSplit
            samples =
                isSplit
                ? indices[0].samples.joined(to: indices[1].samples, zeros: TrellisSearch.runLength) : indices[0].samples
            overflow = planes.count > indices.count ? planes[planes.count - 1].samples : nil
            ends = (indices[0].samples.count, count)
            places = (0, isSplit ? ends.0 : 0)
        }

        /// Restores all weights, in their order.
        ///
        /// - Throws: `MapperError.parameters` where a plane is too short or too long.
        mutating func walkAll<Scalar: WeightScalar>(
            _ transitions: [UInt8], _ step: Float, into weights: UnsafeMutableBufferPointer<Scalar>
        ) throws(MapperError) {
            for start in stride(from: 0, to: weights.count, by: TrellisSearch.runLength) {
                let range = start..<min(start + TrellisSearch.runLength, weights.count)
                try walk(transitions, step, into: UnsafeMutableBufferPointer(rebasing: weights[range]))
            }
            try finish()
        }

        /// Restores the next weights; the state is 0 before the first.
        ///
        /// - Throws: `MapperError.parameters` where a plane ends too early.
        private mutating func walk<Scalar: WeightScalar>(
            _ transitions: [UInt8], _ step: Float, into weights: UnsafeMutableBufferPointer<Scalar>
        ) throws(MapperError) {
            precondition(weights.count <= TrellisSearch.runLength)
            let isWhole =
                switch samples {
                case .narrow(let samples): walk(samples, transitions, Double(step), into: weights)
                case .wide(let samples): walk(samples, transitions, Double(step), into: weights)
                }
            guard isWhole, places.0 <= ends.0, places.1 <= ends.1 else { throw Self.damaged }
        }

        /// - Throws: `MapperError.parameters` unless all planes were taken to their ends.
        private func finish() throws(MapperError) {
            guard places.0 == ends.0, !isSplit || places.1 == ends.1, overflowPlace == overflow?.count ?? 0 else {
                throw Self.damaged
            }
        }

        private static let damaged = MapperError.parameters(
            expected: "as many indices in each plane as the trellis takes", found: "others")

        private mutating func nextOverflow() -> Int32? {
            guard let overflow, overflowPlace < overflow.count else { return nil }
            defer { overflowPlace += 1 }
            return switch overflow {
            case .narrow(let samples): Int32(samples[overflowPlace])
            case .wide(let samples): Int32(samples[overflowPlace])
            }
        }

        @specialized(where Sample == UInt8, Scalar == Float)
        @specialized(where Sample == UInt16, Scalar == Float)
        @specialized(where Sample == UInt8, Scalar == Double)
        @specialized(where Sample == UInt16, Scalar == Double)
        private mutating func walk<Sample: BinScalar, Scalar: WeightScalar>(
            _ samples: [Sample], _ transitions: [UInt8], _ step: Double,
            into weights: UnsafeMutableBufferPointer<Scalar>
        ) -> Bool {
            // Copies of what the loop changes, which the compiler then keeps in registers.
            let middle = Int32(1) << Int32(bits - 1)
            let last = 2 * middle - 1
            let hasOverflow = overflow != nil
            var (even, odd) = places
            var state = 0
            var isWhole = true
            samples.withUnsafeBufferPointer { samples in
                transitions.withUnsafeBufferPointer { transitions in
                    func take(_ i: Int, _ sample: Int32) {
                        var k = sample &- middle
                        if hasOverflow, sample == 0 || sample == last {
                            guard let beyond = nextOverflow() else {
                                isWhole = false
                                return
                            }
                            k = sample == 0 ? k &- beyond : k &+ beyond
                        }
                        weights[i] = Scalar(Double(2 &* k &+ Int32(truncatingIfNeeded: state & 1)) * step)
                        state = Int(transitions[2 &* state &+ Int(k & 1)])
                    }
                    if isSplit {
                        for i in weights.indices {
                            let union = state & 1
                            // Both are read before it is known which, so that reading does not wait for the state.
                            let first = Int32(truncatingIfNeeded: samples[even])
                            let second = Int32(truncatingIfNeeded: samples[odd])
                            take(i, first ^ (first ^ second) & (0 &- Int32(truncatingIfNeeded: union)))
                            even &+= 1 &- union
                            odd &+= union
                        }
                    } else {
                        for i in weights.indices {
                            take(i, Int32(truncatingIfNeeded: samples[even &+ i]))
                        }
                        even += weights.count
                    }
                }
            }
            places = (even, odd)
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
