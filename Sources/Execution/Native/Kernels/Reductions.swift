import Glibc
import ModelFiles

/// Operators that make one element of many.
extension Kernels {
    static let reductions: [String: Kernel] = [
        "ReduceSum": { (call) throws(KernelFailure) in
            try reduce(&call) {
                $0
            } join: {
                $0 + $1
            } end: { sum, _ in
                sum
            } integers: {
                $0 &+ $1
            }
        },
        "ReduceMean": { (call) throws(KernelFailure) in
            try reduce(&call) {
                $0
            } join: {
                $0 + $1
            } end: {
                $0 / Float($1)
            }
        },
        "ReduceMax": { (call) throws(KernelFailure) in
            try reduce(&call, first: -.infinity) {
                $0
            } join: {
                $0 > $1 || $0.isNaN ? $0 : $1
            } end: { most, _ in
                most
            } integers: {
                max($0, $1)
            }
        },
        "ReduceMin": { (call) throws(KernelFailure) in
            try reduce(&call, first: .infinity) {
                $0
            } join: {
                $0 < $1 || $0.isNaN ? $0 : $1
            } end: { least, _ in
                least
            } integers: {
                min($0, $1)
            }
        },
        "ReduceProd": { (call) throws(KernelFailure) in
            try reduce(&call, first: 1) {
                $0
            } join: {
                $0 * $1
            } end: { product, _ in
                product
            } integers: {
                $0 &* $1
            }
        },
        "ReduceL1": { (call) throws(KernelFailure) in
            try reduce(&call) {
                abs($0)
            } join: {
                $0 + $1
            } end: { sum, _ in
                sum
            }
        },
        "ReduceL2": { (call) throws(KernelFailure) in
            try reduce(&call) {
                $0 * $0
            } join: {
                $0 + $1
            } end: { sum, _ in
                sum.squareRoot()
            }
        },
        "ReduceSumSquare": { (call) throws(KernelFailure) in
            try reduce(&call) {
                $0 * $0
            } join: {
                $0 + $1
            } end: { sum, _ in
                sum
            }
        },
        "ReduceLogSum": { (call) throws(KernelFailure) in
            try reduce(&call) {
                $0
            } join: {
                $0 + $1
            } end: { sum, _ in
                logf(sum)
            }
        },
        "ReduceLogSumExp": logSumExp,
        "ArgMax": { (call) throws(KernelFailure) in
            try extreme(call) {
                $0 > $1
            } integers: {
                $0 > $1
            }
        },
        "ArgMin": { (call) throws(KernelFailure) in
            try extreme(call) {
                $0 < $1
            } integers: {
                $0 < $1
            }
        },
        "CumSum": cumulativeSum,
    ]

    /// The axes that a layer reduces; `nil` when it leaves all as they are.
    private static func reducedAxes(_ call: KernelCall, rank: Int) throws(KernelFailure) -> [Int]? {
        let listed = try call.listed("axes", input: 1) ?? []
        if listed.isEmpty {
            return call.flag("noop_with_empty_axes") ? nil : Array(0..<rank)
        }
        return try axes(listed, rank: rank)
    }

    /// Floats joined over some axes, which keep size 1.
    ///
    /// - Parameters:
    ///   - first: what joining begins with.
    ///   - map: what is made of each element before.
    ///   - end: what is made of the result, with the number of elements.
    @inline(__always)
    static func reduced(
        _ tensor: Tensor, _ axes: [Int], first: Float = 0, _ map: (Float) -> Float, join: (Float, Float) -> Float,
        end: (Float, Int) -> Float
    ) throws(KernelFailure) -> (elements: [Float], shape: [Int]) {
        guard case .floats(let floats) = tensor.elements else {
            throw KernelFailure(expected: "floats", found: "\(tensor.type)")
        }
        var shape = tensor.shape
        for axis in axes { shape[axis] = 1 }
        let each = axes.reduce(1) { $0 * tensor.shape[$1] }
        var results = [Float](repeating: first, count: try checkedCount(shape))
        if !floats.isEmpty {
            let (sizes, steps) = collapsed(
                tensor.shape, [rowMajorStrides(tensor.shape), broadcastStrides(shape, to: tensor.shape)])
            let (inner, step) = (sizes.last ?? 1, steps[1].last ?? 0)
            floats.withUnsafeBufferPointer { floats in
                results.withUnsafeMutableBufferPointer { results in
                    forEachRow(sizes.dropLast(), steps.map { Array($0.dropLast()) }, [0, 0]) { starts in
                        let (source, target) = (starts[0], starts[1])
                        if step == 0 {
                            var value = results[target]
                            for n in 0..<inner { value = join(value, map(floats[source &+ n])) }
                            results[target] = value
                        } else {
                            for n in 0..<inner {
                                let place = target &+ n &* step
                                results[place] = join(results[place], map(floats[source &+ n]))
                            }
                        }
                    }
                }
            }
        }
        for index in results.indices { results[index] = end(results[index], each) }
        return (results, shape)
    }

