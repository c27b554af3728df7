extension Tensor {
    /// How the elements of a tensor lie in memory.
    enum Order: Sendable {
        /// The last dimension's elements together: of pictures NCHW.
        case rowMajor
        /// [N, spatial..., C], the channels together: of pictures NHWC.
        case channelsLast
    }

    /// Its sizes in the order in which the elements lie.
    var physicalShape: [Int] { order == .rowMajor ? shape : Array(shape[..<1]) + shape[2...] + shape[1..<2] }

    /// Elements from one index to the next in each of its dimensions.
    var strides: [Int] {
        let strides = rowMajorStrides(physicalShape)
        return order == .rowMajor ? strides : Array(strides[..<1]) + strides.suffix(1) + strides[1..<(rank - 1)]
    }

    /// Which of the sizes in memory one of its dimensions is.
    func physicalAxis(_ axis: Int) -> Int {
        order == .rowMajor || axis == 0 ? axis : axis == 1 ? rank - 1 : axis - 1
    }

    /// The same elements as a row-major tensor of the sizes in memory.
    func physical() -> Tensor {
        var tensor = self
        (tensor.shape, tensor.order) = (physicalShape, .rowMajor)
        return tensor
    }

    /// What ``physical()`` was made of.
    func logical(_ order: Order) -> Tensor {
        guard order == .channelsLast else { return self }
        var tensor = self
        tensor.shape = Array(shape[..<1]) + shape.suffix(1) + shape[1..<(rank - 1)]
        tensor.order = .channelsLast
        return tensor
    }

    /// The tensor with its elements in an order.
    func ordered(_ order: Order) -> Tensor { order == .rowMajor ? rowMajor() : channelsLast() }

    /// The tensor with its elements row-major.
    func rowMajor() -> Tensor {
        guard order == .channelsLast else { return self }
        return turned(to: .rowMajor, rows: shape[2...].reduce(1, *), columns: shape[1])
    }

    /// The tensor with the elements of its channels together; itself when it is not of floats, or has no spatial dimensions.
    func channelsLast() -> Tensor {
        guard order == .rowMajor, rank > 2, case .floats = elements else { return self }
        return turned(to: .channelsLast, rows: shape[1], columns: shape[2...].reduce(1, *))
    }

    /// The elements of each image, which are a matrix, transposed.
    private func turned(to order: Order, rows: Int, columns: Int) -> Tensor {
        var tensor = self
        tensor.order = order
        guard rows != 1, columns != 1, case .floats(let floats) = elements, !floats.isEmpty else { return tensor }
        tensor.elements = .floats(
            [Float](unsafeUninitializedCapacity: floats.count) { target, done in
                floats.withUnsafeBufferPointer { source in
                    guard let source = source.baseAddress, let target = target.baseAddress else { return }
                    for start in stride(from: 0, to: floats.count, by: rows * columns) {
                        transpose(source + start, columns, to: target + start, rows, rows: rows, columns: columns)
                    }
                }
                done = floats.count
            })
        return tensor
    }
}
