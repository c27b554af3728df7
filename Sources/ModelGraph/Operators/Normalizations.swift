import ModelFiles

/// Operators that bring values to a common scale.
extension Operators {
    static let normalizations: [String: Operator] = [
        "Softmax": Operator(likeInput, buffer: .inPlace), "LogSoftmax": Operator(likeInput, buffer: .inPlace),
        "Hardmax": Operator(likeInput),
        "LRN": Operator(likeInput), "LpNormalization": Operator(likeInput),
        "MeanVarianceNormalization": Operator(likeInput), "BatchNormalization": Operator(batchNormalization),
        "InstanceNormalization": Operator(channelNormalization), "GroupNormalization": Operator(likeInput),
        "LayerNormalization": Operator(layerNormalization), "RMSNormalization": Operator(layerNormalization),
        // Exporters of ONNX Runtime write it without a domain.
        "SimplifiedLayerNormalization": Operator(layerNormalization),
    ]

    static let contributedNormalizations: [String: Operator] = [
        "SkipLayerNormalization": Operator(skipNormalization),
        "SkipSimplifiedLayerNormalization": Operator(skipNormalization),
    ]

    private static func checkChannels(_ call: OperatorCall, _ inputs: ClosedRange<Int>) throws(GraphError) {
        guard let shape = call.shape(0), shape.count > 1 else { return }
        for input in inputs {
            guard let other = call.shape(input) else { continue }
            guard other.count == 1, other[0].merged(shape[1]) != nil else {
                throw call.wrongShape(input, "\(shape[1]) channels")
            }
        }
    }

    private static func batchNormalization(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        try checkChannels(call, 1...4)
        let statistics = call[3].cleared()
        return [call[0].cleared(), statistics, statistics, statistics, statistics]
    }

    private static func channelNormalization(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        try checkChannels(call, 1...2)
        return [call[0].cleared()]
    }

    private static func layerNormalization(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let value = call[0].cleared()
        guard let shape = value.shape, !shape.isEmpty else { return [value] }
        let axis = try call.axis(try call.integer("axis") ?? -1, rank: shape.count)
        let rest = shape.indices.map { $0 < axis ? shape[$0] : .size(1) }
        let statistics = Value(type: .f32, shape: rest)
        return [value, statistics, statistics]
    }

    private static func skipNormalization(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let value = call[0].cleared()
        return [value, Value(type: .f32), Value(type: .f32), value]
    }
}
