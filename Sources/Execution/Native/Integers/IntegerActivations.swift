import ModelGraph
import WeightMapper

/// What a layer takes as integers of 8 bits, whose scales are those of the data: one for each row.
struct IntegerActivations {
    /// The code of a number with 128 added; a few that count for nothing follow them.
    let codes: [UInt8]
    /// What a code of each row stands for.
    let scales: [Float]

    /// What 0 is as a code.
    static let zero: UInt8 = 128

    /// - Parameter floats: `rows` rows of one length. A row that holds a NaN or an infinity becomes NaN.
    init(_ floats: UnsafeBufferPointer<Float>, rows: Int) {
        var scales = [Float](repeating: 0, count: rows)
        let length = floats.count / max(rows, 1)
        codes = [UInt8](unsafeUninitializedCapacity: floats.count + ConvolutionSizes.slack) { codes, done in
            for row in 0..<rows {
                var largest: Int32 = 0
                for index in row * length..<(row + 1) * length {
                    let magnitude = Int32(bitPattern: floats[index].bitPattern & 0x7FFF_FFFF)
                    largest = magnitude > largest ? magnitude : largest
                }
                let magnitude = Float(bitPattern: UInt32(bitPattern: largest))
                var factor: Float = 0
                if !magnitude.isFinite {
                    scales[row] = .nan
                } else if magnitude > 0x1p-100 {
                    scales[row] = Float(PrecisionKind.scale.step(fitting: Double(magnitude), bits: 8))
                    factor = 1 / scales[row]
                }
                for index in row * length..<(row + 1) * length {
                    // The sum's last bits are the nearest integer.
                    let number = (floats[index] * factor + 0x1.8p23).bitPattern
                    codes[index] = UInt8(truncatingIfNeeded: number) ^ Self.zero
                }
            }
            for index in floats.count..<codes.count { codes[index] = Self.zero }
            done = floats.count + ConvolutionSizes.slack
        }
        self.scales = scales
    }
}

extension Kernels {
    /// Rows of floats times weights of integers.
    static func multiply(
        _ rows: UnsafeBufferPointer<Float>, count: Int, _ weights: IntegerWeights, bias: [Float]? = nil,
        into target: UnsafeMutablePointer<Float>
    ) {
        let activations = IntegerActivations(rows, rows: count)
        activations.codes.withUnsafeBufferPointer { codes in
            guard let codes = codes.baseAddress else { return }
            weights.multiply(
                codes, count: count, stride: weights.depth, scales: activations.scales, scaleStep: 1,
                bias: bias?[...], into: target, targetStride: weights.outputs)
        }
    }

    /// The convolution of an input that lies channels-last, by integers; `nil` where they do not do for its weights.
    ///
    /// The scale of the activations is one for each image. Depthwise convolutions have too few products for an output: there integers
    /// would cost accuracy, and gain nothing.
    static func integerConvolution(_ call: KernelCall, _ sizes: ConvolutionSizes) throws(KernelFailure) -> Tensor? {
        let layer = try call.prepared(from: [1]) { () throws(KernelFailure) in
            var layer = IntegerLayer()
            let weights = outputMajor(try call.floats(1).elements, sizes)
            let ranges = (0..<sizes.groups).map { $0 * sizes.outputs..<($0 + 1) * sizes.outputs }
            _ = layer.append(weights, depth: sizes.depth, ranges, layer: call.layer.identifier)
            return layer
        }
        guard layer.parts.count == sizes.groups else { return nil }
        let bias = try call.optionalFloats(2, count: sizes.allOutputs)
        var y = [Float](repeating: 0, count: try checkedCount(sizes.shape))
        try withPointers(try call.floats(0).elements, [], &y) { (x, _, y) throws(KernelFailure) in
            guard let x, let y else { return }
            let (length, all) = (sizes.area * sizes.channels, sizes.allOutputs)
            for image in 0..<sizes.images {
                let activations = IntegerActivations(
                    UnsafeBufferPointer(start: x + image * length, count: length), rows: 1)
                let target = y + image * sizes.size * all
                try activations.codes.span.withUnsafeBufferPointer { (codes) throws(KernelFailure) in
                    guard let codes = codes.baseAddress else { return }
                    try sizes.forEachBlock(
                        of: codes, padding: IntegerActivations.zero, overlapping: true
                    ) { (group, rows, stride, pixels) throws(KernelFailure) in
                        let first = group * sizes.outputs
                        layer.parts[group].multiply(
                            rows, count: pixels.count, stride: stride, scales: activations.scales, scaleStep: 0,
                            bias: bias?[first..<first + sizes.outputs],
                            into: target + pixels.lowerBound * all + first, targetStride: all)
                    }
                }
            }
        }
        var result = Tensor(y, sizes.shape)
        result.order = .channelsLast
        return result
    }

    /// The weights of a product, as integers; none where they do not do, or the layer is to be computed in floats.
    ///
    /// - Parameters:
    ///   - outputs: columns of the weights, input 1, or their rows when it `isTransposed`.
    static func integerProduct(
        _ call: KernelCall, outputs: Int, depth: Int, isTransposed: Bool
    ) throws(KernelFailure) -> IntegerWeights? {
        guard call.usesIntegers, depth > 0, outputs > 0 else { return nil }
        let layer = try call.prepared(from: [1]) { () throws(KernelFailure) in
            var layer = IntegerLayer()
            let weights = try call.floats(1).elements
            let rows = isTransposed ? weights : Tensor(weights, [1, depth, outputs]).channelsLast().allFloats
            _ = layer.append(rows, depth: depth, [0..<outputs], layer: call.layer.identifier)
            return layer
        }
        return layer.parts.first
    }
}
