/// The shape of what two tensors make together, element by element.
///
/// Source: "Broadcasting.md" of onnx/onnx.
func broadcastShape(_ a: [Int], _ b: [Int]) throws(KernelFailure) -> [Int] {
    let rank = max(a.count, b.count)
    var shape = [Int](repeating: 1, count: rank)
    for axis in 0..<rank {
        let first = axis < rank - a.count ? 1 : a[axis - rank + a.count]
        let second = axis < rank - b.count ? 1 : b[axis - rank + b.count]
        guard first == second || first == 1 || second == 1 else {
            throw KernelFailure(expected: "shapes that broadcast", found: "\(text(a)) and \(text(b))")
        }
        shape[axis] = first == 1 ? second : first
    }
    _ = try checkedCount(shape)
    return shape
}

/// Strides by which a tensor is read as one of a larger shape: 0 where it is repeated.
func broadcastStrides(_ shape: [Int], to target: [Int]) -> [Int] {
    let own = rowMajorStrides(shape)
    return target.indices.map { axis in
        let index = axis - target.count + shape.count
        return index < 0 || shape[index] == 1 ? 0 : own[index]
    }
}

/// Merges dimensions that all positions pass through in one stride, and drops those of one index.
func collapsed(_ shape: [Int], _ strides: [[Int]]) -> (shape: [Int], strides: [[Int]]) {
    var sizes: [Int] = []
    var steps = strides.map { _ in [Int]() }
    for axis in shape.indices where shape[axis] != 1 {
        let merges =
            !sizes.isEmpty
            && strides.indices.allSatisfy { (steps[$0].last ?? 0) == strides[$0][axis] * shape[axis] }
        if merges {
            sizes[sizes.count - 1] *= shape[axis]
            for number in strides.indices { steps[number][steps[number].count - 1] = strides[number][axis] }
        } else {
            sizes.append(shape[axis])
            for number in strides.indices { steps[number].append(strides[number][axis]) }
        }
    }
    return (sizes, steps)
}

/// What two tensors make together, element by element.
///
/// - Parameter shape: theirs together, as ``broadcastShape(_:_:)`` gives it.
@inline(__always)
func broadcasting<A: BitwiseCopyable, B: BitwiseCopyable, Result: BitwiseCopyable>(
    _ a: [A], _ aShape: [Int], _ b: [B], _ bShape: [Int], _ shape: [Int], _ body: (A, B) -> Result
) -> [Result] {
    let count = shape.reduce(1, *)
    guard count > 0 else { return [] }
    return [Result](unsafeUninitializedCapacity: count) { target, done in
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                let (sizes, steps) = collapsed(
                    shape, [broadcastStrides(aShape, to: shape), broadcastStrides(bShape, to: shape)])
                let inner = sizes.last ?? 1
                let (aStep, bStep) = (steps[0].last ?? 0, steps[1].last ?? 0)
                var place = 0
                forEachRow(sizes.dropLast(), steps.map { Array($0.dropLast()) }, [0, 0]) { starts in
                    let (i, j) = (starts[0], starts[1])
                    switch (aStep, bStep) {
                    case (1, 1): for n in 0..<inner { target[place &+ n] = body(a[i &+ n], b[j &+ n]) }
                    case (1, 0):
                        let value = b[j]
                        for n in 0..<inner { target[place &+ n] = body(a[i &+ n], value) }
                    case (0, 1):
                        let value = a[i]
                        for n in 0..<inner { target[place &+ n] = body(value, b[j &+ n]) }
                    default: for n in 0..<inner { target[place &+ n] = body(a[i &+ n &* aStep], b[j &+ n &* bStep]) }
                    }
                    place += inner
                }
            }
        }
        done = count
    }
}

extension Tensor {
    /// The tensor repeated to a larger shape.
    func broadcast(to shape: [Int]) -> Tensor {
        self.shape == shape ? self : strided(shape, broadcastStrides(self.shape, to: shape))
    }
}
