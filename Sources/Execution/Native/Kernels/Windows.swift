import ModelGraph

/// How a kernel or a pool moves over the spatial dimensions of its input.
///
/// Source: "Conv" and "AveragePool" of "Operators.md" of onnx/onnx.
struct Windows {
    /// Sizes of the input, spatial dimensions only.
    let input: [Int]
    let kernel: [Int]
    let strides: [Int]
    let dilations: [Int]
    /// Padding before and after each dimension.
    let before: [Int]
    let after: [Int]
    /// Sizes of the output.
    let output: [Int]

    /// - Parameters:
    ///   - input: spatial sizes.
    ///   - kernel: its sizes.
    init(_ call: KernelCall, input: [Int], kernel: [Int]) throws(KernelFailure) {
        let rank = input.count
        guard kernel.count == rank, kernel.allSatisfy({ $0 > 0 && $0 <= 1 << 24 }) else {
            throw KernelFailure(expected: "a kernel of \(rank) sizes from 1 on", found: text(kernel))
        }
        _ = try checkedCount(kernel)
        let strides = try call.list("strides", count: rank, orElse: 1, from: 1)
        let dilations = try call.list("dilations", count: rank, orElse: 1, from: 1)
        let pads = try call.list("pads", count: 2 * rank, orElse: 0, from: 0)
        let rule = call.string("auto_pad", orElse: "NOTSET")
        let roundsUp = call.flag("ceil_mode")
        var (before, after, output) = (Array(pads[..<rank]), Array(pads[rank...]), [Int]())
        for axis in 0..<rank {
            let extent = dilations[axis] * (kernel[axis] - 1) + 1
            switch rule {
            case "SAME_UPPER", "SAME_LOWER":
                let size = (input[axis] + strides[axis] - 1) / strides[axis]
                let total = max((size - 1) * strides[axis] + extent - input[axis], 0)
                before[axis] = rule == "SAME_UPPER" ? total / 2 : total - total / 2
                after[axis] = total - before[axis]
                output.append(size)
                continue
            case "VALID": (before[axis], after[axis]) = (0, 0)
            case "NOTSET", "": break
            default: throw KernelFailure(expected: "an auto_pad of the standard", found: rule)
            }
            let room = input[axis] + before[axis] + after[axis] - extent
            guard room >= 0 else {
                throw KernelFailure(
                    expected: "an input that the kernel of \(extent) fits in", found: "\(input[axis]) and pads")
            }
            var size = room / strides[axis] + 1
            if roundsUp, room % strides[axis] != 0, size * strides[axis] < input[axis] + before[axis] { size += 1 }
            output.append(size)
        }
        (self.input, self.kernel, self.strides, self.dilations) = (input, kernel, strides, dilations)
        (self.before, self.after, self.output) = (before, after, output)
        _ = try checkedCount(output)
    }

    /// Whether the output is read off the input as it lies.
    var isPointwise: Bool {
        kernel.allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 } && (before + after).allSatisfy { $0 == 0 }
    }

    /// The outputs of a dimension that a kernel element falls within the input for.
    ///
    /// - Parameter element: its index in the kernel.
    func valid(_ axis: Int, _ element: Int) -> Range<Int> {
        let shift = before[axis] - element * dilations[axis]
        let step = strides[axis]
        let first = shift <= 0 ? 0 : (shift + step - 1) / step
        let last = input[axis] - 1 + shift
        let end = last < 0 ? 0 : last / step + 1
        return min(first, output[axis])..<max(min(end, output[axis]), min(first, output[axis]))
    }

    /// Where in the input the first output of a dimension has a kernel element.
    func start(_ axis: Int, _ element: Int) -> Int { element * dilations[axis] - before[axis] }
}
