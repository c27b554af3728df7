import CTrellis

extension TrellisCodebook {
    /// Weights of a piece that `forEachPiece` hands over, so that it stays in the second cache.
    private static let pieceLength = 1 << 15

    /// The weights of a layer, in memory order.
    ///
    /// - Parameters:
    ///   - planes: the indices (`TrellisPlanes`).
    ///   - geometry: the layer.
    ///   - weights: receives as many weights as the layer has.
    /// - Throws: `MapperError.parameters` when the planes are not those of such a layer.
    public func restore<Scalar: WeightScalar>(
        _ planes: [Plane], _ geometry: LayerGeometry, into weights: UnsafeMutableBufferPointer<Scalar>
    ) throws(MapperError) {
        precondition(weights.count == geometry.count)
        do {
            var place = 0
            try Plane.withViews(of: planes) { planes in
                try forEachPiece(planes, geometry, as: Scalar.self, ScratchMemory.system) { piece in
                    _ = UnsafeMutableBufferPointer(rebasing: weights[place...]).update(fromContentsOf: piece)
                    place += piece.count
                }
            }
        } catch let error as MapperError {
            throw error
        } catch {
            preconditionFailure("nothing else is thrown: \(error)")
        }
    }

    /// Calls `body` with the weights of a layer, in memory order, piece by piece.
    ///
    /// - Parameters:
    ///   - planes: the indices (`TrellisPlanes`).
    ///   - geometry: the layer.
    ///   - memory: gives room for a piece; for layers that do not lie in the planes as in memory, also for a point of the grid for
    ///     each weight, 2 or 4 bytes, and where channels do not follow each other in memory, for all weights.
    /// - Throws: `MapperError.parameters` when the planes are not those of such a layer, and what `body` throws.
    /// - Complexity: linear, whatever the number of states.
    @specialized(where Scalar == Float)
    @specialized(where Scalar == Double)
    public func forEachPiece<Scalar: WeightScalar>(
        _ planes: [PlaneView], _ geometry: LayerGeometry, as: Scalar.Type, _ memory: ScratchMemory,
        _ body: (UnsafeBufferPointer<Scalar>) throws -> Void
    ) throws {
        if planes.first?.bits ?? 0 > 8 {
            let reader = try TrellisReader<UInt16>(planes, count: geometry.count, trellis)
            return try forEachPiece(reader, geometry, Int32.self, as: Scalar.self, memory, body)
        }
        let reader = try TrellisReader<UInt8>(planes, count: geometry.count, trellis)
        let center = prediction != nil ? WeightPrediction.largest : centers.axis != nil ? WeightCenters.largest : 0
        if reader.isSmall(adding: center) {
            try forEachPiece(reader, geometry, Int16.self, as: Scalar.self, memory, body)
        } else {
            try forEachPiece(reader, geometry, Int32.self, as: Scalar.self, memory, body)
        }
    }

