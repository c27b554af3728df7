import ModelFiles

/// Operators of signal processing.
extension Operators {
    static let signals: [String: Operator] = [
        "DFT": Operator(transform), "STFT": Operator(shortTransform), "HannWindow": Operator(window),
        "HammingWindow": Operator(window), "BlackmanWindow": Operator(window),
    ]

    private static func half(_ size: Dimension) -> Dimension { size.size.map { .size($0 / 2 + 1) } ?? .unknown }

    private static func transform(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard var shape = call.shape(0), shape.count > 1 else { return [call[0].cleared(.some(nil))] }
        let listed = call.has(2) ? call.constants(2)?.first : try call.integer("axis") ?? (call.version < 20 ? 1 : -2)
        guard let listed else { return [call[0].cleared(shape.map { _ in .unknown })] }
        let axis = try call.axis(listed, rank: shape.count)
        let length = call.has(1) ? call.constants(1)?.first.map { Dimension.size(max($0, 0)) } ?? .unknown : nil
        let isReal = call.flag("onesided") && call.flag("inverse")
        if isReal {
            // Half a spectrum and its mirror image, as real numbers.
            let whole = shape[axis].size.map { Dimension.size(max($0, 1) - 1) } ?? .unknown
            let doubled = try call.product([whole, .size(2)])
            shape[axis] = length ?? doubled
        } else {
            shape[axis] = call.flag("onesided") ? half(length ?? shape[axis]) : length ?? shape[axis]
        }
        shape[shape.count - 1] = .size(isReal ? 1 : 2)
        return [call[0].cleared(shape)]
    }

    private static func shortTransform(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0), shape.count > 1 else { return [call[0].cleared(.some(nil))] }
        let length = call.constants(3)?.first.map { Dimension.size($0) } ?? call.shape(2)?.first ?? .unknown
        var frames: Dimension = .unknown
        if let length = length.size, let total = shape[1].size, let step = call.constants(1)?.first {
            guard step > 0, length >= 0, length <= total else {
                throw call.failure("frames within \(total) samples", "\(length) every \(step)")
            }
            frames = .size((total - length) / step + 1)
        }
        let isOneSided = try call.integer("onesided") ?? 1 != 0
        return [call[0].cleared([shape[0], frames, isOneSided ? half(length) : length, .size(2)])]
    }

    private static func window(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let size = call.constants(0)?.first
        return [
            Value(
                type: onnxType(try call.integer("output_datatype") ?? 1),
                shape: [size.map { .size(max($0, 0)) } ?? .unknown])
        ]
    }
}
