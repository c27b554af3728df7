import Glibc
import ModelFiles
import ModelGraph

/// Pools over spatial dimensions.
extension Kernels {
    static let pools: [String: Kernel] = [
        "MaxPool": maxPool, "AveragePool": averagePool, "LpPool": lpPool,
        "GlobalAveragePool": { (call) throws(KernelFailure) in
            try globalPool(&call, first: 0) {
                $0 + $1
            } end: {
                $0 / $1
            }
        },
        "GlobalMaxPool": { (call) throws(KernelFailure) in
            try globalPool(&call, first: -.infinity) {
                $0 < $1 ? $1 : $0
            } end: { most, _ in
                most
            }
        },
    ]

    @inline(__always)
    private static func globalPool(
        _ call: inout KernelCall, first: Float, _ join: (Float, Float) -> Float, end: (Float, Float) -> Float
    ) throws(KernelFailure) -> [Tensor] {
        call.inputs[0] = try call.taken(0).ordered(call.mode.order)
        let (order, (x, shape)) = (try call.tensor(0).order, try call.floats(0))
        guard shape.count > 2, !shape[2...].contains(0) else {
            throw KernelFailure(expected: "an input of N x C and spatial sizes", found: text(shape))
        }
        let (size, channels) = (shape[2...].reduce(1, *), shape[1])
        var results = [Float](repeating: first, count: try checkedCount([shape[0], channels]))
        x.withUnsafeBufferPointer { x in
            results.withUnsafeMutableBufferPointer { results in
                if order == .channelsLast {
                    for pixel in 0..<shape[0] * size {
                        let (source, target) = (pixel * channels, pixel / size * channels)
                        for index in 0..<channels {
                            results[target &+ index] = join(results[target &+ index], x[source &+ index])
                        }
                    }
                } else {
                    for row in results.indices {
                        var value = first
                        for index in row * size..<(row + 1) * size { value = join(value, x[index]) }
                        results[row] = value
                    }
                }
            }
        }
        for index in results.indices { results[index] = end(results[index], Float(size)) }
        // The order of one pixel is either.
        return [Tensor(results, shape[..<2] + shape[2...].map { _ in 1 })]
    }

    /// What pools share: one output for each window of each channel.
    ///
    /// - Parameters:
    ///   - first: what an output begins with.
    ///   - body: takes an element up: the output, and the element.
    /// - Returns: the outputs, in the order of the input, and how many of them follow each other in a pixel.
    @inline(__always)
    private static func pooled(
        _ call: inout KernelCall, first: Float, _ body: (inout Float, Float) -> Void
    ) throws(KernelFailure) -> (y: Tensor, lanes: Int, windows: Windows) {
        call.inputs[0] = try call.taken(0).ordered(call.mode.order)
        let (order, (x, xShape)) = (try call.tensor(0).order, try call.floats(0))
        guard xShape.count > 2, case .integers(let kernel)? = call.layer.attributes["kernel_shape"] else {
            throw KernelFailure(expected: "an input of N x C and spatial sizes, and a kernel", found: text(xShape))
        }
        let windows = try Windows(call, input: Array(xShape[2...]), kernel: kernel)
        let shape = [xShape[0], xShape[1]] + windows.output
        var y = Tensor([Float](repeating: first, count: try checkedCount(shape)), shape)
        y.order = order
        // Planes of pixels, each of as many elements as lie together.
        let (planes, lanes) = order == .channelsLast ? (shape[0], shape[1]) : (shape[0] * shape[1], 1)
        guard y.count > 0 else { return (y, lanes, windows) }
        let (area, size, width) = (
            try checkedCount(windows.input), try checkedCount(windows.output), windows.output.last ?? 1
        )
        let step = windows.strides.last ?? 1
        x.withUnsafeBufferPointer { x in
            y.updateFloats { y in
                for plane in 0..<planes {
                    for row in 0..<windows.rowCount {
                        windows.forEachRun(rows: row..<row + 1) { _, row, places, start in
                            let target = (plane * size + row * width + places.lowerBound) * lanes
                            let source = (plane * area + start) * lanes
                            if step == 1 {
                                for index in 0..<places.count &* lanes { body(&y[target &+ index], x[source &+ index]) }
                            } else if lanes == 1 {
                                for index in 0..<places.count { body(&y[target &+ index], x[source &+ index &* step]) }
                            } else {
                                for place in 0..<places.count {
                                    let (goal, origin) = (target &+ place &* lanes, source &+ place &* step &* lanes)
                                    for index in 0..<lanes { body(&y[goal &+ index], x[origin &+ index]) }
                                }
                            }
                        }
                    }
                }
            }
        }
        return (y, lanes, windows)
    }

    private static func maxPool(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        guard call.layer.outputs.count < 2 || call.layer.outputs[1].isEmpty else {
            throw KernelFailure(expected: "a MaxPool of one output", found: "one of indices too")
        }
        let type = try call.tensor(0).type
        // Integers of 8 and 16 bits are floats without loss.
        if let bits = type.bitWidth, bits <= 16 { call.inputs[0] = try casted(try call.tensor(0), .f32) }
        let y = try pooled(&call, first: -.infinity) { $0 = $0 < $1 ? $1 : $0 }.y
        return [type == .f32 ? y : try casted(y.rowMajor(), type)]
    }

    private static func averagePool(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        var (y, lanes, windows) = try pooled(&call, first: 0) { $0 += $1 }
        let countsPads = call.flag("count_include_pad")
        // Elements that each index of each dimension averages over.
        let counts = windows.output.indices.map { axis in
            (0..<windows.output[axis]).map { index in
                let first = index * windows.strides[axis] - windows.before[axis]
                let (least, end) =
                    countsPads
                    ? (-windows.before[axis], windows.input[axis] + windows.after[axis]) : (0, windows.input[axis])
                return (0..<windows.kernel[axis]).count { element in
                    let place = first + element * windows.dilations[axis]
                    return place >= least && place < end
                }
            }
        }
        var divisors: [Float] = [1]
        for list in counts { divisors = divisors.flatMap { divisor in list.map { divisor * Float($0) } } }
        y.updateFloats { y in
            guard !y.isEmpty else { return }
            for (pixel, start) in stride(from: 0, to: y.count, by: lanes).enumerated() {
                let divisor = max(divisors[pixel % divisors.count], 1)
                for index in start..<start + lanes { y[index] /= divisor }
            }
        }
        return [y]
    }

    private static func lpPool(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let p = Float(try call.integer("p", orElse: 2))
        var y = try pooled(&call, first: 0) { $0 += powf(abs($1), p) }.y
        y.updateFloats { y in for index in y.indices { y[index] = powf(y[index], 1 / p) } }
        return [y]
    }
}
