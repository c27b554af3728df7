import CNativeKernels

/// Convolutions of pictures whose channels lie together.
extension Kernels {
    /// The convolution of an input that lies channels-last.
    static func channelsLast(_ call: KernelCall, _ sizes: ConvolutionSizes) throws(KernelFailure) -> Tensor {
        let x = try call.floats(0).elements
        let bias = try call.optionalFloats(2, count: sizes.allOutputs)
        let count = try checkedCount(sizes.shape)
        let isVector = sizes.isDepthwise && sizes.outputs == 1
        var y = [Float](repeating: 0, count: count)
        if let bias, !isVector, count > 0 {
            for start in stride(from: 0, to: count, by: bias.count) {
                for index in bias.indices { y[start &+ index] = bias[index] }
            }
        }
        var result = Tensor([], sizes.shape)
        result.order = .channelsLast
        if count > 0, sizes.inputs > 0 {
            let weights = try call.prepared(from: [1]) { () throws(KernelFailure) in
                let weights = try call.floats(1).elements
                return isVector ? elementMajor(weights, sizes) : outputMajor(weights, sizes)
            }
            if isVector {
                depthwise(x, weights, bias, &y, sizes)
            } else {
                try products(x, weights, &y, sizes, call.blas)
            }
        }
        result.elements = .floats(y)
        return result
    }

    /// Weights [M, C/groups, kernel...] as [M, kernel..., C/groups].
    static func outputMajor(_ weights: [Float], _ sizes: ConvolutionSizes) -> [Float] {
        guard sizes.elements > 1, sizes.inputs > 1 else { return weights }
        return Tensor(weights, [sizes.allOutputs, sizes.inputs, sizes.elements]).channelsLast().allFloats
    }

    /// Weights [M, 1, kernel...] as [kernel..., M].
    private static func elementMajor(_ weights: [Float], _ sizes: ConvolutionSizes) -> [Float] {
        Tensor(weights, [1, sizes.allOutputs, sizes.elements]).channelsLast().allFloats
    }

    private static func products(
        _ x: [Float], _ weights: [Float], _ y: inout [Float], _ sizes: ConvolutionSizes, _ blas: BLAS
    ) throws(KernelFailure) {
        let all = sizes.allOutputs
        try withPointers(x, weights, &y) { (x, weights, y) throws(KernelFailure) in
            guard let x, let weights, let y else { return }
            for image in 0..<sizes.images {
                let target = y + image * sizes.size * all
                try sizes.forEachBlock(
                    of: x + image * sizes.area * sizes.channels, padding: 0, overlapping: false
                ) { (group, rows, stride, pixels) throws(KernelFailure) in
                    try blas.multiply(
                        m: pixels.count, n: sizes.outputs, k: sizes.depth, a: rows, lda: stride,
                        b: weights + group * sizes.outputs * sizes.depth, ldb: sizes.depth, isBTransposed: true,
                        beta: 1, c: target + pixels.lowerBound * all + group * sizes.outputs, ldc: all)
                }
            }
        }
    }

    private static func depthwise(
        _ x: [Float], _ weights: [Float], _ bias: [Float]?, _ y: inout [Float], _ sizes: ConvolutionSizes
    ) {
        let (windows, channels) = (sizes.windows, sizes.channels)
        let last = windows.kernel.count - 1
        let width = windows.output[last]
        // For each tap of a pixel where its input is, and which weights belong to it.
        var (offsets, elements) = (
            [Int](repeating: 0, count: sizes.elements), [Int](repeating: 0, count: sizes.elements)
        )
        y.withUnsafeMutableBufferPointer { y in
            guard var target = y.baseAddress else { return }
            for image in 0..<sizes.images {
                let start = image * sizes.area
                windows.forEachOutputRow { rows in
                    for place in 0..<width {
                        let first = place * windows.strides[last] - windows.before[last]
                        var taps = 0
                        for (number, row) in rows {
                            for element in 0..<windows.kernel[last] {
                                let index = first + element * windows.dilations[last]
                                guard index >= 0, index < windows.input[last] else { continue }
                                offsets[taps] = (start + row + index) * channels
                                elements[taps] = number * windows.kernel[last] + element
                                taps += 1
                            }
                        }
                        bias.withOptionalPointer { bias in
                            wc_depthwise(target, bias, x, weights, channels, offsets, elements, taps)
                        }
                        target += channels
                    }
                }
            }
        }
    }
}

extension Tensor {
    /// The elements as they lie; none where they are no floats.
    var allFloats: [Float] { if case .floats(let floats) = elements { floats } else { [] } }
}

extension [Float]? {
    /// Calls `body` with the place of the elements, if there are any.
    fileprivate func withOptionalPointer(_ body: (UnsafePointer<Float>?) -> Void) {
        if let self { self.withUnsafeBufferPointer { body($0.baseAddress) } } else { body(nil) }
    }
}
