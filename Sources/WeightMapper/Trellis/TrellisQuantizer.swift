import Glibc

/// Entropy-constrained trellis-coded quantization: of all ways through a trellis the one with the least squared error plus lambda
/// times bits, the bits being those that the codec will spend.
///
/// At the same error it needs some 0.17 bits per weight less than rounding with 8 states, 0.21 with 256 (`docs/effort.md`).
/// Centroids of the bins were measured to gain under 0.001 bits per weight from 1.5 bits up, so weights come back on the grid.
public struct TrellisQuantizer: Sendable {
    /// The trellis; one state is a scalar quantizer.
    public let trellis: Trellis
    /// Half the distance between neighboring points of one union, in the weights' unit.
    public let step: Float
    /// Squared steps that a bit is worth; 0 rounds to the nearest point of a way.
    public let lambda: Double
    /// How the codec spends bits.
    public let rates: RateModel
    /// Searches of each run: each takes the frequencies that the one before found.
    public let passes: Int
    /// Whether weights of like scale may be put together (`WeightOrder`), and weights predicted by their neighbors.
    public let sortsWeights: Bool
    /// Whether of channels that would become 0 the largest weight is kept (`ChannelSteps`).
    public let keepsChannels: Bool

    /// The best lambda, in squared steps: least error at the same bits from 1.5 to 5 bits per weight (measured).
    public static let bestLambda = 0.4

    /// Largest index: it fits 16 bits.
    static let largestIndex = 32_000

    /// A quantizer.
    ///
    /// - Throws: `MapperError.parameters` for a number of states that does not exist or a step that is not above 0.
    public init(
        states: Int, step: Float, lambda: Double = bestLambda, rates: RateModel = .entropy, passes: Int = 1,
        sortsWeights: Bool = true, keepsChannels: Bool = true
    ) throws(MapperError) {
        guard step > 0, step.isFinite else { throw .parameters(expected: "a step above 0", found: "\(step)") }
        self.trellis = try Trellis.known(states: states)
        self.step = step
        self.lambda = lambda
        self.rates = rates
        self.passes = passes
        self.sortsWeights = sortsWeights
        self.keepsChannels = keepsChannels
    }

    /// Quantizes a layer.
    ///
    /// - Parameters:
    ///   - weights: in memory order.
    ///   - geometry: the layer.
    ///   - limit: largest finite number of the weights' type, beyond which none may be restored.
    /// - Returns: the indices, not yet in planes, and the codebook that gives them back as weights.
    /// - Throws: `MapperError.nonFinite` at the first NaN or infinity.
    public func quantize(
        _ weights: [Float], _ geometry: LayerGeometry, limit: Double = .infinity
    ) throws(MapperError) -> TrellisLayer {
        precondition(weights.count == geometry.count)
        var largest: Float = 0
        for (index, weight) in weights.enumerated() {
            guard weight.isFinite else { throw .nonFinite(index: index, value: "\(weight)") }
            largest = max(largest, weight.magnitude)
        }
        let step = max(step, largest / Float(2 * Self.largestIndex), .leastNormalMagnitude)
        // A way may lead past a weight by less than five steps, rounding by one: those near the limit move as far towards 0.
        let margin: Float = trellis.states == 1 && lambda == 0 ? 1.01 : 5
        let bound = max(Float(min(limit, Double(Float.greatestFiniteMagnitude))) - margin * step, 0)
        let weights = largest <= bound ? weights : weights.map { min(max($0, -bound), bound) }
        var order = try WeightOrder(geometry)
        var positions = WeightCenters.none.arrange(weights, order, scale: 1 / step)
        let endangered = keepsChannels ? EndangeredChannels(positions, geometry) : .none
        let form = sortsWeights ? WeightClasses(positions, geometry) : nil
        if let form,
            let prediction = WeightPrediction.best(
                positions, geometry, largest: min(largest, bound) * (1 / step), below: form.bits)
        {
            return predictedLayer(weights, .byPlaces(geometry), prediction, step, endangered)
        }
        let centers = form?.centers ?? .none
        if let form, !form.classes.isEmpty || centers.axis != nil {
            order = try WeightOrder(geometry, classes: form.classes[...])
            positions = centers.arrange(weights, order, scale: 1 / step)
        }
        let isSorted = form?.classes.isEmpty == false
        let isSplit = splitPays(positions, isSorted: isSorted)
        func codebook(_ finer: ChannelSteps) -> TrellisCodebook {
            TrellisCodebook(
                step: step, finer: finer, trellis: trellis, geometry, classes: form?.classes ?? [], centers: centers)
        }
        var layer = TrellisLayer(codebook: codebook(.alike), isSplit: isSplit, count: weights.count)
        var points = [Int32](repeating: 0, count: endangered.channels.isEmpty ? 0 : weights.count)
        func search(runs: some Sequence<Int>) {
            self.search(positions, isSplit: isSplit, isSorted: isSorted, runs: runs) { start, _, indices, unions in
                layer.store(indices, unions, at: start)
                guard !points.isEmpty else { return }
                for i in indices.indices { points[start &+ i] = 2 &* indices[i] &+ Int32(unions[i]) }
            }
        }
        search(runs: 0..<ceilDivide(weights.count, TrellisSearch.runLength))
        var finer = ChannelSteps.alike
        while case let lost = endangered.lost(order, centers, points: points),
            case let shortened = finer.shorten(lost, largest: endangered.largest, step: step), !shortened.isEmpty
        {
            search(runs: order.keepLargest(of: shortened, weights, centers, finer.steps(step), in: &positions))
        }
        layer.codebook = codebook(finer)
        return layer
    }

