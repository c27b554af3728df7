/// What the weights of a channel, or of a place within the channels, lie around where that is not 0: whole indices k, which are
/// subtracted from the indices of these weights before they are coded.
///
/// The rows of an output layer for symbols that never occur are all but equal: around their median a fraction of the bits is left.
public struct WeightCenters: Sendable, Hashable {
    /// What has a center each.
    public enum Axis: String, Sendable, Codable {
        case channels, places
    }

    /// `nil` when there are none.
    public let axis: Axis?
    /// One for each channel or place.
    let values: [Int8]

    /// Largest magnitude of a center.
    static let largest: Int32 = 128

    /// No centers.
    static let none = WeightCenters(axis: nil, values: [])

    init(axis: Axis?, values: [Int8]) {
        self.axis = axis
        self.values = values
    }

    /// The center of a weight.
    @inline(__always)
    func value(channel: Int, column: Int) -> Int32 {
        switch axis {
        case nil: 0
        case .channels: Int32(values[channel])
        case .places: Int32(values[column])
        }
    }

    /// How many a layer has.
    static func count(_ axis: Axis?, _ geometry: LayerGeometry) -> Int {
        switch axis {
        case nil: 0
        case .channels: geometry.channels.count
        case .places: WeightOrder.channelLength(geometry)
        }
    }
}

extension WeightCenters {
    /// Weights in steps, in an order, their centers subtracted.
    func arrange(_ weights: [Float], _ order: WeightOrder, scale: Float) -> [Float] {
        precondition(weights.count == order.count)
        return [Float](unsafeUninitializedCapacity: weights.count) { positions, count in
            count = weights.count
            weights.withUnsafeBufferPointer { weights in
                if axis == nil {
                    order.forEachRun { first, length in
                        for i in 0..<length { positions[first.number &+ i] = weights[first.offset &+ i] * scale }
                    }
                } else {
                    order.forEachRun { first, length in
                        for i in 0..<length {
                            let center = value(channel: first.channel, column: first.column &+ i)
                            positions[first.number &+ i] = weights[first.offset &+ i] * scale - Float(2 &* center)
                        }
                    }
                }
            }
        }
    }
}
