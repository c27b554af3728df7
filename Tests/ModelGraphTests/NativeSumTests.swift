import Execution
import ModelFiles
import TestSupport
import Testing

/// Sums of products over named dimensions.
@Suite(.enabled(if: Engines.hasOpenBLAS)) struct NativeSumTests {
    /// What an equation without ellipses means: a loop over all of its labels.
    private static func sums(_ equation: String, _ shapes: [[Int]], _ factors: [[Float]]) -> [Double] {
        let sides = equation.replacing("->", with: ">").split(separator: ">", omittingEmptySubsequences: false)
        let terms = sides[0].split(separator: ",").map(Array.init)
        let output = sides.count > 1 ? Array(sides[1]) : []
        var sizes: [Character: Int] = [:]
        for (term, shape) in zip(terms, shapes) { for (label, size) in zip(term, shape) { sizes[label] = size } }
        let labels = output + sizes.keys.filter { !output.contains($0) }.sorted()
        var indices: [Character: Int] = Dictionary(uniqueKeysWithValues: labels.map { ($0, 0) })
        func place(_ term: [Character]) -> Int {
            term.reduce(0) { $0 * (sizes[$1] ?? 1) + (indices[$1] ?? 0) }
        }
        var result = [Double](repeating: 0, count: output.reduce(1) { $0 * (sizes[$1] ?? 1) })
        while true {
            var product = 1.0
            for (term, factor) in zip(terms, factors) { product *= Double(factor[place(term)]) }
            result[place(output)] += product
            guard let next = labels.lastIndex(where: { (indices[$0] ?? 0) + 1 < (sizes[$0] ?? 1) }) else {
                return result
            }
            indices[labels[next], default: 0] += 1
            for label in labels[(next + 1)...] { indices[label] = 0 }
        }
    }

    @Test(
        arguments: [
            ("ij,jk->ik", [[3, 4], [4, 5]]), ("bij,bjk->bik", [[2, 3, 4], [2, 4, 5]]), ("ij->ji", [[3, 4]]),
            ("ii->i", [[4, 4]]), ("ij->", [[3, 4]]), ("ij->j", [[3, 4]]), ("i,j->ij", [[3], [4]]),
            ("i,i->", [[5], [5]]),
            ("bhid,bhjd->bhij", [[2, 3, 4, 5], [2, 3, 6, 5]]), ("ijk,kl,lm->mi", [[2, 3, 4], [4, 5], [5, 2]]),
            ("ij,ij->ij", [[3, 4], [3, 4]]), ("iij,jk->k", [[3, 3, 2], [2, 4]]),
            ("abc,cd,be->ade", [[2, 3, 4], [4, 2], [3, 5]]),
        ])
    func agreesWithALoopOverAllLabels(equation: String, shapes: [[Int]]) async throws {
        let target = try await NativeTarget(library: nil)
        let factors = shapes.enumerated().map { NativeRun.numbers($1.reduce(1, *), seed: $0 + 1) }
        let weights = (1..<max(shapes.count, 1)).map { NativeRun.tensor("w\($0)", shapes[$0], factors[$0]) }
        let names = ["x"] + weights.map(\.name)
        let found = try NativeRun.run(
            [ONNXNode("Einsum", names, ["y"], ["equation": .string(equation)])], weights,
            try NativeRun.value(shapes[0], factors[0]), "NCHW/F32", target)
        let expected = Self.sums(equation, shapes, factors)
        #expect(found.numbers.count == expected.count)
        #expect(zip(found.numbers, expected).allSatisfy { abs($0 - $1) < 1e-3 })
    }

    @Test(
        arguments: [
            ("...ij,jk->...ik", [[2, 3, 4, 5], [5, 2]], [2, 3, 4, 2]), ("...ij->...ji", [[2, 3, 4]], [2, 4, 3]),
            ("i...,...->i...", [[2, 3, 4], [3, 4]], [2, 3, 4]), ("...i,...i", [[2, 3, 4], [3, 4]], [2, 3]),
            ("ij,jk", [[2, 3], [3, 4]], [2, 4]), ("ba", [[2, 3]], [3, 2]),
            ("bij,bjk->bik", [[1, 2, 3], [4, 3, 5]], [4, 2, 5]),
        ])
    func dotsStandForDimensionsThatBroadcast(equation: String, shapes: [[Int]], shape: [Int]) async throws {
        let target = try await NativeTarget(library: nil)
        let weights = (1..<max(shapes.count, 1)).map { NativeRun.tensor("w\($0)", shapes[$0], seed: $0) }
        let found = try NativeRun.run(
            [ONNXNode("Einsum", ["x"] + weights.map(\.name), ["y"], ["equation": .string(equation)])], weights,
            try NativeRun.value(shapes[0], NativeRun.numbers(shapes[0].reduce(1, *), seed: 7)), "NCHW/F32", target)
        #expect(found.shape == shape)
    }

    @Test(arguments: ["ij,jk->ik", "i->j", "ij->ii", "ijk->i", "a...b...->a", "->", ""])
    func namesAnEquationThatDoesNotFit(equation: String) async throws {
        let target = try await NativeTarget(library: nil)
        let error = #expect(throws: ExecutionError.self) {
            try NativeRun.run(
                [ONNXNode("Einsum", ["x"], ["y"], name: "sum", ["equation": .string(equation)])], [],
                try NativeRun.value([2, 3], NativeRun.numbers(6, seed: 1)), "NCHW/F32", target)
        }
        #expect(error?.description.contains("node \"sum\": expected") == true)
    }
}
