import ModelFiles
import ModelGraph

/// Between floats and the integers that stand for them.
extension Kernels {
    static let quantizations: [String: Kernel] = ["DequantizeLinear": dequantize, "QuantizeLinear": quantize]

    /// The scale and the zero point of each element; one for all, or one for each index of an axis.
    private static func parameters(
        _ call: KernelCall, _ shape: [Int]
    ) throws(KernelFailure) -> (scales: [Float], zeros: [Int64], step: Int) {
        guard try call.integer("block_size", orElse: 0) == 0 else {
            throw KernelFailure(expected: "scales for all or for an axis", found: "blocks")
        }
        let (scales, scaleShape) = try call.floats(1)
        var zeros = scales.map { _ in Int64(0) }
        if call.has(2) {
            guard case .integers(let list) = try call.tensor(2).elements, list.count == scales.count else {
                throw KernelFailure(expected: "\(scales.count) zero points", found: "others")
            }
            zeros = list
        }
        guard scaleShape.count == 1, scales.count != 1 else {
            guard scales.count == 1 else { throw KernelFailure(expected: "one scale", found: text(scaleShape)) }
            return (scales, zeros, 1)
        }
        let axis = try axis(try call.integer("axis", orElse: 1), rank: shape.count)
        guard shape[axis] == scales.count else {
            throw KernelFailure(expected: "\(shape[axis]) scales", found: "\(scales.count)")
        }
        return (scales, zeros, shape[(axis + 1)...].reduce(1, *))
    }

    private static func dequantize(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.tensor(0)
        guard case .integers(let list) = tensor.elements else {
            throw KernelFailure(expected: "integers", found: "\(tensor.type)")
        }
        let (scales, zeros, step) = try parameters(call, tensor.shape)
        let results = list.indices.map { place in
            let channel = place / step % scales.count
            return Float(list[place] &- zeros[channel]) * scales[channel]
        }
        return [Tensor(results, tensor.shape)]
    }

    private static func quantize(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (floats, shape) = try call.floats(0)
        let (scales, zeros, step) = try parameters(call, shape)
        var type = call.has(2) ? try call.tensor(2).type : .u8
        if !call.has(2), case .integer(let number)? = call.layer.attributes["output_dtype"], number != 0 {
            type = ONNXTensor.dtype(number) ?? type
        }
        let bounds: [DType: ClosedRange<Int64>] = [
            .u8: 0...255, .i8: -128...127, .u16: 0...65535, .i16: -32768...32767,
        ]
        guard let range = bounds[type] else {
            throw KernelFailure(expected: "integers of 8 or 16 bits", found: "\(type)")
        }
        let results = floats.indices.map { place in
            let channel = place / step % scales.count
            let level = (floats[place] / scales[channel]).rounded(.toNearestOrEven)
            let bounded = level.isNaN ? 0 : min(max(level, -0x1p31), 0x1p31)
            return min(max(Int64(bounded) &+ zeros[channel], range.lowerBound), range.upperBound)
        }
        return [Tensor(results, shape, type)]
    }
}