    private func forEachPiece<Sample: BinScalar, Point: GridPoint, Scalar: WeightScalar>(
        _ reader: TrellisReader<Sample>, _ geometry: LayerGeometry, _: Point.Type, as: Scalar.Type,
        _ memory: ScratchMemory,
        _ body: (UnsafeBufferPointer<Scalar>) throws -> Void
    ) throws {
        let order = prediction == nil ? try WeightOrder(geometry, classes: classes[...]) : .byPlaces(geometry)
        let count = geometry.count
        guard prediction != nil || centers.axis != nil || !order.isMemoryOrder else {
            let length = min(Self.pieceLength, count)
            let bytes = try memory.allocate(length * (MemoryLayout<Point>.size + MemoryLayout<Scalar>.size))
            defer { memory.release(bytes) }
            let (weights, points) = Self.parts(bytes, length, Scalar.self, Point.self)
            for start in stride(from: 0, to: count, by: Self.pieceLength) {
                if start % Self.runLength == 0 { reader.begin() }
                let size = min(Self.pieceLength, count - start)
                let piece = UnsafeMutableBufferPointer(rebasing: points[..<size])
                try reader.readAll(piece)
                scale(UnsafeBufferPointer(piece), from: start, channelLength: order.channels.inner, into: weights)
                try body(UnsafeBufferPointer(rebasing: weights[..<size]))
            }
            return try reader.finish()
        }
        // Channels that follow each other in memory are put together some at a time, else all.
        let rows = order.channelsInMemory.map { max(Self.pieceLength / max($0, 1), 1) }
        let length = rows.map { min($0 * (order.channelsInMemory ?? 0), count) } ?? count
        let bytes = try memory.allocate(count * MemoryLayout<Point>.size + length * MemoryLayout<Scalar>.size)
        defer { memory.release(bytes) }
        let (weights, points) = Self.parts(bytes, length, Scalar.self, Point.self)
        let all = UnsafeMutableBufferPointer(rebasing: points[..<count])
        try read(reader, into: all, geometry)
        guard let rows else {
            if prediction != nil {
                scatterPlaces(UnsafeBufferPointer(all), order, into: weights)
            } else {
                try scatterChannels(UnsafeBufferPointer(all), order, memory, into: weights)
            }
            return try body(UnsafeBufferPointer(weights))
        }
        var gathering = WeightOrder.Gathering(order)
        for first in stride(from: 0, to: order.channels.count, by: rows) {
            let channels = first..<min(first + rows, order.channels.count)
            let size = gather(UnsafeBufferPointer(all), channels, &gathering, into: weights)
            if size > 0 { try body(UnsafeBufferPointer(rebasing: weights[..<size])) }
        }
    }

    /// Memory for so many weights, and the rest of it for points.
    private static func parts<Scalar, Point>(
        _ bytes: UnsafeMutableRawBufferPointer, _ length: Int, _: Scalar.Type, _: Point.Type
    ) -> (UnsafeMutableBufferPointer<Scalar>, UnsafeMutableBufferPointer<Point>) {
        let size = length * MemoryLayout<Scalar>.size
        return (
            UnsafeMutableRawBufferPointer(rebasing: bytes[..<size]).bindMemory(to: Scalar.self),
            UnsafeMutableRawBufferPointer(rebasing: bytes[size...]).bindMemory(to: Point.self)
        )
    }

    /// Reads the points of a layer in their order.
    private func read<Sample: BinScalar, Point: GridPoint>(
        _ reader: TrellisReader<Sample>, into points: UnsafeMutableBufferPointer<Point>, _ geometry: LayerGeometry
    ) throws(MapperError) {
        let length = prediction == nil ? Self.runLength : geometry.channels.count
        var centers = PredictedCenters<Point>(prediction, channels: length)
        for (run, start) in stride(from: 0, to: points.count, by: length).enumerated() {
            let piece = UnsafeMutableBufferPointer(rebasing: points[start..<min(start + length, points.count)])
            reader.begin()
            try reader.readAll(piece)
            if let first = points.baseAddress { centers.add(to: piece, run, after: first) }
        }
        try reader.finish()
    }

    /// Points of the grid as weights, from a weight on, where channels follow each other in memory.
    private func scale<Point: GridPoint, Scalar: WeightScalar>(
        _ points: UnsafeBufferPointer<Point>, from start: Int, channelLength: Int,
        into weights: UnsafeMutableBufferPointer<Scalar>
    ) {
        guard !channelSteps.isEmpty else { return scale(points, step, into: weights) }
        var done = 0
        while done < points.count {
            let channel = (start + done) / channelLength
            let end = min((channel + 1) * channelLength - start, points.count)
            scale(
                UnsafeBufferPointer(rebasing: points[done..<end]), channelSteps[channel],
                into: UnsafeMutableBufferPointer(rebasing: weights[done...]))
            done = end
        }
    }

