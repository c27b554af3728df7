import Foundation
import Testing

@testable import ModelFiles

/// Element types, strides and mapped memory.
struct MemoryTests {
    private static let permutations: [[Int]] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]

    @Test(arguments: permutations)
    func everyDensePermutationIsFound(order: [Int]) {
        for shape in [[2, 3, 4], [3, 3, 3], [1, 2, 3], [2, 1, 2], [1, 1, 5], [4, 2, 1]] {
            var strides = [0, 0, 0]
            var step = 1
            for dimension in order.reversed() {
                strides[dimension] = step
                step *= shape[dimension]
            }
            let found = memoryOrder(shape: shape, strides: strides)
            // Where dimensions of one element leave a choice, the order must still lead to the same places.
            #expect(found.map { $0.filter { shape[$0] > 1 } } == order.filter { shape[$0] > 1 })
            #expect(found?.sorted() == [0, 1, 2])
            #expect(elementSpan(shape: shape, strides: strides) == shape.reduce(1, *))
        }
    }

    @Test(
        arguments: [
            ([2, 3], [4, 1]), ([2, 3], [0, 1]), ([2, 3], [1, 1]), ([3], [2]), ([2, 2, 2], [4, 2, 2]),
            ([2, 2], [.max, 1]),
        ] as [([Int], [Int])])
    func gapsAndRepetitionsHaveNoOrder(shape: [Int], strides: [Int]) {
        #expect(memoryOrder(shape: shape, strides: strides) == nil)
    }

    @Test func smallTensorsAreRowMajorWhateverTheirStrides() {
        #expect(memoryOrder(shape: [], strides: []) == [])
        #expect(memoryOrder(shape: [1, 1], strides: [7, 9]) == [0, 1])
        #expect(memoryOrder(shape: [0, 3], strides: [1, 1]) == [0, 1])
        #expect(memoryOrder(shape: [4, 3, 1, 1], strides: [3, 1, 3, 3]) == [0, 1, 2, 3])
    }

    @Test func aDTypeIsEncodedAsItsName() throws {
        let encoded = try JSONEncoder().encode([DType.bf16, DType(rawValue: "X17")])
        #expect(String(decoding: encoded, as: UTF8.self) == #"["BF16","X17"]"#)
        #expect(try JSONDecoder().decode([DType].self, from: encoded) == [.bf16, DType(rawValue: "X17")])
    }

    @Test func releasedBytesAreReadAgain() throws {
        let folder = try TemporaryFolder()
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let file = try MappedFile(try folder.write(bytes))
        for range in [0..<100_000, 5000..<5001, 4096..<50_000, 99_999..<100_000, 7..<7] {
            #expect(file.withBytes(range) { Array($0) } == Array(bytes[range]))
            file.release(range)
            #expect(file.withBytes(range) { Array($0) } == Array(bytes[range]))
        }
    }
}
