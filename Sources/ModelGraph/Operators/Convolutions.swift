import ModelFiles

/// Convolutions of one to three dimensions, grouped, dilated and transposed.
extension Operators {
    static let convolutions: [String: Operator] = [
        "Conv": convolution(weights: 1) { $0[0].type },
        "ConvInteger": convolution(weights: 1) { _ in .i32 },
        "QLinearConv": convolution(weights: 3) { $0[7].type },
        "FusedConv": convolution(weights: 1) { $0[0].type },
        "ConvTranspose": Operator(transposedConvolution, multiplyAdds: transposedMultiplyAdds),
    ]

    /// A convolution whose weights are that input.
    private static func convolution(
        weights: Int, type: @escaping @Sendable (OperatorCall) -> DType?
    ) -> Operator {
        Operator(
            { (call) throws(GraphError) in
                [Value(type: type(call), shape: try convolved(call.shape(0), call.shape(weights), call))]
            }, multiplyAdds: { call, values in multiplyAdds(call.shape(weights), values) },
            workspace: { call, values in columns(call, call[weights].sizes, values) })
    }

    /// How a window moves over the dimensions behind batch and channels.
    struct Window {
        var kernel: [Int]
        var strides: [Int]
        var dilations: [Int]
        /// At the beginnings, then at the ends.
        var pads: [Int]
        var automatic: String

        /// Elements that the window covers in a dimension.
        func extent(_ index: Int) -> Int { (kernel[index] - 1) * dilations[index] + 1 }

        /// Reads the attributes of a layer.
        init(_ call: OperatorCall, kernel: [Int]) throws(GraphError) {
            let rank = kernel.count
            self.kernel = kernel
            strides = try call.integers("strides") ?? Array(repeating: 1, count: rank)
            dilations = try call.integers("dilations") ?? Array(repeating: 1, count: rank)
            pads = try call.integers("pads") ?? Array(repeating: 0, count: 2 * rank)
            automatic = call.text("auto_pad") ?? "NOTSET"
            guard strides.count == rank, dilations.count == rank, pads.count == 2 * rank else {
                throw call.failure(
                    "strides, dilations and pads of \(rank) dimensions",
                    "\(strides.count), \(dilations.count) and \(pads.count)")
            }
            guard (kernel + strides + dilations).allSatisfy({ $0 > 0 && $0 <= 1 << 31 }) else {
                throw call.failure(
                    "a kernel, strides and dilations above 0", "\(kernel.prefix(8)), \(strides), \(dilations)")
            }
        }

        /// The size of a dimension after the window has passed over it.
        func result(_ size: Dimension, _ index: Int, roundsUp: Bool, _ call: OperatorCall) throws(GraphError)
            -> Dimension
        {
            guard let size = size.size else { return .unknown }
            let stride = strides[index]
            if automatic.hasPrefix("SAME") { return .size(size / stride + (size % stride == 0 ? 0 : 1)) }
            let padding = automatic == "VALID" ? 0 : pads[index] + pads[index + kernel.count]
            let room = size + padding - extent(index)
            guard room >= 0 else {
                throw call.failure("a kernel within \(size + padding) padded elements", "one over \(extent(index))")
            }
            var count = room / stride + 1
            if roundsUp, room % stride != 0 {
                // A window that would begin in the padding at the end is not taken.
                if count * stride < size + pads[index] { count += 1 }
            }
            return .size(count)
        }
    }

    private static func convolved(
        _ input: [Dimension]?, _ weights: [Dimension]?, _ call: OperatorCall
    ) throws(GraphError) -> [Dimension]? {
        guard let input else { return nil }
        guard input.count > 2 else { throw call.wrongShape(0, "3 dimensions or more") }
        guard let weights else { return [input[0]] + Array(repeating: .unknown, count: input.count - 1) }
        guard weights.count == input.count else {
            throw call.failure("weights of \(input.count) dimensions", weights.text)
        }
        let groups = try call.integer("group") ?? 1
        guard groups > 0 else { throw call.failure("a group number above 0", "\(groups)") }
        if let channels = input[1].size, let each = weights[1].size {
            guard product([each, groups]) == channels else {
                throw call.failure(
                    "weights for \(channels) channels in \(groups) groups", "\(weights.text), input \(input.text)")
            }
        }
        if let filters = weights[0].size, !filters.isMultiple(of: groups) {
            throw call.failure("filters in \(groups) groups", "\(filters)")
        }
        let sizes = weights.dropFirst(2).compactMap(\.size)
        guard sizes.count == weights.count - 2 else {
            return [input[0], weights[0]] + Array(repeating: .unknown, count: input.count - 2)
        }
        if let kernel = try call.integers("kernel_shape"), kernel != sizes {
            throw call.failure("weights of kernel \(kernel)", weights.text)
        }
        let window = try Window(call, kernel: sizes)
        var result = [input[0], weights[0]]
        for index in sizes.indices {
            result.append(try window.result(input[index + 2], index, roundsUp: false, call))
        }
        return result
    }

