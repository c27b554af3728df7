/// What gives the planes of a trellis quantizer back as weights: the step, the trellis, and the classes by which channels are
/// ordered.
///
/// A weight is (2k + u) * step, with k from the planes and u the union of the trellis's state; the arithmetic is binary64 with one
/// rounding to the weight's type. Channels follow each other as `ChannelOrder` says; after every `runLength` weights the state is 0.
public struct TrellisCodebook: Sendable {
    /// Half the distance between neighboring points of one union, in the weights' unit; a binary32 number.
    public let step: Float
    /// The trellis.
    public let trellis: Trellis
    /// A class for each channel, or none where channels follow each other as in memory.
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
        guard bytes.count == 4 || bytes.count == 4 + channels else {
            throw .parameters(expected: "4 bytes, or \(4 + channels) with channels' classes", found: "\(bytes.count)")
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
        let order = try ChannelOrder(geometry, classes: classes)
        var indices = try TrellisPlanes.Reader(planes, count: geometry.count)
        var run = [Scalar](repeating: 0, count: min(Self.runLength, geometry.count))
        let transitions = trellis.transitions
        let isDirect = order.isMemoryOrder
        for start in stride(from: 0, to: geometry.count, by: Self.runLength) {
            let range = start..<min(start + Self.runLength, geometry.count)
            if isDirect {
                try indices.walk(transitions, step, into: UnsafeMutableBufferPointer(rebasing: weights[range]))
                continue
            }
            // Fields of errors: closures of the standard library rethrow untyped ones.
            var failure: MapperError?
            run.withUnsafeMutableBufferPointer { run in
                let part = UnsafeMutableBufferPointer(rebasing: run[..<range.count])
                do throws(MapperError) { try indices.walk(transitions, step, into: part) } catch { failure = error }
                order.scatter(range, from: UnsafeBufferPointer(part), into: weights)
            }
            if let failure { throw failure }
        }
        try indices.finish()
    }
}
