/// What gives the planes of a trellis quantizer back as weights: the step, the trellis, and the classes by which weights are
/// sorted.
///
/// A weight is (2k + u) * step, with k from the planes and u the union of the trellis's state; the arithmetic is binary64 with one
/// rounding to the weight's type. Weights follow each other as `WeightOrder` says; after every `runLength` weights the state is 0.
public struct TrellisCodebook: Sendable {
    /// Half the distance between neighboring points of one union, in the weights' unit; a binary32 number.
    public let step: Float
    /// The trellis.
    public let trellis: Trellis
    /// The classes by which weights are sorted (`WeightOrder`): of channels, then perhaps of places within them; or none.
    public let classes: [UInt8]

    /// Weights after which the trellis begins anew.
    public static let runLength = TrellisSearch.runLength

    init(step: Float, trellis: Trellis, classes: [UInt8]) {
        self.step = step
        self.trellis = trellis
        self.classes = classes
    }

    /// The bytes that a packed file stores: the step, then the classes.
    public var serialized: [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: step.bitPattern >> (8 * $0)) } + classes
    }

    /// A codebook from a packed file.
    ///
    /// - Throws: `MapperError.parameters` when the bytes are not exactly those of such a codebook.
    public init(states: Int, _ bytes: Span<UInt8>, geometry: LayerGeometry) throws(MapperError) {
        guard let trellis = Trellis(states: states) else {
            let known = Trellis.stateCounts.map(String.init).joined(separator: ", ")
            throw .parameters(expected: "a trellis of \(known) states", found: "\(states)")
        }
        let channels = geometry.channels.count
        let length = WeightOrder.channelLength(geometry)
        guard [4, 4 + channels, 4 + channels + length].contains(bytes.count) else {
            throw .parameters(
                expected:
                    "4 bytes, \(4 + channels) with channels' classes, or \(4 + channels + length) with places' too",
                found: "\(bytes.count)")
        }
        let step = Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[$1]) << UInt32(8 * $1) })
        guard step.isFinite, step > 0 else { throw .parameters(expected: "a step above 0", found: "\(step)") }
        self.step = step
        self.trellis = trellis
        classes = (4..<bytes.count).map { bytes[$0] }
    }

    /// The weights of a layer, in memory order.
    ///
    /// - Parameters:
    ///   - planes: the indices (`TrellisPlanes`).
    ///   - geometry: the layer.
    ///   - weights: receives as many weights as the layer has.
    /// - Throws: `MapperError.parameters` when the planes are not those of such a layer.
    /// - Complexity: a table walk, one step for each weight whatever the number of states.
    public func restore<Scalar: WeightScalar>(
        _ planes: [Plane], _ geometry: LayerGeometry, into weights: UnsafeMutableBufferPointer<Scalar>
    ) throws(MapperError) {
        let order = try WeightOrder(geometry, classes: classes[...])
        var indices = try TrellisPlanes.Reader(planes, count: geometry.count)
        let transitions = trellis.transitions
        guard !order.isMemoryOrder else {
            return try indices.walkAll(transitions, step, into: weights)
        }
        let ordered = UnsafeMutableBufferPointer<Scalar>.allocate(capacity: geometry.count)
        defer { ordered.deallocate() }
        try indices.walkAll(transitions, step, into: ordered)
        order.restore(UnsafeBufferPointer(ordered), into: weights)
    }
}