    @inline(__always)
    private static func reduce(
        _ call: inout KernelCall, first: Float = 0, _ map: (Float) -> Float, join: (Float, Float) -> Float,
        end: (Float, Int) -> Float, integers: ((Int64, Int64) -> Int64)? = nil
    ) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        guard let axes = try reducedAxes(call, rank: tensor.rank) else { return [tensor] }
        let kept = call.flag("keepdims", orElse: true)
        if case .integers(let elements) = tensor.elements {
            guard let integers else { throw KernelFailure(expected: "floats", found: "\(tensor.type)") }
            return [
                dropping(try reducedIntegers(elements, tensor, axes, integers), kept ? [] : axes)
            ]
        }
        let (results, shape) = try reduced(
            tensor.physical(), axes.map(tensor.physicalAxis), first: first, map, join: join, end: end)
        let result = Tensor(results, shape).logical(tensor.order)
        return [kept ? result : dropping(result, axes)]
    }

    private static func reducedIntegers(
        _ elements: [Int64], _ tensor: Tensor, _ axes: [Int], _ join: (Int64, Int64) -> Int64
    ) throws(KernelFailure) -> Tensor {
        var shape = tensor.shape
        for axis in axes { shape[axis] = 1 }
        var results = [Int64?](repeating: nil, count: try checkedCount(shape))
        // Nothing at all is what changes no other number: it shows on the ends of the type.
        guard !elements.isEmpty else {
            let (least, most) = ends(of: tensor.type)
            let identity = [0, 1, least, most].first { join($0, least) == least && join($0, most) == most } ?? 0
            return Tensor(results.map { _ in identity }, shape, tensor.type)
        }
        var place = 0
        forEachRow(tensor.shape, [broadcastStrides(shape, to: tensor.shape)], [0]) { starts in
            results[starts[0]] = results[starts[0]].map { join($0, elements[place]) } ?? elements[place]
            place += 1
        }
        return Tensor(results.map { wrapped($0 ?? 0, tensor.type) }, shape, tensor.type)
    }

    /// The least and the largest integer of a type.
    private static func ends(of type: DType) -> (Int64, Int64) {
        let bits = Int64(type == .bool ? 1 : type.bitWidth ?? 64)
        if bits == 64 { return (.min, .max) }
        return type == .bool || type.rawValue.hasPrefix("U")
            ? (0, 1 << bits - 1) : (-1 << (bits - 1), 1 << (bits - 1) - 1)
    }

    private static func dropping(_ tensor: Tensor, _ axes: [Int]) -> Tensor {
        tensor.reshaped(tensor.shape.indices.filter { !axes.contains($0) }.map { tensor.shape[$0] })
    }

    /// Over the largest element, so that nothing overflows.
    private static func logSumExp(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        guard let axes = try reducedAxes(call, rank: tensor.rank), case .floats(let floats) = tensor.elements else {
            return [tensor]
        }
        let most = try reduced(tensor, axes, first: -.infinity) {
            $0
        } join: {
            max($0, $1)
        } end: { most, _ in
            most.isFinite ? most : 0
        }
        let shifted = broadcasting(floats, tensor.shape, most.elements, most.shape, tensor.shape) { expf($0 - $1) }
        let sums = try reduced(Tensor(shifted, tensor.shape), axes) {
            $0
        } join: {
            $0 + $1
        } end: { sum, _ in
            logf(sum)
        }
        let results = Tensor(sums.elements.indices.map { sums.elements[$0] + most.elements[$0] }, sums.shape)
        return [dropping(results, call.flag("keepdims", orElse: true) ? [] : axes)]
    }

    private static func extreme(
        _ call: KernelCall, _ floats: (Float, Float) -> Bool, integers: (Int64, Int64) -> Bool
    ) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let axis = try axis(try call.integer("axis", orElse: 0), rank: tensor.rank)
        let takesLast = call.flag("select_last_index")
        let length = tensor.shape[axis]
        guard length > 0 else { throw KernelFailure(expected: "elements to choose of", found: text(tensor.shape)) }
        let step = tensor.shape[(axis + 1)...].reduce(1, *)
        var shape = tensor.shape
        shape[axis] = 1
        func winner(_ start: Int, _ isBetter: (Int, Int) -> Bool) -> Int64 {
            var best = 0
            for index in 1..<max(length, 1) {
                let (a, b) = (start + index * step, start + best * step)
                if isBetter(a, b) || takesLast && !isBetter(b, a) { best = index }
            }
            return Int64(best)
        }
        var results: [Int64] = []
        for block in 0..<(tensor.count / max(length * step, 1)) {
            for inner in 0..<step {
                let start = block * length * step + inner
                switch tensor.elements {
                case .floats(let list): results.append(winner(start) { floats(list[$0], list[$1]) })
                case .integers(let list): results.append(winner(start) { integers(list[$0], list[$1]) })
                }
            }
        }
        return [dropping(Tensor(results, shape), call.flag("keepdims", orElse: true) ? [] : [axis])]
    }

    private static func cumulativeSum(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        let axis = try axis(try call.integers(1).first ?? 0, rank: tensor.rank)
        let (isExclusive, isReverse) = (call.flag("exclusive"), call.flag("reverse"))
        let length = tensor.shape[axis]
        let step = tensor.shape[(axis + 1)...].reduce(1, *)
        func summed<Number: BitwiseCopyable>(_ list: [Number], _ zero: Number, _ add: (Number, Number) -> Number)
            -> [Number]
        {
            var result = list
            for block in 0..<(list.count / max(length * step, 1)) {
                for inner in 0..<step {
                    var sum = zero
                    for number in 0..<length {
                        let index = isReverse ? length - 1 - number : number
                        let place = block * length * step + index * step + inner
                        let next = add(sum, list[place])
                        result[place] = isExclusive ? sum : next
                        sum = next
                    }
                }
            }
            return result
        }
        switch tensor.elements {
        case .floats(let list): return [Tensor(summed(list, 0, +), tensor.shape)]
        case .integers(let list):
            let type = tensor.type
            return [Tensor(summed(list, 0) { wrapped($0 &+ $1, type) }, tensor.shape, type)]
        }
    }
}
