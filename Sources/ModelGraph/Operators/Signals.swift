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
        if call.has(1) { shape[axis] = call.constants(1)?.first.map { .size(max($0, 0)) } ?? .unknown }
        if call.flag("onesided") {
            shape[axis] = call.flag("inverse") ? .unknown : half(shape[axis])
        }
        shape[shape.count - 1] = .size(2)
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
