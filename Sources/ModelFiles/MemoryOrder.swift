/// The order in which memory holds the dimensions of a strided tensor, slowest first.
///
/// - Parameters:
///   - shape: sizes, none negative.
///   - strides: elements from one index to the next, as many as there are sizes.
/// - Returns: a permutation of the dimensions, the identity when the tensor is row-major; nil when the elements do not fill
///   memory one after another.
func memoryOrder(shape: [Int], strides: [Int]) -> [Int]? {
    let identity = Array(shape.indices)
    guard let count = elementCount(shape) else { return nil }
    if count <= 1 { return identity }
    // A dimension of one element is never stepped along: its stride means nothing and its place is free.
    let stepped = identity.filter { shape[$0] > 1 }
    let order = stepped.sorted { (strides[$0], $1) > (strides[$1], $0) }
    var expected = 1
    for dimension in order.reversed() {
        guard strides[dimension] == expected else { return nil }
        expected *= shape[dimension]
    }
    return order == stepped ? identity : order + identity.filter { shape[$0] == 1 }
}

/// The elements from a strided tensor's first to its last, 0 for an empty one, or nil when a size or stride is negative or the
/// span is too large.
func elementSpan(shape: [Int], strides: [Int]) -> Int? {
    guard let count = elementCount(shape), strides.allSatisfy({ $0 >= 0 }) else { return nil }
    if count == 0 { return 0 }
    var span = 1
    for (size, stride) in zip(shape, strides) {
        let (steps, tooFar) = (size - 1).multipliedReportingOverflow(by: stride)
        let (sum, tooLarge) = span.addingReportingOverflow(steps)
        if tooFar || tooLarge { return nil }
        span = sum
    }
    return span
}
