import CTrellis
import Glibc

/// Linear prediction of each weight by those before it in its channel, as audio codecs predict a sample by those before.
///
/// Filter banks, and layers that read what such banks give, are smooth along their inputs: what is left after prediction takes a
/// half to two thirds of the bits. Layers of other kinds gain nothing and are not predicted. Weights then follow each other place by
/// place (`WeightOrder`), so that all that predict a place are known before any weight of it is chosen.
///
/// Source: N. Levinson, "The Wiener RMS error criterion in filter design and prediction", J. Math. Phys. 25 (1946), for the
/// coefficients.
public struct WeightPrediction: Sendable, Hashable {
    /// Number of weights that predict one, 1...4, those `lag`, 2 * `lag` and so on places before it in its channel.
    public let order: Int
    /// Places from a weight to the next that predicts it: its neighbor along one of the layer's axes.
    public let lag: Int
    /// Coefficients in 64ths: the first of each channel, then the second of each, ...
    let coefficients: [Int8]

    /// Channels of the layer.
    var channelCount: Int { coefficients.count / order }

    /// Largest number of weights that predict one.
    static let mostOrders = 4
    /// Largest magnitude of a prediction, in whole indices; indices of a predicted layer fit 16 bits.
    static let largest: Int32 = 8191
    /// Fewer channels leave the trellis too little room: its ways end with each place.
    static let leastChannels = 32
    /// A place is a run of the trellis.
    static let mostChannels = TrellisSearch.runLength

    /// From a packed file.
    ///
    /// - Throws: `MapperError.parameters` for an order or lag that such a layer cannot have.
    init(order: Int, lag: Int, _ coefficients: [Int8], _ geometry: LayerGeometry) throws(MapperError) {
        let length = WeightOrder.channelLength(geometry)
        guard (1...Self.mostOrders).contains(order), lag >= 1, lag < length, WeightOrder.canSort(geometry),
            geometry.channels.count <= Self.mostChannels
        else {
            throw .parameters(
                expected: "prediction by 1 to \(Self.mostOrders) weights less than \(length) places before, in at most "
                    + "\(Self.mostChannels) channels",
                found: "by \(order), \(lag) places before, in \(geometry.channels.count)")
        }
        precondition(coefficients.count == order * geometry.channels.count)
        (self.order, self.lag, self.coefficients) = (order, lag, coefficients)
    }

    /// What the weights of a place lie around, in whole indices.
    ///
    /// - Parameters:
    ///   - place: number of the place in its channel.
    ///   - points: grid points of the places before, place by place.
    ///   - centers: receives one for each channel.
    func predict(
        _ place: Int, from points: UnsafePointer<Int32>, into centers: UnsafeMutableBufferPointer<Int32>
    ) {
        let channels = centers.count
        coefficients.withUnsafeBufferPointer { coefficients in
            for channel in 0..<channels {
                var sum = 64
                for tap in 0..<min(order, place / lag) {
                    let point = points[(place &- (tap &+ 1) &* lag) &* channels &+ channel]
                    sum &+= Int(coefficients[tap &* channels &+ channel]) &* Int(point)
                }
                // A point is two indices, a coefficient counts 64ths.
                let center = sum >> 7
                centers[channel] = max(-Self.largest, min(Self.largest, Int32(truncatingIfNeeded: center)))
            }
        }
    }

    /// Adds to the points of a place, of 16 bits, twice what `predict` finds.
    ///
    /// - Parameters:
    ///   - place: number of the place in its channel.
    ///   - points: grid points of the place, one for each channel; those of the places before lie before them.
    ///   - coefficients: `wideCoefficients`.
    func addCenters(_ place: Int, to points: UnsafeMutablePointer<Int16>, _ coefficients: UnsafePointer<Int16>) {
        wc_trellis_add_centers(
            points, channelCount, lag * channelCount, min(order, place / lag), coefficients, Self.largest)
    }

