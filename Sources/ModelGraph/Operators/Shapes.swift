import ModelFiles

/// Operators that give a value another shape, or give a shape as a value.
extension Operators {
    static let shapes: [String: Operator] = [
        "Shape": Operator(shape), "Size": Operator(size),
        "Reshape": Operator(reshape, buffer: .view), "Flatten": Operator(flatten, buffer: .view),
        "Squeeze": Operator(squeeze, buffer: .view), "Unsqueeze": Operator(unsqueeze, buffer: .view),
        "Transpose": Operator(transpose), "DepthToSpace": Operator(depthToSpace),
        "SpaceToDepth": Operator(spaceToDepth), "Expand": Operator(expand), "Tile": Operator(tile),
    ]

    private static func shape(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [Value(type: .i64, shape: [.unknown])] }
        func bound(_ name: String, _ otherwise: Int) throws(GraphError) -> Int {
            let number = try call.integer(name) ?? otherwise
            return min(max(number < 0 ? number + shape.count : number, 0), shape.count)
        }
        let start = try bound("start", 0)
        let part = Array(shape[start..<max(start, try bound("end", shape.count))])
        return [Value(type: .i64, shape: [.size(part.count)], integers: part)]
    }

    private static func size(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = Value(type: .i64, shape: [])
        if let shape = call.shape(0) { value.integers = [try call.product(shape)] }
        return [value]
    }

    private static func reshape(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = call[0]
        guard let target = call[1].integers else {
            let rank = call.shape(1)?.first?.size
            return [value.cleared(rank.flatMap { $0 <= 64 ? Array(repeating: .unknown, count: $0) : nil })]
        }
        value.shape = try reshaped(call.shape(0), to: target, call)
        return [value]
    }

    /// The shape that a list of sizes stands for, in which 0 copies a size and -1 takes what is left.
    private static func reshaped(
        _ shape: [Dimension]?, to target: [Dimension], _ call: OperatorCall
    ) throws(GraphError) -> [Dimension] {
        var result: [Dimension] = []
        var left = shape
        var open: Int?
        for (index, dimension) in target.enumerated() {
            switch dimension {
            case .size(0) where !call.flag("allowzero"):
                guard let shape else { result.append(.unknown); continue }
                guard index < shape.count else { throw call.failure("at least \(index + 1) dimensions", shape.text) }
                result.append(shape[index])
            case .size(-1):
                guard open == nil else { throw call.failure("-1 once in a shape", target.text) }
                open = index
                result.append(.unknown)
            case .size(let size) where size < 0: throw call.failure("sizes from -1 on", target.text)
            default: result.append(dimension)
            }
            // What stays open on both sides cancels out.
            if open != index, result[index].size == nil {
                if let place = left?.firstIndex(of: result[index]) { left?.remove(at: place) } else { left = nil }
            }
        }
        let known = try call.product(result.indices.filter { $0 != open && result[$0].size != nil }.map { result[$0] })
        guard let left, let divisor = known.size else { return result }
        let sizes = try call.product(left.filter { $0.size != nil }).size ?? 0
        let names = left.filter { $0.size == nil }
        guard let open else {
            guard !names.isEmpty || sizes == divisor else {
                throw call.failure("a shape of \(shape?.text ?? "?")'s elements", target.text)
            }
            return result
        }
        if names.isEmpty {
            guard divisor > 0, sizes.isMultiple(of: divisor) else {
                throw call.failure("a shape of \(shape?.text ?? "?")'s elements", target.text)
            }
            result[open] = .size(sizes / divisor)
        } else if names.count == 1, sizes == divisor {
            result[open] = names[0]
        }
        return result
    }

    private static func flatten(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [call[0].cleared([.unknown, .unknown])] }
        var axis = try call.integer("axis") ?? 1
        if axis < 0 { axis += shape.count }
        guard (0...shape.count).contains(axis) else { throw call.failure("an axis of \(shape.text)", "\(axis)") }
        return [call[0].cleared([try call.product(shape[..<axis]), try call.product(shape[axis...])])]
    }

    private static func squeeze(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = call[0]
        guard let shape = value.shape, let listed = try call.listed("axes", input: 1) else {
            return [value.cleared(.some(nil))]
        }
        let axes: [Int]
        if let listed {
            axes = try call.axes(listed, rank: shape.count)
        } else {
            guard shape.allSatisfy({ $0.size != nil }) else { return [value.cleared(.some(nil))] }
            axes = shape.indices.filter { shape[$0] == .size(1) }
        }
        for axis in axes {
            if let size = shape[axis].size, size != 1 {
                throw call.failure("size 1 on axis \(axis)", "\(size)")
            }
        }
        value.shape = shape.indices.filter { !axes.contains($0) }.map { shape[$0] }
        return [value]
    }

    private static func unsqueeze(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        var value = call[0]
        guard let shape = value.shape, let axes = try call.listed("axes", input: 1).flatMap(\.self) else {
            return [value.cleared(.some(nil))]
        }
        let rank = shape.count + axes.count
        let places = Set(try call.axes(axes, rank: rank))
        var rest = shape.makeIterator()
        value.shape = (0..<rank).map { places.contains($0) ? .size(1) : rest.next() ?? .unknown }
        return [value]
    }

    private static func transpose(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let value = call[0]
        guard let shape = value.shape else { return [value] }
        let order = try call.integers("perm") ?? shape.indices.reversed()
        guard order.sorted() == Array(shape.indices) else {
            throw call.failure("an order of \(shape.count) dimensions", "\(order.prefix(16))")
        }
        guard let strides = value.strides, let sizes = value.sizes else {
            return [value.cleared(order.map { shape[$0] })]
        }
        return [
            value.picked(order.map { sizes[$0] }) { indices in
                zip(indices, order).reduce(0) { $0 + $1.0 * strides[$1.1] }
            }
        ]
    }

    private static func blocks(_ call: OperatorCall) throws(GraphError) -> (shape: [Dimension], block: Int)? {
        guard let shape = call.shape(0) else { return nil }
        guard shape.count == 4 else { throw call.wrongShape(0, "4 dimensions") }
        let block = try call.integer("blocksize") ?? 0
        guard block > 0 else { throw call.failure("a blocksize above 0", "\(block)") }
        return (shape, block)
    }

    private static func depthToSpace(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let (shape, block) = try blocks(call) else { return [call[0].cleared()] }
        return [
            call[0].cleared([
                shape[0], shape[1].size.map { .size($0 / (block * block)) } ?? .unknown,
                try call.product([shape[2], .size(block)]), try call.product([shape[3], .size(block)]),
            ])
        ]
    }

    private static func spaceToDepth(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let (shape, block) = try blocks(call) else { return [call[0].cleared()] }
        return [
            call[0].cleared([
                shape[0], try call.product([shape[1], .size(block), .size(block)]),
                shape[2].size.map { .size($0 / block) } ?? .unknown,
                shape[3].size.map { .size($0 / block) } ?? .unknown,
            ])
        ]
    }

    private static func expand(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let target = call[1].integers else { return [call[0].cleared(.some(nil))] }
        guard !target.contains(where: { ($0.size ?? 0) < 0 }) else {
            throw call.failure("sizes from 0 on", target.text)
        }
        var value = call[0].cleared(try broadcast([call.shape(0), target], call))
        if let integers = call[0].integers, let count = value.count, count <= Value.mostFollowed {
            if integers.count == count { value.integers = integers }
            if integers.count == 1 { value.integers = Array(repeating: integers[0], count: count) }
        }
        return [value]
    }

    private static func tile(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0) else { return [call[0].cleared()] }
        guard let repeats = call[1].integers else {
            return [call[0].cleared(shape.map { _ in .unknown })]
        }
        guard repeats.count == shape.count, !repeats.contains(where: { ($0.size ?? 0) < 0 }) else {
            throw call.failure("\(shape.count) repeats from 0 on", repeats.text)
        }
        var result: [Dimension] = []
        for (size, factor) in zip(shape, repeats) { result.append(try call.product([size, factor])) }
        return [call[0].cleared(result)]
    }
}
