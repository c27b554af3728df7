import ModelFiles
import ModelGraph

/// Convolutions of any number of spatial dimensions.
extension Kernels {
    static let convolutions: [String: Kernel] = ["Conv": convolution, "ConvTranspose": transposedConvolution]

    /// Most floats of the columns that a product is made of.
    private static let mostColumns = 1 << 20

    /// X [N, C, spatial...] with W [M, C/groups, kernel...] gives Y [N, M, spatial...].
    private static func convolution(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let sizes = try ConvolutionSizes(call)
        if call.usesIntegers, !sizes.isDepthwise, !sizes.shape.contains(0) {
            call.inputs[0] = try call.taken(0).channelsLast()
            if let y = try integerConvolution(call, sizes) { return [y.ordered(call.mode.order)] }
        }
        // Depthwise convolutions are vectors of channels: that is worth the way there and back.
        let order = sizes.isDepthwise && sizes.outputs == 1 ? .channelsLast : call.mode.order
        call.inputs[0] = try call.taken(0).ordered(order)
        if order == .channelsLast { return [try channelsLast(call, sizes).ordered(call.mode.order)] }
        let (x, w) = (try call.floats(0).elements, try call.floats(1).elements)
        let bias = try call.optionalFloats(2, count: sizes.allOutputs)
        var y = [Float](repeating: 0, count: try checkedCount(sizes.shape))
        let (windows, size, area) = (sizes.windows, sizes.size, sizes.area)
        let (groups, inputs, outputs, kernel) = (sizes.groups, sizes.inputs, sizes.outputs, sizes.depth)
        guard !y.isEmpty, inputs > 0 else { return [Tensor(biased(y, bias, size), sizes.shape)] }
        let blas = call.blas
        try withPointers(x, w, &y) { (x, w, y) throws(KernelFailure) in
            guard let x, let w, let y else { return }
            for image in 0..<sizes.images {
                for group in 0..<groups {
                    let source = x + (image * groups + group) * inputs * area
                    let target = y + (image * groups + group) * outputs * size
                    let weights = w + group * outputs * kernel
                    if sizes.isDepthwise {
                        for output in 0..<outputs {
                            windows.accumulate(source, weights + output * kernel, target + output * size)
                        }
                    } else if windows.isPointwise {
                        try blas.multiply(
                            m: outputs, n: size, k: inputs, a: weights, lda: inputs, b: source, ldb: size, c: target,
                            ldc: size)
                    } else {
                        try multiply(windows, source, inputs, area, weights, kernel, target, outputs, size, blas)
                    }
                }
            }
        }
        return [Tensor(biased(y, bias, size), sizes.shape)]
    }

    /// Products of the weights with columns of the input, some rows of the output at a time.
    private static func multiply(
        _ windows: Windows, _ source: UnsafePointer<Float>, _ inputs: Int, _ area: Int, _ weights: UnsafePointer<Float>,
        _ kernel: Int, _ target: UnsafeMutablePointer<Float>, _ outputs: Int, _ size: Int, _ blas: BLAS
    ) throws(KernelFailure) {
        let width = windows.output.last ?? 1
        let rows = size / width
        let step = min(max(mostColumns / max(kernel * width, 1), 1), rows)
        var columns = [Float](repeating: 0, count: try checkedCount([kernel, step, width]))
        var failure: KernelFailure?
        columns.withUnsafeMutableBufferPointer { columns in
            guard let columns = columns.baseAddress else { return }
            for first in stride(from: 0, to: rows, by: step) {
                let count = min(step, rows - first)
                for channel in 0..<inputs {
                    windows.fill(
                        columns + channel * (kernel / inputs) * count * width, from: source + channel * area,
                        rows: first..<first + count)
                }
                do throws(KernelFailure) {
                    try blas.multiply(
                        m: outputs, n: count * width, k: kernel, a: weights, lda: kernel, b: columns,
                        ldb: count * width, c: target + first * width, ldc: size)
                } catch { failure = error }
            }
        }
        if let failure { throw failure }
    }

    /// Adds to each channel its bias.
    ///
    /// - Parameter size: elements of a channel.
    static func biased(_ y: consuming [Float], _ bias: [Float]?, _ size: Int) -> [Float] {
        guard let bias, size > 0 else { return y }
        y.withUnsafeMutableBufferPointer { y in
            for (number, start) in stride(from: 0, to: y.count, by: size).enumerated() {
                let value = bias[number % bias.count]
                for index in start..<start + size { y[index] += value }
            }
        }
        return y
    }

