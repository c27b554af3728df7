import ModelFiles

/// Operators that pick elements, put them together or put them elsewhere.
extension Operators {
    static let movements: [String: Operator] = {
        var table: [String: Operator] = [
            "Concat": Operator(concat), "Split": Operator(split), "Slice": Operator(slice),
            "Gather": Operator(gather), "GatherElements": Operator(gatherElements), "GatherND": Operator(gatherND),
            "Pad": Operator(pad), "OneHot": Operator(oneHot), "NonZero": Operator(nonZero), "TopK": Operator(topK),
            "Compress": Operator(compress), "Unique": Operator(unique),
            "NonMaxSuppression": Operator(nonMaxSuppression), "CenterCropPad": Operator(centerCropPad),
        ]
        for type in [
            "ScatterElements", "ScatterND", "Scatter", "Trilu", "CumSum", "CumProd", "ReverseSequence", "TensorScatter",
        ] {
            table[type] = Operator(likeInput)
        }
        return table
    }()

    private static func concat(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let values = call.inputs.compactMap(\.self)
        let type = values.lazy.compactMap(\.type).first
        let shapes = values.compactMap(\.shape)
        guard let first = shapes.first, shapes.count == values.count else { return [Value(type: type)] }
        let axis = try call.axis(try call.integer("axis") ?? 1, rank: first.count)
        var result = first
        for (place, shape) in shapes.enumerated() {
            guard shape.count == first.count else { throw call.wrongShape(place, "\(first.count) dimensions") }
            for index in shape.indices where index != axis {
                guard let merged = result[index].merged(shape[index]) else {
                    throw call.wrongShape(place, "\(result.text) but for axis \(axis)")
                }
                result[index] = merged
            }
        }
        result[axis] = try call.sum(shapes.map { $0[axis] })
        var value = Value(type: type, shape: result)
        if first.count == 1, let count = result[0].size, count <= Value.mostFollowed {
            let integers = values.compactMap(\.integers)
            if integers.count == values.count { value.integers = integers.flatMap(\.self) }
            let reals = values.compactMap(\.reals)
            if reals.count == values.count { value.reals = reals.flatMap(\.self) }
        }
        return [value]
    }

