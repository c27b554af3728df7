import ModelGraph

/// The sizes of a convolution, which fit each other.
struct ConvolutionSizes {
    let images: Int
    let groups: Int
    /// Channels of a group of the input.
    let inputs: Int
    /// Channels of a group of the output.
    let outputs: Int
    let windows: Windows
    /// Pixels of the input.
    let area: Int
    /// Pixels of the output.
    let size: Int
    /// Weights that an output is made with.
    let depth: Int
    /// Of the output.
    let shape: [Int]

    /// X [N, C, spatial...] with W [M, C/groups, kernel...].
    init(_ call: KernelCall) throws(KernelFailure) {
        let (xShape, wShape) = (try call.floats(0).shape, try call.floats(1).shape)
        groups = try call.integer("group", orElse: 1)
        guard xShape.count > 2, wShape.count == xShape.count, groups > 0, wShape[0] % groups == 0,
            xShape[1] % groups == 0, xShape[1] / groups == wShape[1]
        else {
            throw KernelFailure(
                expected: "weights of M x C/\(groups) and a kernel for an input of N x C",
                found: "\(text(wShape)) for \(text(xShape))")
        }
        windows = try Windows(call, input: Array(xShape[2...]), kernel: Array(wShape[2...]))
        (images, inputs, outputs) = (xShape[0], wShape[1], wShape[0] / groups)
        area = try checkedCount(windows.input)
        size = try checkedCount(windows.output)
        depth = try checkedCount([inputs] + windows.kernel)
        shape = [xShape[0], wShape[0]] + windows.output
    }

    var channels: Int { groups * inputs }
    var allOutputs: Int { groups * outputs }
    /// Elements of the kernel.
    var elements: Int { windows.kernel.reduce(1, *) }
    /// Whether each output is made of one channel.
    var isDepthwise: Bool { inputs == 1 && groups > 1 }
}
