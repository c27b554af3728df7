import Glibc
import ModelFiles
import ModelGraph

/// Pools over spatial dimensions.
extension Kernels {
    static let pools: [String: Kernel] = [
        "MaxPool": maxPool, "AveragePool": averagePool, "LpPool": lpPool,
        "GlobalAveragePool": { (call) throws(KernelFailure) in
            try globalPool(call) { row in row.reduce(0, +) / Float(row.count) }
        },
        "GlobalMaxPool": { (call) throws(KernelFailure) in try globalPool(call) { row in row.max() ?? -.infinity } },
    ]

    private static func globalPool(
        _ call: KernelCall, _ body: (Slice<UnsafeBufferPointer<Float>>) -> Float
    ) throws(KernelFailure) -> [Tensor] {
        let (x, shape) = try call.floats(0)
        guard shape.count > 2, !shape[2...].contains(0) else {
            throw KernelFailure(expected: "an input of N x C and spatial sizes", found: text(shape))
        }
        let size = shape[2...].reduce(1, *)
        let results = x.withUnsafeBufferPointer { x in
            (0..<shape[0] * shape[1]).map { body(x[$0 * size..<($0 + 1) * size]) }
        }
        return [Tensor(results, shape[..<2] + shape[2...].map { _ in 1 })]
    }

    /// What pools share: one output for each window of each channel.
    ///
    /// - Parameters:
    ///   - first: what an output begins with.
    ///   - body: takes an element up: the output, and the element.
    private static func pooled(
        _ call: KernelCall, first: Float, _ body: (inout Float, Float) -> Void
    ) throws(KernelFailure) -> (y: [Float], shape: [Int], windows: Windows) {
        let (x, xShape) = try call.floats(0)
        guard xShape.count > 2, case .integers(let kernel)? = call.layer.attributes["kernel_shape"] else {
            throw KernelFailure(expected: "an input of N x C and spatial sizes, and a kernel", found: text(xShape))
        }
        let windows = try Windows(call, input: Array(xShape[2...]), kernel: kernel)
        let shape = [xShape[0], xShape[1]] + windows.output
        var y = [Float](repeating: first, count: try checkedCount(shape))
        guard !y.isEmpty else { return (y, shape, windows) }
        let (area, size, width) = (
            try checkedCount(windows.input), try checkedCount(windows.output), windows.output.last ?? 1
        )
        let step = windows.strides.last ?? 1
        x.withUnsafeBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                for channel in 0..<shape[0] * shape[1] {
                    windows.forEachRun(rows: 0..<windows.rowCount) { _, row, places, start in
                        let target = channel * size + row * width + places.lowerBound
                        let source = channel * area + start
                        for index in 0..<places.count { body(&y[target &+ index], x[source &+ index &* step]) }
                    }
                }
            }
        }
        return (y, shape, windows)
    }

    private static func maxPool(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        guard call.layer.outputs.count < 2 || call.layer.outputs[1].isEmpty else {
            throw KernelFailure(expected: "a MaxPool of one output", found: "one of indices too")
        }
        let type = try call.tensor(0).type
        // Integers of 8 and 16 bits are floats without loss.
        if let bits = type.bitWidth, bits <= 16 { call.inputs[0] = try casted(try call.tensor(0), .f32) }
        let (y, shape, _) = try pooled(call, first: -.infinity) { $0 = $0 < $1 ? $1 : $0 }
        return [try casted(Tensor(y, shape), type)]
    }

    private static func averagePool(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        var (y, shape, windows) = try pooled(call, first: 0) { $0 += $1 }
        guard !y.isEmpty else { return [Tensor(y, shape)] }
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
        let size = windows.output.reduce(1, *)
        var divisors: [Float] = [1]
        for list in counts { divisors = divisors.flatMap { divisor in list.map { divisor * Float($0) } } }
        for index in y.indices { y[index] /= max(divisors[index % size], 1) }
        return [Tensor(y, shape)]
    }

    private static func lpPool(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let p = Float(try call.integer("p", orElse: 2))
        let (y, shape, _) = try pooled(call, first: 0) { $0 += powf(abs($1), p) }
        return [Tensor(y.map { powf($0, 1 / p) }, shape)]
    }
}
