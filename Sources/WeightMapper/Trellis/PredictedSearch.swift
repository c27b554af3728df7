// The search of a layer whose weights are predicted: what predicts a place are the points chosen before, so places are searched one
// after another, each a run of the trellis.
extension TrellisQuantizer {
    /// A predicted layer.
    ///
    /// - Parameter order: that of places.
    func predictedLayer(
        _ weights: [Float], _ order: WeightOrder, _ prediction: WeightPrediction, _ step: Float,
        _ endangered: EndangeredChannels
    ) -> TrellisLayer {
        var positions = WeightCenters.none.arrange(weights, order, scale: 1 / step)
        var finer = ChannelSteps.alike
        while true {
            let best = search(positions, prediction)
            let lost = endangered.lost(order, .none, points: best.points)
            let shortened = finer.shorten(lost, largest: endangered.largest, step: step)
            guard shortened.isEmpty else {
                _ = order.keepLargest(of: shortened, weights, .none, finer.steps(step), in: &positions)
                continue
            }
            let codebook = TrellisCodebook(step: step, finer: finer, trellis: trellis, prediction: prediction)
            var layer = TrellisLayer(codebook: codebook, isSplit: best.isSplit, count: positions.count)
            best.indices.withUnsafeBufferPointer { indices in
                best.unions.withUnsafeBufferPointer { layer.store(indices, $0, at: 0) }
            }
            return layer
        }
    }

    /// What a search of all weights chose, with a plane for each union where that is better.
    private func search(_ positions: [Float], _ prediction: WeightPrediction) -> PredictedSearch.Result {
        var search = PredictedSearch(self, positions, prediction)
        let best = search.run(isSplit: false)
        guard trellis.states > 1, lambda > 0, best.bits < 2.6 * Double(positions.count) else { return best }
        let split = search.run(isSplit: true)
        return split.cost(lambda) < best.cost(lambda) ? split : best
    }
}

private struct PredictedSearch {
    /// What a search chose.
    struct Result {
        let isSplit: Bool
        var indices: [Int32]
        var unions: [UInt8]
        /// Points of the grid, as weights are restored.
        var points: [Int32] = []
        /// In squared steps.
        var squaredError = 0.0
        var bits = 0.0

        func cost(_ lambda: Double) -> Double { squaredError + lambda * bits }
    }

    /// Weights that share a table of rates, at least; an entropy coder's frequencies are those of about as many.
    private static let stretchLength = 1 << 14

    private let quantizer: TrellisQuantizer
    private let positions: [Float]
    private let prediction: WeightPrediction
    private let channels: Int
    private let search: TrellisSearch
    /// Grid points as far as they are chosen.
    private var points: [Int32]
    private var centers: [Int32]
    private var residuals: [Float]

    init(_ quantizer: TrellisQuantizer, _ positions: [Float], _ prediction: WeightPrediction) {
        self.quantizer = quantizer
        self.positions = positions
        self.prediction = prediction
        channels = prediction.channelCount
        search = TrellisSearch(quantizer.trellis)
        points = Array(repeating: 0, count: positions.count)
        centers = Array(repeating: 0, count: channels)
        residuals = Array(repeating: 0, count: channels)
    }

    mutating func run(isSplit: Bool) -> Result {
        var result = Result(
            isSplit: isSplit, indices: Array(repeating: 0, count: positions.count),
            unions: Array(repeating: 0, count: positions.count))
        let length = max(Self.stretchLength / channels, 1) * channels
        for start in stride(from: 0, to: positions.count, by: length) {
            let stretch = start..<min(start + length, positions.count)
            // The first tables are of what rounding leaves, which predicts a little worse than a search's points.
            var histogram = round(stretch)
            for _ in 0...quantizer.passes {
                let table = RateTable(histogram, quantizer.rates, lambda: quantizer.lambda, isSplit: isSplit)
                choose(stretch, table, &result)
                histogram = result.indices.withUnsafeBufferPointer { indices in
                    result.unions.withUnsafeBufferPointer { unions in
                        IndexHistogram(
                            UnsafeBufferPointer(rebasing: indices[stretch]),
                            UnsafeBufferPointer(rebasing: unions[stretch]))
                    }
                }
            }
            result.bits += histogram.bits(isSplit: isSplit)
        }
        result.points = points
        for (point, position) in zip(points, positions) {
            let error = Double(position - Float(point))
            result.squaredError += error * error
        }
        return result
    }

    /// What is left of a place after prediction; `centers` and `residuals` receive it.
    private mutating func predict(_ place: Int) {
        points.withUnsafeBufferPointer { points in
            centers.withUnsafeMutableBufferPointer {
                prediction.predict(place, from: points.baseAddress.unsafelyUnwrapped, into: $0)
            }
        }
        for channel in 0..<channels {
            residuals[channel] = positions[place * channels + channel] - Float(2 * centers[channel])
        }
    }

    /// Rounds a stretch to the nearest points.
    private mutating func round(_ stretch: Range<Int>) -> IndexHistogram {
        var left: [Float] = []
        left.reserveCapacity(stretch.count)
        for place in stretch.lowerBound / channels..<stretch.upperBound / channels {
            predict(place)
            left += residuals
            for channel in 0..<channels {
                points[place * channels + channel] = Int32(positions[place * channels + channel].rounded())
            }
        }
        return left.withUnsafeBufferPointer { IndexHistogram(rounding: $0) }
    }

    /// Searches a stretch place by place.
    private mutating func choose(_ stretch: Range<Int>, _ table: RateTable, _ result: inout Result) {
        for place in stretch.lowerBound / channels..<stretch.upperBound / channels {
            predict(place)
            let range = place * channels..<(place + 1) * channels
            result.indices.withUnsafeMutableBufferPointer { indices in
                result.unions.withUnsafeMutableBufferPointer { unions in
                    residuals.withUnsafeBufferPointer { residuals in
                        search.choose(
                            residuals, [table], indices: UnsafeMutableBufferPointer(rebasing: indices[range]),
                            unions: UnsafeMutableBufferPointer(rebasing: unions[range]))
                    }
                }
            }
            for (channel, i) in range.enumerated() {
                points[i] = 2 * (result.indices[i] + centers[channel]) + Int32(result.unions[i])
            }
        }
    }
}
