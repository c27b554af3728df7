import ModelFiles
import ModelGraph

/// Operators that pick elements by indices, or put them there.
extension Kernels {
    static let gathers: [String: Kernel] = [
        "Gather": gather, "GatherElements": gatherElements, "GatherND": gatherND, "ScatterND": scatterND,
        "ScatterElements": scatterElements,
        "TopK": topK, "NonZero": nonZero,
    ]

    /// An index as one below `size`.
    private static func index(_ index: Int, below size: Int) throws(KernelFailure) -> Int {
        let place = index < 0 ? index + size : index
        guard (0..<size).contains(place) else {
            throw KernelFailure(expected: "an index of \(size) elements", found: "\(index)")
        }
        return place
    }

    private static func gather(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let data = try call.tensor(0)
        let axis = try axis(try call.integer("axis", orElse: 0), rank: data.rank)
        let size = data.shape[axis]
        var indices: [Int] = []
        for number in try call.integers(1) { indices.append(try index(number, below: size)) }
        let inner = data.shape[(axis + 1)...].reduce(1, *)
        let blocks = data.shape[..<axis].reduce(1, *)
        let shape = try Array(data.shape[..<axis]) + call.tensor(1).shape + Array(data.shape[(axis + 1)...])
        let count = try checkedCount(shape)
        func picked<Element>(_ list: [Element]) -> [Element] {
            var result: [Element] = []
            result.reserveCapacity(count)
            for block in 0..<blocks {
                for index in indices {
                    let start = (block * size + index) * inner
                    result += list[start..<start + inner]
                }
            }
            return result
        }
        switch data.elements {
        case .floats(let list): return [Tensor(picked(list), shape)]
        case .integers(let list): return [Tensor(picked(list), shape, data.type)]
        }
    }

    private static func gatherElements(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (data, chosen) = (try call.tensor(0), try call.tensor(1))
        let indices = try call.integers(1)
        let axis = try axis(try call.integer("axis", orElse: 0), rank: data.rank)
        guard chosen.rank == data.rank,
            data.shape.indices.allSatisfy({ $0 == axis || chosen.shape[$0] <= data.shape[$0] })
        else {
            throw KernelFailure(expected: "indices within \(text(data.shape))", found: text(chosen.shape))
        }
        guard !indices.isEmpty else { return [data.picked([], chosen.shape)] }
        var strides = rowMajorStrides(data.shape)
        let step = strides[axis]
        strides[axis] = 0
        var places: [Int] = []
        try forEachRow(chosen.shape, [strides], [0]) { (starts) throws(KernelFailure) in
            places.append(starts[0] + step * (try index(indices[places.count], below: data.shape[axis])))
        }
        return [data.picked(places, chosen.shape)]
    }

    /// The places in `data` that the tuples of indices are of.
    private static func tuplePlaces(
        _ indices: [Int], depth: Int, _ shape: ArraySlice<Int>, _ strides: ArraySlice<Int>
    ) throws(KernelFailure) -> [Int] {
        var places: [Int] = []
        for start in stride(from: 0, to: indices.count, by: max(depth, 1)) {
            var place = 0
            for number in 0..<depth {
                place +=
                    strides[strides.startIndex + number]
                    * (try index(indices[start + number], below: shape[shape.startIndex + number]))
            }
            places.append(place)
        }
        return places
    }

    private static func gatherND(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (data, chosen) = (try call.tensor(0), try call.tensor(1))
        let batch = try call.integer("batch_dims", orElse: 0)
        guard let depth = chosen.shape.last, depth > 0, batch >= 0, batch < chosen.rank, depth + batch <= data.rank,
            chosen.shape[..<batch] == data.shape[..<batch]
        else { throw KernelFailure(expected: "indices into \(text(data.shape))", found: text(chosen.shape)) }
        let strides = rowMajorStrides(data.shape)
        let tuples = try tuplePlaces(try call.integers(1), depth: depth, data.shape[batch...], strides[batch...])
        let inner = data.shape[(batch + depth)...].reduce(1, *)
        let shape = Array(chosen.shape.dropLast()) + Array(data.shape[(batch + depth)...])
        _ = try checkedCount(shape)
        let blocks = data.shape[..<batch].reduce(1, *)
        let (each, area) = (tuples.count / max(blocks, 1), data.count / max(blocks, 1))
        var places: [Int] = []
        for (number, tuple) in tuples.enumerated() {
            let start = number / max(each, 1) * area + tuple
            for place in 0..<inner { places.append(start + place) }
        }
        return [data.picked(places, shape)]
    }

    private static func scatterND(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (chosen, updates) = (try call.tensor(1), try call.tensor(2))
        let data = try call.tensor(0)
        guard let depth = chosen.shape.last, depth > 0, depth <= data.rank,
            updates.shape == chosen.shape.dropLast() + data.shape[depth...], updates.type == data.type
        else {
            throw KernelFailure(
                expected: "indices into \(text(data.shape)) and an update for each",
                found: "\(text(chosen.shape)) and \(text(updates.shape))")
        }
        let strides = rowMajorStrides(data.shape)
        let tuples = try tuplePlaces(try call.integers(1), depth: depth, data.shape[...], strides[...])
        let inner = data.shape[depth...].reduce(1, *)
        return [try scattered(call, data, tuples, inner, updates)]
    }

