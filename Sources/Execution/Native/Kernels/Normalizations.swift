import Glibc
import ModelFiles
import ModelGraph

/// Normalizations.
extension Kernels {
    static let normalizations: [String: Kernel] = [
        "BatchNormalization": batchNormalization, "LayerNormalization": layerNormalization,
        "RMSNormalization": layerNormalization, "InstanceNormalization": instanceNormalization,
        "GroupNormalization": groupNormalization, "LRN": localResponse, "LpNormalization": lpNormalization,
        "MeanVarianceNormalization": meanVariance,
    ]

    /// What a batch normalization multiplies and adds for each channel.
    static func batchScale(
        scale: [Float], bias: [Float], mean: [Float], variance: [Float], epsilon: Float
    ) -> (factors: [Float], offsets: [Float]) {
        let factors = scale.indices.map { scale[$0] / (variance[$0] + epsilon).squareRoot() }
        return (factors, scale.indices.map { bias[$0] - mean[$0] * factors[$0] })
    }

    private static func batchNormalization(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        guard !call.flag("training_mode"), call.layer.outputs.dropFirst().allSatisfy(\.isEmpty) else {
            throw KernelFailure(expected: "a network that is run", found: "training")
        }
        let shape = try call.floats(0).shape
        let channels = shape.count > 1 ? shape[1] : 1
        var parameters: [[Float]] = []
        for index in 1...4 { parameters.append(try call.optionalFloats(index, count: channels) ?? []) }
        guard parameters.allSatisfy({ $0.count == channels }) else {
            throw KernelFailure(expected: "five inputs", found: "\(call.inputs.count)")
        }
        let (factors, offsets) = batchScale(
            scale: parameters[0], bias: parameters[1], mean: parameters[2], variance: parameters[3],
            epsilon: call.number("epsilon", orElse: 1e-5))
        let size = shape.dropFirst(2).reduce(1, *)
        var tensor = try call.taken(0)
        let isChannelsLast = tensor.order == .channelsLast
        tensor.updateFloats { floats in
            guard !floats.isEmpty else { return }
            if isChannelsLast {
                factors.withUnsafeBufferPointer { factors in
                    offsets.withUnsafeBufferPointer { offsets in
                        for start in stride(from: 0, to: floats.count, by: channels) {
                            for index in 0..<channels {
                                floats[start + index] = floats[start + index] * factors[index] + offsets[index]
                            }
                        }
                    }
                }
                return
            }
            for (number, start) in stride(from: 0, to: floats.count, by: size).enumerated() {
                let (factor, offset) = (factors[number % channels], offsets[number % channels])
                for index in start..<start + size { floats[index] = floats[index] * factor + offset }
            }
        }
        return [tensor]
    }

    /// Brings each row to mean 0 and variance 1, in its place.
    ///
    /// - Returns: the mean and the inverse of the deviation.
    @discardableResult
    private static func normalize(
        _ row: UnsafeMutableBufferPointer<Float>, epsilon: Float, keepsMean: Bool = false
    ) -> (mean: Float, inverse: Float) {
        var sum: Float = 0
        if !keepsMean { for number in row { sum += number } }
        let mean = sum / Float(max(row.count, 1))
        var squares: Float = 0
        for number in row { squares += (number - mean) * (number - mean) }
        let inverse = 1 / (squares / Float(max(row.count, 1)) + epsilon).squareRoot()
        for index in row.indices { row[index] = (row[index] - mean) * inverse }
        return (mean, inverse)
    }

    /// Over all dimensions from an axis on.
    private static func layerNormalization(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let shape = try call.floats(0).shape
        let axis = try axis(try call.integer("axis", orElse: -1), rank: shape.count)
        let size = shape[axis...].reduce(1, *)
        let (scale, scaleShape) = try call.floats(1)
        let own = Array(shape[axis...])
        guard try broadcastShape(scaleShape, own) == own else {
            throw KernelFailure(expected: "a scale that broadcasts to \(text(own))", found: text(scaleShape))
        }
        let factors = broadcasting(scale, scaleShape, [Float(0)], [], own) { a, _ in a }
        var offsets = [Float](repeating: 0, count: size)
        if call.has(2) {
            let (bias, biasShape) = try call.floats(2)
            guard try broadcastShape(biasShape, own) == own else {
                throw KernelFailure(expected: "a bias that broadcasts to \(text(own))", found: text(biasShape))
            }
            offsets = broadcasting(bias, biasShape, [Float(0)], [], own) { a, _ in a }
        }
        let epsilon = call.number("epsilon", orElse: 1e-5)
        let keepsMean = call.layer.type == "RMSNormalization"
        var (means, inverses) = ([Float](), [Float]())
        var tensor = try call.taken(0)
        tensor.updateFloats { floats in
            guard size > 0 else { return }
            for start in stride(from: 0, to: floats.count, by: size) {
                let row = UnsafeMutableBufferPointer(rebasing: floats[start..<start + size])
                let (mean, inverse) = normalize(row, epsilon: epsilon, keepsMean: keepsMean)
                means.append(mean)
                inverses.append(inverse)
                for index in row.indices { row[index] = row[index] * factors[index] + offsets[index] }
            }
        }
        let rows = shape[..<axis] + shape[axis...].map { _ in 1 }
        guard means.count == (elementCount(Array(rows)) ?? -1) else { return [tensor] }
        return [tensor, Tensor(means, Array(rows)), Tensor(inverses, Array(rows))]
    }