    /// Points of the grid as weights.
    private func scale<Point: GridPoint, Scalar: WeightScalar>(
        _ points: UnsafeBufferPointer<Point>, _ step: Float, into weights: UnsafeMutableBufferPointer<Scalar>
    ) {
        guard Point.bitWidth == 16, Scalar.self == Float.self else {
            for i in points.indices { weights[i] = Point.weight(Int32(truncatingIfNeeded: points[i]), step) }
            return
        }
        guard let source = points.baseAddress, let target = weights.baseAddress else { return }
        wc_trellis_weights(
            UnsafeRawPointer(source).assumingMemoryBound(to: Int16.self), points.count, step,
            UnsafeMutableRawPointer(target).assumingMemoryBound(to: Float.self))
    }

    /// Gathers the weights of some channels.
    ///
    /// - Returns: their number.
    private func gather<Point: GridPoint, Scalar: WeightScalar>(
        _ points: UnsafeBufferPointer<Point>, _ channels: Range<Int>, _ gathering: inout WeightOrder.Gathering,
        into weights: UnsafeMutableBufferPointer<Scalar>
    ) -> Int {
        // Points are put in their places first: as weights, two instructions more for each would not be of vectors.
        withUnsafeTemporaryAllocation(of: Point.self, capacity: gathering.length) { row in
            var done = 0
            for channel in channels {
                let target = UnsafeMutableBufferPointer(rebasing: weights[done...])
                var source: UnsafeBufferPointer<Point>?
                let size = gathering.forEachRun(channel) { number, places, length in
                    if let places {
                        for i in 0..<length { row[Int(places[i])] = points[number &+ i] }
                    } else {
                        source = UnsafeBufferPointer(rebasing: points[number..<number + length])
                    }
                }
                if centers.axis != nil {
                    if let source { _ = row.update(from: source) }
                    addCenters(channel, to: UnsafeMutableBufferPointer(rebasing: row[..<size]))
                    source = nil
                }
                let step = channelSteps.isEmpty ? step : channelSteps[channel]
                scale(source ?? UnsafeBufferPointer(rebasing: row[..<size]), step, into: target)
                done += size
            }
            return done
        }
    }

    /// Adds to the points of a channel what they lie around.
    private func addCenters<Point: GridPoint>(_ channel: Int, to row: UnsafeMutableBufferPointer<Point>) {
        for column in row.indices {
            row[column] &+= Point(truncatingIfNeeded: 2 &* centers.value(channel: channel, column: column))
        }
    }

    /// Points of whole places as weights.
    private func scalePlaces<Point: GridPoint, Scalar: WeightScalar>(
        _ points: UnsafeBufferPointer<Point>, into weights: UnsafeMutableBufferPointer<Scalar>
    ) {
        guard !channelSteps.isEmpty else { return scale(points, step, into: weights) }
        channelSteps.withUnsafeBufferPointer { steps in
            for start in stride(from: 0, to: points.count, by: steps.count) {
                for channel in steps.indices {
                    let point = Int32(truncatingIfNeeded: points[start &+ channel])
                    weights[start &+ channel] = Point.weight(point, steps[channel])
                }
            }
        }
    }

    /// Puts points that follow each other place by place in their weights' places.
    private func scatterPlaces<Point: GridPoint, Scalar: WeightScalar>(
        _ points: UnsafeBufferPointer<Point>, _ order: WeightOrder, into weights: UnsafeMutableBufferPointer<Scalar>
    ) {
        /// Places that are put at once: neighbors in memory, in a line of the cache.
        let most = 16
        let (channels, inner) = (order.channels.count, order.channels.inner)
        withUnsafeTemporaryAllocation(of: Scalar.self, capacity: channels * most) { rows in
            for block in 0..<points.count / (channels * inner) {
                for first in stride(from: 0, to: inner, by: most) {
                    let places = min(most, inner - first)
                    let start = (block * inner + first) * channels
                    scalePlaces(UnsafeBufferPointer(rebasing: points[start..<start + places * channels]), into: rows)
                    for channel in 0..<channels {
                        let target = (block &* channels &+ channel) &* inner &+ first
                        for place in 0..<places {
                            weights[target &+ place] = rows[place &* channels &+ channel]
                        }
                    }
                }
            }
        }
    }

