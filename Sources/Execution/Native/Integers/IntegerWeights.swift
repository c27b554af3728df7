import CNativeKernels
import WeightMapper

/// Weights of a product as integers of 8 bits, in the order in which the kernel reads them; each output has a scale of its own.
struct IntegerWeights: Sendable {
    let outputs: Int
    let depth: Int
    private let codes: [Int8]
    private let offsets: [Int32]
    private let scales: [Float]
    private let zeros: [Float]

    /// Most weights of an output: with activations of 8 bits their sum stays within 32.
    static let mostDepth = 1 << 16

    private static let instructions = wc_best_instructions()

    /// - Parameters:
    ///   - codes: rows of `depth`, one for each output.
    ///   - scales: what a code of each row stands for.
    init(codes rows: ArraySlice<Int8>, scales: ArraySlice<Float>, depth: Int) {
        let (width, group) = (Int(wc_panel_columns), Int(wc_panel_depth))
        let outputs = scales.count
        let panels = (outputs + width - 1) / width
        let groups = (depth + group - 1) / group
        var codes = [Int8](repeating: 0, count: panels * groups * width * group)
        var offsets = [Int32](repeating: 0, count: panels * width)
        rows.withUnsafeBufferPointer { rows in
            for output in 0..<outputs {
                let start = output / width * groups * width * group + output % width * group
                for index in 0..<depth {
                    let code = rows[output * depth + index]
                    codes[start + index / group * width * group + index % group] = code
                    offsets[output] += 128 * Int32(code)
                }
            }
        }
        (self.outputs, self.depth, self.codes, self.offsets) = (outputs, depth, codes, offsets)
        zeros = [Float](repeating: 0, count: panels * width)
        self.scales = Array(scales) + zeros.dropFirst(outputs)
    }

    /// Rows of the activations times the weights.
    ///
    /// - Parameters:
    ///   - rows: codes as ``IntegerActivations`` has them, `stride` from row to row.
    ///   - scales: what a code of each row stands for, `scaleStep` from row to row.
    ///   - bias: for each output what is added.
    ///   - target: `targetStride` from row to row.
    func multiply(
        _ rows: UnsafePointer<UInt8>, count: Int, stride: Int, scales rowScales: UnsafePointer<Float>, scaleStep: Int,
        bias: ArraySlice<Float>?, into target: UnsafeMutablePointer<Float>, targetStride: Int,
        instructions: wc_instructions = Self.instructions
    ) {
        let bias = bias.map { $0 + zeros.dropFirst(outputs) } ?? zeros[...]
        codes.withUnsafeBufferPointer { codes in
            offsets.withUnsafeBufferPointer { offsets in
                scales.withUnsafeBufferPointer { scales in
                    bias.withUnsafeBufferPointer { bias in
                        guard let codes = codes.baseAddress, let offsets = offsets.baseAddress,
                            let scales = scales.baseAddress, let bias = bias.baseAddress
                        else { return }
                        var weights = wc_integer_weights(
                            columns: outputs, depth: depth, codes: codes, offsets: offsets, scales: scales, bias: bias)
                        wc_multiply_integers(
                            instructions, &weights, count, rows, stride, rowScales, scaleStep, target, targetStride)
                    }
                }
            }
        }
    }
}

/// All weights of a layer as integers.
struct IntegerLayer: Sendable {
    /// None where integers do not do for its weights.
    var parts: [IntegerWeights] = []

    /// Adds weights, their scales determined by the precision adjuster.
    ///
    /// - Parameters:
    ///   - weights: rows of `depth`.
    ///   - ranges: the rows of each part.
    ///   - layer: as the adjuster calls it.
    /// - Returns: whether the weights are finite, and no more for an output than sums bear.
    mutating func append(_ weights: [Float], depth: Int, _ ranges: [Range<Int>], layer: String) -> Bool {
        guard (1...IntegerWeights.mostDepth).contains(depth),
            let steps = Self.steps(weights, rows: weights.count / depth, layer: layer)
        else { return false }
        let codes = [Int8](unsafeUninitializedCapacity: weights.count) { codes, done in
            for (row, step) in steps.enumerated() {
                for index in row * depth..<(row + 1) * depth {
                    let code = step > 0 ? (Double(weights[index]) / step).rounded(.toNearestOrEven) : 0
                    codes.initializeElement(at: index, to: Int8(min(max(code, -127), 127)))
                }
            }
            done = weights.count
        }
        let scales = steps.map { Float($0) }
        for range in ranges {
            parts.append(
                IntegerWeights(
                    codes: codes[range.lowerBound * depth..<range.upperBound * depth], scales: scales[range],
                    depth: depth))
        }
        return true
    }

    /// What a code of each row stands for; `nil` for weights that are not finite.
    private static func steps(_ weights: [Float], rows: Int, layer: String) -> [Double]? {
        do throws(MapperError) {
            var adjuster = try PrecisionAdjuster(.scale, bits: 8, granularity: .group, categories: [.weight])
            let groups = PrecisionGroups(valueCount: weights.count, channels: rows)
            let data = try OperationData(.weight, layer: layer, measuring: weights, groups: groups, distribution: false)
            _ = try adjuster.observe([data])
            return adjuster.steps(.weight, layer: layer)
        } catch { return nil }
    }
}
