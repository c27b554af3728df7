// Inner loops that measure magnitudes, written so that they vectorize on every x86-64 and arm64.

extension MagnitudeStatistics {
    /// Raises the largest magnitudes of the groups of `values`, the first of which is number `start`.
    ///
    /// - Returns: the largest of all, as ordered bits; beyond infinity's where one is NaN.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    static func widen<Scalar: WeightScalar>(
        _ largest: inout [Scalar.OrderedBits], to values: UnsafeBufferPointer<Scalar>, at start: Int,
        _ groups: PrecisionGroups, _: Scalar.Type
    ) -> Scalar.OrderedBits {
        var most: Scalar.OrderedBits = 0
        largest.withUnsafeMutableBufferPointer { largest in
            groups.forEachRun(in: start..<start + values.count) { run, group in
                let run = UnsafeBufferPointer(rebasing: values[run.lowerBound - start..<run.upperBound - start])
                if groups.isInterleaved {
                    let largest = UnsafeMutableBufferPointer(rebasing: largest[group..<group + run.count])
                    for i in run.indices {
                        let bits = run[i].magnitude.orderedBits
                        largest[i] = bits > largest[i] ? bits : largest[i]
                        most = bits > most ? bits : most
                    }
                } else {
                    var found: Scalar.OrderedBits = 0
                    for value in run {
                        let bits = value.magnitude.orderedBits
                        found = bits > found ? bits : found
                    }
                    largest[group] = found > largest[group] ? found : largest[group]
                    most = found > most ? found : most
                }
            }
        }
        return most
    }

    /// The numbers that have these ordered bits.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    static func numbers<Scalar: WeightScalar>(_ bits: [Scalar.OrderedBits], _: Scalar.Type) -> [Double] {
        bits.map { Double(Scalar(orderedBits: $0)) }
    }
}

/// Sums of |x| and of its square, for each group, in units of the group.
struct MagnitudeSums {
    /// Sum of |x| / unit.
    private(set) var first: [Double]
    /// Sum of (|x| / unit)^2.
    private(set) var second: [Double]

    /// Sums that are added up side by side: in a fixed order, so that all machines get the same, and yet in vectors.
    private static var lanes: Int { 32 }

    init(groups: Int) {
        first = Array(repeating: 0, count: groups)
        second = Array(repeating: 0, count: groups)
    }

    /// Adds `values`, the first of which is number `start`.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    mutating func add<Scalar: WeightScalar>(
        _ values: UnsafeBufferPointer<Scalar>, at start: Int, _ groups: PrecisionGroups, _ units: [Double]
    ) {
        let lanes = Self.lanes
        first.withUnsafeMutableBufferPointer { first in
            second.withUnsafeMutableBufferPointer { second in
                withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * lanes) { sums in
                    groups.forEachRun(in: start..<start + values.count) { run, group in
                        let run = UnsafeBufferPointer(rebasing: values[run.lowerBound - start..<run.upperBound - start])
                        if groups.isInterleaved {
                            for i in run.indices {
                                let x = Double(run[i].magnitude) / units[group + i]
                                first[group + i] += x
                                second[group + i] += x * x
                            }
                            return
                        }
                        let unit = units[group]
                        sums.initialize(repeating: 0)
                        let whole = run.count / lanes * lanes
                        for base in stride(from: 0, to: whole, by: lanes) {
                            for lane in 0..<lanes {
                                let x = Double(run[base + lane].magnitude) / unit
                                sums[lane] += x
                                sums[lanes + lane] += x * x
                            }
                        }
                        for i in whole..<run.count {
                            let x = Double(run[i].magnitude) / unit
                            sums[i - whole] += x
                            sums[lanes + i - whole] += x * x
                        }
                        first[group] += sums[..<lanes].reduce(0, +)
                        second[group] += sums[lanes...].reduce(0, +)
                    }
                }
            }
        }
    }
}
