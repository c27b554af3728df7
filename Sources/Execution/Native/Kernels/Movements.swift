import ModelFiles
import ModelGraph

/// Operators that put elements elsewhere.
extension Kernels {
    static let movements: [String: Kernel] = [
        "Transpose": transpose, "Concat": concat, "Split": split, "Slice": slice, "Pad": pad,
        "Expand": { (call) throws(KernelFailure) in
            let tensor = try call.tensor(0)
            return [tensor.broadcast(to: try broadcastShape(tensor.shape, try call.integers(1)))]
        },
        "Tile": tile, "DepthToSpace": depthToSpace, "SpaceToDepth": spaceToDepth, "Trilu": triangle,
    ]

    private static func transpose(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        var order = Array(tensor.shape.indices.reversed())
        if case .integers(let list)? = call.layer.attributes["perm"] {
            order = try axes(list, rank: tensor.rank)
            guard order.count == tensor.rank else {
                throw KernelFailure(expected: "an order of \(tensor.rank) dimensions", found: "\(list.prefix(16))")
            }
        }
        let strides = tensor.strides
        return [tensor.strided(order.map { tensor.shape[$0] }, order.map { strides[$0] })]
    }

    private static func concat(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensors = call.inputs.compactMap(\.self)
        guard let first = tensors.first else { throw KernelFailure(expected: "inputs", found: "none") }
        let axis = try axis(try call.integer("axis", orElse: 1), rank: first.rank)
        var shape = first.shape
        shape[axis] = 0
        for tensor in tensors {
            guard tensor.type == first.type, tensor.rank == first.rank,
                shape.indices.allSatisfy({ $0 == axis || tensor.shape[$0] == shape[$0] })
            else {
                throw KernelFailure(
                    expected: "inputs alike but for axis \(axis)",
                    found: "\(text(first.shape)) and \(text(tensor.shape))"
                )
            }
            shape[axis] += tensor.shape[axis]
        }
        let count = try checkedCount(shape)
        let blocks = shape[..<axis].reduce(1, *)
        func joined<Element>(_ lists: [[Element]]) -> [Element] {
            var result: [Element] = []
            result.reserveCapacity(count)
            for block in 0..<blocks {
                for list in lists {
                    let size = list.count / blocks
                    result += list[block * size..<(block + 1) * size]
                }
            }
            return result
        }
        if first.type == .f32 {
            return [
                Tensor(joined(tensors.map { if case .floats(let list) = $0.elements { list } else { [] } }), shape)
            ]
        }
        let lists = tensors.map { if case .integers(let list) = $0.elements { list } else { [Int64]() } }
        return [Tensor(joined(lists), shape, first.type)]
    }

    private static func split(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let axis = try axis(try call.integer("axis", orElse: 0), rank: tensor.rank)
        let size = tensor.shape[axis]
        let parts: [Int]
        if let listed = try call.listed("split", input: 1) {
            parts = listed
        } else {
            let count = call.layer.outputs.count
            guard count > 0 else { return [] }
            let each = (size + count - 1) / count
            parts = (0..<count).map { max(min(each, size - $0 * each), 0) }
        }
        guard parts.allSatisfy({ $0 >= 0 }), parts.reduce(0, +) == size, parts.count == call.layer.outputs.count else {
            throw KernelFailure(
                expected: "\(call.layer.outputs.count) parts of \(size)", found: "\(parts.prefix(16))")
        }
        let strides = rowMajorStrides(tensor.shape)
        var results: [Tensor] = []
        var start = 0
        for part in parts {
            var shape = tensor.shape
            shape[axis] = part
            results.append(tensor.strided(shape, strides, offset: start * strides[axis]))
            start += part
        }
        return results
    }

    private static func slice(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        guard let starts = try call.listed("starts", input: 1), let ends = try call.listed("ends", input: 2) else {
            throw KernelFailure(expected: "starts and ends", found: "none")
        }
        let list = try axes(try call.listed("axes", input: 3) ?? Array(starts.indices), rank: tensor.rank)
        let steps = try call.optionalIntegers(4) ?? starts.map { _ in 1 }
        guard starts.count == list.count, ends.count == list.count, steps.count == list.count, !steps.contains(0) else {
            throw KernelFailure(
                expected: "a start, an end and a step for each of \(list.count) axes",
                found: "\(starts.count), \(ends.count) and \(steps.count)")
        }
        var shape = tensor.shape
        var strides = rowMajorStrides(tensor.shape)
        var offset = 0
        for (place, axis) in list.enumerated() {
            let (size, step) = (tensor.shape[axis], steps[place])
            func bound(_ index: Int) -> Int {
                let index = index < 0 ? index + size : index
                return step > 0 ? min(max(index, 0), size) : min(max(index, -1), size - 1)
            }
            let (first, end) = (bound(starts[place]), bound(ends[place]))
            let room = step > 0 ? end - first : first - end
            let width = abs(step)
            shape[axis] = max((room + width - 1) / width, 0)
            offset += max(first, 0) * strides[axis]
            strides[axis] = strides[axis] &* step
        }
        return [tensor.strided(shape, strides, offset: offset)]
    }