    /// The coefficients in 16 bits.
    var wideCoefficients: [Int16] { coefficients.map { Int16($0) } }
}

// MARK: - Choosing

extension WeightPrediction {
    /// A layer's prediction with the bits of what it leaves, as `WeightClasses` counts them; `nil` where the layer's shape or the
    /// size of its weights does not allow one, or some of its channels tell that it does not pay.
    ///
    /// - Parameters:
    ///   - positions: weights in steps, channel by channel.
    ///   - magnitude: the largest of these.
    ///   - bits: what the layer takes without prediction.
    static func best(
        _ positions: [Float], _ geometry: LayerGeometry, largest magnitude: Float, below bits: Double
    ) -> WeightPrediction? {
        let (channels, length) = (geometry.channels.count, WeightOrder.channelLength(geometry))
        guard WeightOrder.canSort(geometry), (leastChannels...mostChannels).contains(channels), length >= 8,
            magnitude < Float(largest)
        else { return nil }
        // Some channels tell which lag and order are best, and whether any is.
        let every = max(channels / 64, 1)
        let some = stride(from: 0, to: channels, by: every)
        var best: (bits: Double, lag: Int, order: Int)?
        for lag in geometry.neighborDistances {
            let filters = some.map { Filters(positions, $0 * length..<($0 + 1) * length, lag: lag) }
            for order in 1...mostOrders where order * lag < length {
                let energy = filters.reduce(0) { $0 + $1.energies[order] } / Double(filters.count)
                let found = WeightClasses.bits(energy: energy, positions.count) + 7 * Double(order * channels)
                if found < best?.bits ?? .infinity { best = (found, lag, order) }
            }
        }
        guard let best, best.bits < bits - 0.03 * Double(positions.count) - 256 else { return nil }
        var coefficients = [Int8](repeating: 0, count: best.order * channels)
        for channel in 0..<channels {
            let filters = Filters(positions, channel * length..<(channel + 1) * length, lag: best.lag)
            for (tap, value) in filters.coefficients[best.order].enumerated() {
                coefficients[tap * channels + channel] = Int8(max(-128, min(127, (64 * value).rounded())))
            }
        }
        return try? WeightPrediction(order: best.order, lag: best.lag, coefficients, geometry)
    }

    /// The best filters of each order for one channel, by Levinson's recursion.
    private struct Filters {
        /// Mean squared error of what each order leaves, in squared steps.
        var energies: [Double]
        var coefficients: [[Double]] = [[]]

        init(_ positions: [Float], _ range: Range<Int>, lag: Int) {
            // Points are a quantizer's: their errors are in what predicts.
            var products = (0...mostOrders).map { delay in
                guard delay * lag < range.count else { return 0.0 }
                return positions.withUnsafeBufferPointer { positions in
                    var sum = 0.0
                    for i in (range.lowerBound + delay * lag)..<range.upperBound {
                        sum += Double(positions[i] * positions[i - delay * lag])
                    }
                    return sum / Double(range.count)
                }
            }
            let clean = products[0]
            products[0] += WeightClasses.noise
            var error = products[0]
            energies = [clean]
            var taps: [Double] = []
            for order in 1...mostOrders {
                let left = taps.enumerated().reduce(products[order]) {
                    $0 - $1.element * products[order - 1 - $1.offset]
                }
                let reflection = left / error
                taps =
                    taps.enumerated().map { $0.element - reflection * taps[taps.count - 1 - $0.offset] } + [reflection]
                error *= 1 - reflection * reflection
                energies.append(max(error - WeightClasses.noise, 0))
                coefficients.append(taps)
            }
        }
    }
}

extension LayerGeometry {
    /// Places from a place to its neighbor along each axis within a channel, the nearest first.
    fileprivate var neighborDistances: [Int] {
        var distances: [Int] = []
        var distance = 1
        for axis in axes.reversed() where !axis.role.isChannel && axis.count > 1 {
            distances.append(distance)
            distance *= axis.count
        }
        return distances
    }
}