    /// X [N, C, spatial...] with W [C, M/groups, kernel...] gives Y [N, M, spatial...].
    private static func transposedConvolution(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (x, xShape) = try call.floats(0)
        let (w, wShape) = try call.floats(1)
        let groups = try call.integer("group", orElse: 1)
        guard xShape.count > 2, wShape.count == xShape.count, groups > 0, wShape[0] == xShape[1],
            wShape[0] > 0,
            wShape[0] % groups == 0, wShape[1] > 0
        else {
            throw KernelFailure(
                expected: "weights of C x M/\(groups) and a kernel for an input of N x C",
                found: "\(text(wShape)) for \(text(xShape))")
        }
        let rank = xShape.count - 2
        let (input, kernel) = (Array(xShape[2...]), Array(wShape[2...]))
        guard kernel.allSatisfy({ $0 > 0 && $0 <= 1 << 24 }), input.allSatisfy({ $0 > 0 }) else {
            throw KernelFailure(expected: "sizes from 1 on", found: "\(text(kernel)) and \(text(input))")
        }
        let strides = try call.list("strides", count: rank, orElse: 1, from: 1)
        let dilations = try call.list("dilations", count: rank, orElse: 1, from: 1)
        let extra = try call.list("output_padding", count: rank, orElse: 0, from: 0)
        var pads = try call.list("pads", count: 2 * rank, orElse: 0, from: 0)
        let full = (0..<rank).map { (axis: Int) -> Int in
            let extent = (kernel[axis] - 1) * dilations[axis] + 1
            return strides[axis] * (input[axis] - 1) + extra[axis] + extent
        }
        var output = (0..<rank).map { full[$0] - pads[$0] - pads[rank + $0] }
        let rule = call.string("auto_pad", orElse: "NOTSET")
        let isSame = rule.hasPrefix("SAME")
        if isSame { output = (0..<rank).map { input[$0] * strides[$0] } }
        if call.layer.attributes["output_shape"] != nil {
            output = Array(try call.list("output_shape", count: rank, orElse: 1, from: 1).suffix(rank))
        }
        if isSame || call.layer.attributes["output_shape"] != nil {
            for axis in 0..<rank {
                let total = max(full[axis] - output[axis], 0)
                pads[axis] = rule == "SAME_UPPER" || rule != "SAME_LOWER" ? total / 2 : total - total / 2
                pads[rank + axis] = total - pads[axis]
            }
        }
        let (inputs, outputs) = (wShape[0] / groups, wShape[1])
        let bias = try call.optionalFloats(2, count: outputs * groups)
        let shape = [xShape[0], outputs * groups] + output
        var y = [Float](repeating: 0, count: try checkedCount(shape))
        let (area, size, elements) = (try checkedCount(input), try checkedCount(output), try checkedCount(kernel))
        // Rows of columns: what each element of the kernel adds to the output.
        var columns = [Float](repeating: 0, count: try checkedCount([outputs, elements, area]))
        let windows = Windows(
            input: output, kernel: kernel, strides: strides, dilations: dilations, before: Array(pads[..<rank]),
            after: Array(pads[rank...]), output: input)
        let blas = call.blas
        try withPointers(x, w, &y) { (x, w, y) throws(KernelFailure) in
            guard let x, let w, let y else { return }
            for block in 0..<xShape[0] * groups {
                let weights = w + block % groups * inputs * outputs * elements
                var failure: KernelFailure?
                columns.withUnsafeMutableBufferPointer { columns in
                    do throws(KernelFailure) {
                        try blas.multiply(
                            m: outputs * elements, n: area, k: inputs, a: weights, lda: outputs * elements,
                            isATransposed: true, b: x + block * inputs * area, ldb: area, c: columns.baseAddress,
                            ldc: area)
                    } catch { failure = error }
                    guard let base = columns.baseAddress else { return }
                    for output in 0..<outputs {
                        windows.scatter(
                            base + output * elements * area, to: y + (block * outputs + output) * size)
                    }
                }
                if let failure { throw failure }
            }
        }
        return [Tensor(biased(y, bias, size), shape)]
    }
}