    /// Puts points that follow each other channel by channel in their weights' places.
    private func scatterChannels<Point: GridPoint, Scalar: WeightScalar>(
        _ points: UnsafeBufferPointer<Point>, _ order: WeightOrder, _ memory: ScratchMemory,
        into weights: UnsafeMutableBufferPointer<Scalar>
    ) throws {
        /// Channels that are put at once: neighbors in memory, in a line of the cache.
        let most = 16
        let (count, inner) = (order.channels.count, order.channels.inner)
        let length = points.count / count
        let bytes = try memory.allocate(most * length * MemoryLayout<Scalar>.size)
        defer { memory.release(bytes) }
        let rows = bytes.bindMemory(to: Scalar.self)
        var gathering = WeightOrder.Gathering(order)
        for first in stride(from: 0, to: count, by: most) {
            let channels = min(most, count - first)
            _ = gather(points, first..<first + channels, &gathering, into: rows)
            guard inner > 1 else {
                for place in 0..<length {
                    let target = place &* count &+ first
                    for channel in 0..<channels {
                        weights[target &+ channel] = rows[channel &* length &+ place]
                    }
                }
                continue
            }
            for block in 0..<length / inner {
                var target = (block &* count &+ first) &* inner
                for channel in 0..<channels {
                    let source = channel &* length &+ block &* inner
                    for i in 0..<inner { weights[target &+ i] = rows[source &+ i] }
                    target &+= inner
                }
            }
        }
    }
}

extension TrellisReader {
    /// Restores points, however many.
    fileprivate func readAll<Point: GridPoint>(_ points: UnsafeMutableBufferPointer<Point>) throws(MapperError) {
        for start in stride(from: 0, to: points.count, by: Self.most) {
            try read(UnsafeMutableBufferPointer(rebasing: points[start..<min(start + Self.most, points.count)]))
        }
    }
}

/// Adds to the points of a place what predicts them.
private struct PredictedCenters<Point: GridPoint> {
    private let prediction: WeightPrediction?
    private let coefficients: [Int16]
    private var centers: [Int32]

    init(_ prediction: WeightPrediction?, channels: Int) {
        self.prediction = prediction
        coefficients = prediction?.wideCoefficients ?? []
        centers = Array(repeating: 0, count: prediction == nil ? 0 : channels)
    }

    /// - Parameters:
    ///   - points: of a place.
    ///   - place: its number.
    ///   - all: those of all places before it, place by place.
    mutating func add(
        to points: UnsafeMutableBufferPointer<Point>, _ place: Int, after all: UnsafeMutablePointer<Point>
    ) {
        guard let prediction, let first = points.baseAddress else { return }
        if Point.bitWidth == 16 {
            prediction.addCenters(
                place, to: UnsafeMutableRawPointer(first).assumingMemoryBound(to: Int16.self), coefficients)
        } else {
            centers.withUnsafeMutableBufferPointer { centers in
                let all = UnsafeRawPointer(all).assumingMemoryBound(to: Int32.self)
                prediction.predict(place, from: all, into: centers)
                for i in centers.indices { points[i] &+= Point(truncatingIfNeeded: 2 &* centers[i]) }
            }
        }
    }
}

/// A point of the grid, 2k + union, in as few bits as a layer's points need.
private protocol GridPoint: FixedWidthInteger, SignedInteger {
    /// The weight at a point: its product with the step, exact in binary64, rounded once.
    static func weight<Scalar: WeightScalar>(_ point: Int32, _ step: Float) -> Scalar
}

extension Int16: GridPoint {
    /// The product is that of binary32, in which such points are exact, too.
    @inline(__always)
    fileprivate static func weight<Scalar: WeightScalar>(_ point: Int32, _ step: Float) -> Scalar {
        Scalar(point) * Scalar(step)
    }
}

extension Int32: GridPoint {
    @inline(__always)
    fileprivate static func weight<Scalar: WeightScalar>(_ point: Int32, _ step: Float) -> Scalar {
        Scalar(Double(point) * Double(step))
    }
}