    private static func multiplyAdds(_ weights: [Dimension]?, _ values: [Value]) -> Int? {
        weights.flatMap { product([values[0].count] + $0.dropFirst().map(\.size)) }
    }

    private static func transposedConvolution(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let input = call.shape(0) else { return [call[0].cleared()] }
        guard input.count > 2 else { throw call.wrongShape(0, "3 dimensions or more") }
        let open: [Dimension] = Array(repeating: .unknown, count: input.count - 2)
        guard let weights = call.shape(1) else { return [call[0].cleared([input[0], .unknown] + open)] }
        let groups = try call.integer("group") ?? 1
        guard weights.count == input.count, input[1].merged(weights[0]) != nil, groups > 0 else {
            throw call.wrongShape(1, "\(input[1]) channels and \(input.count) dimensions")
        }
        let filters = try call.product([weights[1], .size(groups)])
        let sizes = weights.dropFirst(2).compactMap(\.size)
        guard sizes.count == open.count else { return [call[0].cleared([input[0], filters] + open)] }
        let window = try Window(call, kernel: sizes)
        let more = try call.integers("output_padding") ?? sizes.map { _ in 0 }
        guard more.count == sizes.count else { throw call.failure("\(sizes.count) output paddings", "\(more.count)") }
        if let shape = try call.integers("output_shape") {
            guard shape.suffix(sizes.count).count == sizes.count, shape.allSatisfy({ $0 >= 0 }) else {
                throw call.failure("an output shape of \(sizes.count) sizes", "\(shape)")
            }
            return [call[0].cleared([input[0], filters] + shape.suffix(sizes.count).map { .size($0) })]
        }
        var result = [input[0], filters]
        for index in sizes.indices {
            guard let size = input[index + 2].size, let steps = product([size - 1, window.strides[index]]) else {
                result.append(.unknown)
                continue
            }
            let same = window.automatic.hasPrefix("SAME")
            let padding = window.automatic == "NOTSET" ? window.pads[index] + window.pads[index + sizes.count] : 0
            let length = try call.sum(
                same
                    ? [.size(steps), .size(window.strides[index])]
                    : [.size(steps), .size(window.extent(index)), .size(more[index]), .size(-padding)])
            guard let number = length.size, number >= 0 else {
                throw call.failure("sizes from 0 on", length.description)
            }
            result.append(length)
        }
        return [call[0].cleared(result)]
    }

    private static func transposedMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        call.shape(1).flatMap { product([call[0].count] + $0.dropFirst().map(\.size)) }
    }

    /// Elements of the columns that a convolution is multiplied as.
    ///
    /// Kernels of one element need none. With more filters than output positions the columns of a picture are laid out as a
    /// whole, else block by block. Source: `MlasConvPrepare` of ONNX Runtime.
    private static func columns(_ call: OperatorCall, _ weights: [Int]?, _ values: [Value]) -> Int? {
        guard let weights, weights.count > 2,
            let window = try? Window(call, kernel: Array(weights.dropFirst(2))),
            let positions = values[0].shape.flatMap({ product($0.dropFirst(2)) })
        else { return nil }
        let isPointwise = (window.kernel + window.strides).allSatisfy { $0 == 1 } && window.pads.allSatisfy { $0 == 0 }
        if isPointwise { return 0 }
        let groups = max((try? call.integer("group")) ?? 1, 1)
        guard weights[0] / groups > positions else { return columnBlock }
        return product([positions] + weights.dropFirst())
    }

    private static let columnBlock = 128 * 128
}
