import CNativeKernels
import Testing

@testable import Execution

/// The kernels that products of integers are compiled to.
struct IntegerProductTests {
    private static let known = [wc_instructions.portable, .avx2, .avx512].filter {
        $0.rawValue <= wc_best_instructions().rawValue
    }

    @Test(arguments: [
        (1, 1, 1), (1, 4, 16), (1, 30, 64), (1, 64, 100), (2, 5, 17), (3, 128, 31), (8, 7, 32), (13, 33, 48),
        (25, 8, 15),
    ])
    func allInstructionsGiveTheSameBits(rows: Int, depth: Int, columns: Int) {
        let codes = (0..<columns * depth).map { Int8($0 &* 37 % 255 - 127) }
        let weights = IntegerWeights(
            codes: codes[...], scales: (0..<columns).map { Float($0 + 1) / 7 }[...], depth: depth)
        let activations = (0..<rows * depth + 4).map { UInt8($0 &* 91 % 256) }
        let scales = (0..<rows).map { Float($0 + 2) / 3 }
        let bias = (0..<columns).map { Float($0) / 5 }
        // What is behind a row of the result stays as it is.
        let stride = columns + 3
        let results = Self.known.map { instructions in
            var result = [Float](repeating: -1, count: rows * stride)
            result.withUnsafeMutableBufferPointer { target in
                weights.multiply(
                    activations, count: rows, stride: depth, scales: scales, scaleStep: 1, bias: bias[...],
                    into: target.baseAddress!, targetStride: stride, instructions: instructions)
            }
            return result
        }
        let expected = (0..<rows * stride).map { place -> Float in
            let (row, column) = (place / stride, place % stride)
            guard column < columns else { return -1 }
            let sum = (0..<depth).reduce(0) {
                $0 + (Int(activations[row * depth + $1]) - 128) * Int(codes[column * depth + $1])
            }
            return Float(sum) * (scales[row] * (Float(column + 1) / 7)) + bias[column]
        }
        #expect(results.allSatisfy { $0 == expected })
    }
}