    /// Calls `body` with each run: place of its first weight, positions in steps, indices and unions.
    private func search(
        _ positions: [Float], isSplit: Bool, isSorted: Bool, runs: some Sequence<Int>,
        _ body: (Int, UnsafeBufferPointer<Float>, UnsafeBufferPointer<Int32>, UnsafeBufferPointer<UInt8>) -> Void
    ) {
        let search = TrellisSearch(trellis)
        let length = min(TrellisSearch.runLength, positions.count)
        let indices = UnsafeMutableBufferPointer<Int32>.allocate(capacity: length)
        let unions = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: length)
        defer {
            indices.deallocate()
            unions.deallocate()
        }
        positions.withUnsafeBufferPointer { positions in
            for run in runs {
                let start = run * TrellisSearch.runLength
                let range = start..<min(start + TrellisSearch.runLength, positions.count)
                let part = UnsafeBufferPointer(rebasing: positions[range])
                let k = UnsafeMutableBufferPointer(rebasing: indices[..<range.count])
                let u = UnsafeMutableBufferPointer(rebasing: unions[..<range.count])
                for pass in 0..<passes {
                    func histogram(_ range: Range<Int>) -> IndexHistogram {
                        pass == 0
                            ? IndexHistogram(rounding: UnsafeBufferPointer(rebasing: part[range]))
                            : IndexHistogram(
                                UnsafeBufferPointer(rebasing: k[range]), UnsafeBufferPointer(rebasing: u[range]))
                    }
                    let all = histogram(0..<range.count)
                    let stretch = isSorted ? TrellisSearch.stretchLength : max(range.count, 1)
                    let tables = stride(from: 0, to: range.count, by: stretch).map { first in
                        // A stretch has too few weights to tell what is rare.
                        let histogram =
                            isSorted ? histogram(first..<min(first + stretch, range.count)).smoothed(by: all) : all
                        return RateTable(histogram, rates, lambda: lambda, isSplit: isSplit)
                    }
                    search.choose(part, tables, indices: k, unions: u)
                }
                body(start, part, UnsafeBufferPointer(k), UnsafeBufferPointer(u))
            }
        }
    }

    /// Whether each union coded by itself needs fewer bits for the same error, as it does below about 2 bits per weight.
    ///
    /// Where it is not plain, a run in the middle tells.
    private func splitPays(_ positions: [Float], isSorted: Bool) -> Bool {
        let middle = positions.count / TrellisSearch.runLength / 2
        guard trellis.states > 1, lambda > 0, positions.count >= 4096 else { return false }
        func cost(isSplit: Bool) -> (total: Double, bits: Double) {
            var result = (0.0, 0.0)
            search(positions, isSplit: isSplit, isSorted: isSorted, runs: middle..<middle + 1) {
                _, positions, indices, unions in
                let bits = IndexHistogram(indices, unions).bits(isSplit: isSplit)
                var error = 0.0
                for i in positions.indices {
                    let difference = Double(positions[i] - Float(2 * indices[i] + Int32(unions[i])))
                    error += difference * difference
                }
                result = (error + lambda * bits, bits / Double(positions.count))
            }
            return result
        }
        let single = cost(isSplit: false)
        guard single.bits < 2.6 else { return false }
        return single.bits < 1.2 || cost(isSplit: true).total < single.total
    }
}