    private static func split(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return call.layer.outputs.map { _ in call[0].cleared() } }
        let axis = try call.axis(try call.integer("axis") ?? 0, rank: shape.count)
        var parts: [Dimension] = Array(repeating: .unknown, count: call.outputCount)
        if let listed = try call.listed("split", input: 1) {
            if let listed {
                guard listed.count == parts.count, listed.allSatisfy({ $0 >= 0 }) else {
                    throw call.failure("\(parts.count) sizes from 0 on", "\(listed.prefix(16))")
                }
                parts = listed.map { .size($0) }
                if let size = shape[axis].size, try call.sum(parts) != .size(size) {
                    throw call.failure("parts of \(size) in all", "\(listed.prefix(16))")
                }
            } else if let size = shape[axis].size {
                let count = max(try call.integer("num_outputs") ?? parts.count, 1)
                let each = size / count + (size % count == 0 ? 0 : 1)
                parts = parts.indices.map { .size(max(min(each, size - min($0 * each, size)), 0)) }
            }
        }
        return parts.map { part in
            var result = shape
            result[axis] = part
            return call[0].cleared(result)
        }
    }

    /// The first index that a slice takes of a dimension, and how many; `nil` when that is not known.
    private static func indices(_ size: Int, from start: Int, to end: Int, by step: Int) -> (first: Int, count: Int)? {
        func clamped(_ bound: Int, _ range: ClosedRange<Int>) -> Int {
            let index = bound >= 0 ? bound : bound < -size ? -1 : bound + size
            return min(max(index, range.lowerBound), range.upperBound)
        }
        func count(_ room: Int, _ step: Int) -> Int { room / step + (room % step == 0 ? 0 : 1) }
        if step > 0 {
            let first = clamped(start, 0...size)
            return (first, count(max(clamped(end, 0...size) - first, 0), step))
        }
        guard step > Int.min else { return nil }
        let first = clamped(start, -1...max(size - 1, -1))
        return (first, count(max(first - clamped(end, -1...size), 0), -step))
    }

    private static func slice(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [call[0].cleared()] }
        let starts = try call.integers("starts") ?? call.constants(1)
        let ends = try call.integers("ends") ?? call.constants(2)
        guard let listed = try call.listed("axes", input: 3), let steps = call.has(4) ? call.constants(4) : [] else {
            return [call[0].cleared(shape.map { _ in .unknown })]
        }
        let axes = listed ?? Array((starts ?? ends ?? Array(shape.indices)).indices)
        guard let starts, let ends else {
            // What is not cut stays as it is.
            var result = shape
            for axis in axes { result[try call.axis(axis, rank: shape.count)] = .unknown }
            return [call[0].cleared(result)]
        }
        guard starts.count == axes.count, ends.count == axes.count, steps.isEmpty || steps.count == axes.count else {
            throw call.failure(
                "a start, an end and a step for each of \(axes.count) axes",
                "\(starts.count), \(ends.count) and \(steps.count)")
        }
        var result = shape
        var cuts = shape.map { _ in (first: 0, step: 1) }
        for (place, number) in axes.enumerated() {
            let axis = try call.axis(number, rank: shape.count)
            let step = steps.isEmpty ? 1 : steps[place]
            guard step != 0 else { throw call.failure("steps other than 0", "0") }
            guard let size = shape[axis].size else {
                if !(starts[place] == 0 && ends[place] >= 1 << 31 - 1 && step == 1) { result[axis] = .unknown }
                continue
            }
            guard let cut = indices(size, from: starts[place], to: ends[place], by: step) else {
                result[axis] = .unknown
                continue
            }
            result[axis] = .size(cut.count)
            cuts[axis] = (cut.first, step)
        }
        let value = call[0].cleared(result)
        guard let sizes = value.sizes, let strides = call[0].strides else { return [value] }
        return [
            call[0].picked(sizes) { indices in
                indices.indices.reduce(0) { $0 + (cuts[$1].first + indices[$1] * cuts[$1].step) * strides[$1] }
            }
        ]
    }

    private static func gather(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let data = call.shape(0), let indices = call.shape(1) else { return [Value(type: call[0].type)] }
        let axis = try call.axis(try call.integer("axis") ?? 0, rank: data.count)
        var value = Value(type: call[0].type, shape: data[..<axis] + indices + data[(axis + 1)...])
        if data.count == 1, let list = call[0].integers, let places = call.constants(1) {
            for place in places where !(-list.count..<list.count).contains(place) {
                throw call.failure("an index of \(list.count) elements", "\(place)")
            }
            value.integers = places.map { list[$0 < 0 ? $0 + list.count : $0] }
        }
        return [value]
    }

    private static func gatherElements(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: call[0].type, shape: call.shape(1))]
    }

    private static func gatherND(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let data = call.shape(0), let indices = call.shape(1), let depth = indices.last?.size else {
            return [Value(type: call[0].type)]
        }
        let batch = try call.integer("batch_dims") ?? 0
        guard depth >= 0, batch >= 0, depth <= data.count, batch <= data.count - depth else {
            throw call.failure("indices into \(data.text)", "\(batch) batch dimensions and \(depth) indices")
        }
        return [Value(type: call[0].type, shape: indices.dropLast() + data[(batch + depth)...])]
    }

    private static func pad(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [call[0].cleared()] }
        let pads = try call.integers("pads").map { $0.map(Dimension.size) } ?? call[1].integers
        guard let pads, let listed = call.has(3) ? call.constants(3) : Array(shape.indices) else {
            return [call[0].cleared(shape.map { _ in .unknown })]
        }
        guard pads.count == 2 * listed.count else {
            throw call.failure("\(2 * listed.count) pads", "\(pads.count)")
        }
        var result = shape
        for (place, number) in listed.enumerated() {
            let axis = try call.axis(number, rank: shape.count)
            let before = pads[place]
            let after = pads[place + listed.count]
            if before == .size(0), after == .size(0) { continue }
            result[axis] = try call.sum([shape[axis], before, after])
            if let size = result[axis].size, size < 0 { throw call.failure("sizes from 0 on", "\(size)") }
        }
        return [call[0].cleared(result)]
    }

    private static func oneHot(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard var shape = call.shape(0) else { return [Value(type: call[2].type)] }
        let axis = try call.integer("axis") ?? -1
        let depth = call.constants(1)?.first ?? call[1].reals?.first.flatMap { Int(exactly: $0) }
        shape.insert(depth.map { .size($0) } ?? .unknown, at: try call.axis(axis, rank: shape.count + 1))
        return [Value(type: call[2].type, shape: shape)]
    }

    private static func nonZero(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: .i64, shape: [call.shape(0).map { .size($0.count) } ?? .unknown, .unknown])]
    }

    private static func topK(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard var shape = call.shape(0) else { return [call[0].cleared(), Value(type: .i64)] }
        let axis = try call.axis(try call.integer("axis") ?? -1, rank: shape.count)
        let k = try call.integer("k") ?? call.constants(1)?.first
        if let k, let size = shape[axis].size, !(0...size).contains(k) {
            throw call.failure("at most \(size) elements", "k of \(k)")
        }
        shape[axis] = k.map { .size($0) } ?? .unknown
        return [call[0].cleared(shape), Value(type: .i64, shape: shape)]
    }

    private static func compress(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard var shape = call.shape(0), let axis = try call.integer("axis") else {
            return [call[0].cleared([.unknown])]
        }
        shape[try call.axis(axis, rank: shape.count)] = .unknown
        return [call[0].cleared(shape)]
    }

    private static func unique(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let values = try compress(&call)
        let list = Value(type: .i64, shape: [.unknown])
        return values + [list, list, list]
    }

    private static func nonMaxSuppression(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        [Value(type: .i64, shape: [.unknown, .size(3)])]
    }

    private static func centerCropPad(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard var shape = call.shape(0), let sizes = call[1].integers else { return [call[0].cleared(.some(nil))] }
        let axes = try call.integers("axes") ?? Array(shape.indices)
        guard axes.count == sizes.count else { throw call.failure("\(axes.count) sizes", "\(sizes.count)") }
        for (axis, size) in zip(axes, sizes) { shape[try call.axis(axis, rank: shape.count)] = size }
        return [call[0].cleared(shape)]
    }
}
