import ModelFiles

/// Operators that sample pictures anew.
extension Operators {
    static let resizing: [String: Operator] = [
        "Resize": Operator(resize), "Upsample": Operator(resize), "GridSample": Operator(gridSample),
        "AffineGrid": Operator(affineGrid),
    ]

    private static func resize(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [call[0].cleared()] }
        // In their own order: scales and sizes follow it.
        var axes: [Int] = []
        for axis in try call.integers("axes") ?? Array(shape.indices) {
            axes.append(try call.axis(axis, rank: shape.count))
        }
        var result = shape
        for axis in axes { result[axis] = .unknown }
        let isOld = call.layer.type == "Upsample" || call.version < 11
        let scales = call.reals("scales") ?? call[isOld ? 1 : 2].reals
        let isStretched = call.text("keep_aspect_ratio_policy") ?? "stretch" == "stretch"
        if !isOld, call.has(3), let sizes = call[3].integers, !sizes.isEmpty {
            guard sizes.count == axes.count, !sizes.contains(where: { ($0.size ?? 0) < 0 }) else {
                throw call.failure("\(axes.count) sizes from 0 on", sizes.text)
            }
            if isStretched { for (axis, size) in zip(axes, sizes) { result[axis] = size } }
        } else if let scales, !scales.isEmpty {
            guard scales.count == axes.count, scales.allSatisfy({ $0 > 0 }) else {
                throw call.failure("\(axes.count) scales above 0", "\(scales.prefix(8))")
            }
            for (axis, scale) in zip(axes, scales) {
                guard let size = shape[axis].size else {
                    if scale == 1 { result[axis] = shape[axis] }
                    continue
                }
                let scaled = (Double(size) * scale).rounded(.down)
                guard scaled < 0x1p48 else { throw call.failure("sizes below 2^48", "\(scaled)") }
                result[axis] = .size(Int(scaled))
            }
        }
        return [call[0].cleared(result)]
    }

    private static func gridSample(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0), let grid = call.shape(1), shape.count == grid.count, shape.count > 2 else {
            return [call[0].cleared(.some(nil))]
        }
        return [call[0].cleared(shape.prefix(2) + grid.dropFirst().dropLast())]
    }

    private static func affineGrid(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let size = call[1].integers, size.count > 3 else { return [call[0].cleared(.some(nil))] }
        return [call[0].cleared([size[0]] + size[2...] + [.size(size.count - 2)])]
    }
}