    private static func instanceNormalization(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let shape = try call.floats(0).shape
        guard shape.count > 2 else { throw KernelFailure(expected: "three dimensions or more", found: text(shape)) }
        return try normalized(&call, groups: shape[1], shape)
    }

    private static func groupNormalization(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let shape = try call.floats(0).shape
        let groups = try call.integer("num_groups", orElse: 0)
        guard shape.count > 1, groups > 0, shape[1] % groups == 0 else {
            throw KernelFailure(expected: "channels in \(groups) groups", found: text(shape))
        }
        return try normalized(&call, groups: groups, shape)
    }

    /// Each group of channels of each image by itself; a scale and a bias for each channel, before version 21 for each group.
    private static func normalized(
        _ call: inout KernelCall, groups: Int, _ shape: [Int]
    ) throws(KernelFailure) -> [Tensor] {
        let count = call.layer.type == "GroupNormalization" && call.version < 21 ? groups : shape[1]
        guard let scale = try call.optionalFloats(1, count: count),
            let bias = try call.optionalFloats(2, count: count)
        else { throw KernelFailure(expected: "a scale and a bias", found: "none") }
        let size = shape[2...].reduce(1, *)
        let epsilon = call.number("epsilon", orElse: 1e-5)
        var tensor = try call.taken(0)
        tensor.updateFloats { floats in
            guard !floats.isEmpty else { return }
            let length = shape[1] / groups * size
            for start in stride(from: 0, to: floats.count, by: length) {
                normalize(UnsafeMutableBufferPointer(rebasing: floats[start..<start + length]), epsilon: epsilon)
            }
            for (number, start) in stride(from: 0, to: floats.count, by: size).enumerated() {
                let channel = number % shape[1] / (shape[1] / count)
                for index in start..<start + size { floats[index] = floats[index] * scale[channel] + bias[channel] }
            }
        }
        return [tensor]
    }

    private static func localResponse(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (x, shape) = try call.floats(0)
        let count = try call.integer("size", orElse: 0)
        guard shape.count > 2, count > 0 else {
            throw KernelFailure(expected: "three dimensions or more and a size", found: text(shape))
        }
        let (alpha, beta, bias) = (
            call.number("alpha", orElse: 1e-4), call.number("beta", orElse: 0.75), call.number("bias", orElse: 1)
        )
        let size = shape[2...].reduce(1, *)
        var y = x
        for image in 0..<shape[0] {
            for channel in 0..<shape[1] {
                let near = max(channel - (count - 1) / 2, 0)...min(channel + count / 2, shape[1] - 1)
                for place in 0..<size {
                    var sum: Float = 0
                    for other in near {
                        let number = x[(image * shape[1] + other) * size + place]
                        sum += number * number
                    }
                    y[(image * shape[1] + channel) * size + place] /= powf(bias + alpha / Float(count) * sum, beta)
                }
            }
        }
        return [Tensor(y, shape)]
    }

    private static func lpNormalization(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (x, shape) = try call.floats(0)
        let axis = try axis(try call.integer("axis", orElse: -1), rank: shape.count)
        let p = try call.integer("p", orElse: 2)
        let norms = try reduced(Tensor(x, shape), [axis]) {
            p == 1 ? abs($0) : $0 * $0
        } join: {
            $0 + $1
        } end: { sum, _ in
            p == 1 ? sum : sum.squareRoot()
        }
        return [
            Tensor(broadcasting(x, shape, norms.elements, norms.shape, shape) { $1 == 0 ? 0 : $0 / $1 }, shape)
        ]
    }

    private static func meanVariance(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (x, shape) = try call.floats(0)
        var list = [0, 2, 3]
        if case .integers(let given)? = call.layer.attributes["axes"] { list = given }
        let axes = try axes(list, rank: shape.count)
        let means = try reduced(Tensor(x, shape), axes) {
            $0
        } join: {
            $0 + $1
        } end: {
            $0 / Float($1)
        }
        let centered = broadcasting(x, shape, means.elements, means.shape, shape) { $0 - $1 }
        let deviations = try reduced(Tensor(centered, shape), axes) {
            $0 * $0
        } join: {
            $0 + $1
        } end: {
            ($0 / Float($1)).squareRoot()
        }
        return [
            Tensor(
                broadcasting(centered, shape, deviations.elements, deviations.shape, shape) { $0 / ($1 + 1e-9) }, shape)
        ]
    }
}