    private static func pad(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let order = try call.tensor(0).order
        let tensor = try call.tensor(0).physical()
        let list = try axes(try call.optionalIntegers(3) ?? Array(tensor.shape.indices), rank: tensor.rank)
            .map(try call.tensor(0).physicalAxis)
        guard let pads = try call.listed("pads", input: 1), pads.count == 2 * list.count else {
            throw KernelFailure(expected: "\(2 * list.count) pads", found: "others")
        }
        var fill = call.has(2) ? try call.tensor(2) : nil
        if case .number(let number)? = call.layer.attributes["value"] { fill = Tensor([Float(number)], []) }
        let mode = call.string("mode", orElse: "constant")
        var shape = tensor.shape
        var places = tensor.shape.map { Array(0..<$0) }
        for (number, axis) in list.enumerated() {
            let (before, after, size) = (pads[number], pads[number + list.count], tensor.shape[axis])
            shape[axis] = max(size + before + after, 0)
            _ = try checkedCount([shape[axis]])
            let period = 2 * (size - 1)
            places[axis] = try (0..<shape[axis]).map { (index) throws(KernelFailure) in
                let place = index - before
                if (0..<size).contains(place) { return place }
                guard mode == "constant" || size > 0 else {
                    throw KernelFailure(expected: "elements to pad with", found: text(tensor.shape))
                }
                switch mode {
                case "constant": return -1
                case "edge": return min(max(place, 0), size - 1)
                case "wrap": return (place % size + size) % size
                case "reflect":
                    guard period > 0 else { return 0 }
                    let turn = (place % period + period) % period
                    return min(turn, period - turn)
                default: throw KernelFailure(expected: "a mode of the standard", found: mode)
                }
            }
        }
        _ = try checkedCount(shape)
        return [tensor.picked(places, fill: fill).logical(order)]
    }

    private static func tile(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let repeats = try call.integers(1)
        guard repeats.count == tensor.rank, repeats.allSatisfy({ $0 >= 0 }) else {
            throw KernelFailure(expected: "\(tensor.rank) repeats", found: "\(repeats.prefix(16))")
        }
        let shape = tensor.shape.indices.map { tensor.shape[$0].multipliedReportingOverflow(by: repeats[$0]) }
        guard shape.allSatisfy({ !$0.overflow }) else {
            throw KernelFailure(expected: "sizes that fit in memory", found: "larger ones")
        }
        let sizes = shape.map(\.partialValue)
        _ = try checkedCount(sizes)
        let places = sizes.indices.map { axis in (0..<sizes[axis]).map { $0 % tensor.shape[axis] } }
        return [tensor.picked(places)]
    }

    private static func blockSize(_ call: KernelCall, _ tensor: Tensor) throws(KernelFailure) -> Int {
        let size = try call.integer("blocksize", orElse: 0)
        guard tensor.rank == 4, size > 0, size <= 1 << 16 else {
            throw KernelFailure(expected: "an input of N x C x H x W and a block size", found: text(tensor.shape))
        }
        return size
    }

    private static func depthToSpace(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let size = try blockSize(call, tensor)
        let (n, c, h, w) = (tensor.shape[0], tensor.shape[1], tensor.shape[2], tensor.shape[3])
        guard c % (size * size) == 0 else {
            throw KernelFailure(expected: "channels in blocks of \(size * size)", found: "\(c)")
        }
        let left = c / (size * size)
        let isRowFirst = call.string("mode", orElse: "DCR") == "DCR"
        let split = isRowFirst ? [n, size, size, left, h, w] : [n, left, size, size, h, w]
        let order = isRowFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
        let strides = rowMajorStrides(split)
        return [
            tensor.strided(order.map { split[$0] }, order.map { strides[$0] }).reshaped([n, left, h * size, w * size])
        ]
    }

    private static func spaceToDepth(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let size = try blockSize(call, tensor)
        let (n, c, h, w) = (tensor.shape[0], tensor.shape[1], tensor.shape[2], tensor.shape[3])
        guard h % size == 0, w % size == 0 else {
            throw KernelFailure(expected: "sides in blocks of \(size)", found: text(tensor.shape))
        }
        let split = [n, c, h / size, size, w / size, size]
        let order = call.string("mode", orElse: "DCR") == "DCR" ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4]
        let strides = rowMajorStrides(split)
        return [
            tensor.strided(order.map { split[$0] }, order.map { strides[$0] })
                .reshaped([n, c * size * size, h / size, w / size])
        ]
    }

    /// The upper or lower triangle of matrices; the rest is 0.
    private static func triangle(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        guard tensor.rank > 1 else { throw KernelFailure(expected: "matrices", found: text(tensor.shape)) }
        let shift = try call.optionalIntegers(1)?.first ?? 0
        let isUpper = call.flag("upper", orElse: true)
        let (rows, columns) = (tensor.shape[tensor.rank - 2], tensor.shape[tensor.rank - 1])
        let places = (0..<tensor.count).map { place in
            let (row, column) = (place / columns % rows, place % columns)
            return (isUpper ? column - row >= shift : column - row <= shift) ? place : -1
        }
        return [tensor.picked(places, tensor.shape)]
    }
}