    private static func scatterElements(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (data, chosen, updates) = (try call.tensor(0), try call.tensor(1), try call.tensor(2))
        let axis = try axis(try call.integer("axis", orElse: 0), rank: data.rank)
        guard chosen.shape == updates.shape, chosen.rank == data.rank, updates.type == data.type,
            data.shape.indices.allSatisfy({ $0 == axis || chosen.shape[$0] <= data.shape[$0] })
        else {
            throw KernelFailure(
                expected: "indices into \(text(data.shape)) and an update for each",
                found: "\(text(chosen.shape)) and \(text(updates.shape))")
        }
        let indices = try call.integers(1)
        guard !indices.isEmpty else { return [data] }
        var strides = rowMajorStrides(data.shape)
        let step = strides[axis]
        strides[axis] = 0
        var places: [Int] = []
        try forEachRow(chosen.shape, [strides], [0]) { (starts) throws(KernelFailure) in
            places.append(starts[0] + step * (try index(indices[places.count], below: data.shape[axis])))
        }
        return [try scattered(call, data, places, 1, updates)]
    }

    /// Puts updates where they belong, by the layer's reduction.
    ///
    /// - Parameters:
    ///   - starts: where in the data each update begins.
    ///   - length: elements of an update.
    private static func scattered(
        _ call: KernelCall, _ data: Tensor, _ starts: [Int], _ length: Int, _ updates: Tensor
    ) throws(KernelFailure) -> Tensor {
        let reduction = call.string("reduction", orElse: "none")
        func scattered<Number: Comparable & BitwiseCopyable>(
            _ list: [Number], _ updates: [Number], add: (Number, Number) -> Number, multiply: (Number, Number) -> Number
        ) throws(KernelFailure) -> [Number] {
            var result = list
            for (number, start) in starts.enumerated() {
                for index in 0..<length {
                    let (old, new) = (result[start + index], updates[number * length + index])
                    switch reduction {
                    case "none": result[start + index] = new
                    case "add": result[start + index] = add(old, new)
                    case "mul": result[start + index] = multiply(old, new)
                    case "max": result[start + index] = max(old, new)
                    case "min": result[start + index] = min(old, new)
                    default: throw KernelFailure(expected: "a reduction of the standard", found: reduction)
                    }
                }
            }
            return result
        }
        let type = data.type
        switch (data.elements, updates.elements) {
        case (.floats(let list), .floats(let new)):
            return Tensor(try scattered(list, new, add: +, multiply: *), data.shape)
        case (.integers(let list), .integers(let new)):
            return Tensor(
                try scattered(list, new, add: { wrapped($0 &+ $1, type) }, multiply: { wrapped($0 &* $1, type) }),
                data.shape, type)
        default: throw KernelFailure(expected: "inputs of one type", found: "\(type) and \(updates.type)")
        }
    }

    private static func topK(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let axis = try axis(try call.integer("axis", orElse: -1), rank: tensor.rank)
        let size = tensor.shape[axis]
        let k = try call.layer.attributes["k"] != nil ? call.integer("k", orElse: 0) : call.integers(1).first ?? 0
        guard (0...size).contains(k) else { throw KernelFailure(expected: "at most \(size) elements", found: "\(k)") }
        let takesLargest = call.flag("largest", orElse: true)
        let step = tensor.shape[(axis + 1)...].reduce(1, *)
        var shape = tensor.shape
        shape[axis] = k
        var places = [Int](repeating: 0, count: try checkedCount(shape))
        var indices = [Int64](repeating: 0, count: places.count)
        func order(_ a: Int, _ b: Int) -> Bool {
            switch tensor.elements {
            case .floats(let list): takesLargest ? list[a] > list[b] : list[a] < list[b]
            case .integers(let list): takesLargest ? list[a] > list[b] : list[a] < list[b]
            }
        }
        for block in 0..<(tensor.count / max(size * step, 1)) {
            for inner in 0..<step {
                let start = block * size * step + inner
                // Of equal elements the first comes first.
                let sorted = (0..<size).sorted {
                    let (a, b) = (start + $0 * step, start + $1 * step)
                    return order(a, b) || !order(b, a) && $0 < $1
                }
                for number in 0..<k {
                    let target = (block * k + number) * step + inner
                    places[target] = start + sorted[number] * step
                    indices[target] = Int64(sorted[number])
                }
            }
        }
        return [tensor.picked(places, shape), Tensor(indices, shape)]
    }

    private static func nonZero(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let places =
            switch tensor.elements {
            case .floats(let list): list.indices.filter { list[$0] != 0 }
            case .integers(let list): list.indices.filter { list[$0] != 0 }
            }
        let strides = rowMajorStrides(tensor.shape)
        let indices = tensor.shape.indices.flatMap { axis in
            places.map { Int64($0 / strides[axis] % tensor.shape[axis]) }
        }
        return [Tensor(indices, [tensor.rank, places.count])]
    }
}
