import ModelGraph

/// Sums of products over named dimensions.
extension Kernels {
    static let sums: [String: Kernel] = ["Einsum": einsum]

    private static func einsum(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let equation = call.string("equation", orElse: "").filter { $0 != " " }
        var shapes: [[Int]] = []
        for index in call.inputs.indices { shapes.append(try call.floats(index).shape) }
        let terms = try SumTerms(equation, shapes)
        var left: LabeledTensor?
        for (index, labels) in terms.inputs.enumerated() {
            let next = try LabeledTensor(try call.tensor(index), labels, terms.sizes)
            // What no later factor and no output has is summed now.
            let needed = Set(terms.inputs[(index + 1)...].joined() + terms.output)
            if let factor = left {
                left = try factor.multiplied(by: next, keeping: needed, call.blas)
            } else {
                left = next
            }
        }
        guard let left else { throw KernelFailure(expected: "an input for each term", found: "none") }
        return [try left.summed(keeping: Set(terms.output)).ordered(terms.output, terms.sizes)]
    }
}

/// What an equation as "bij,bjk->bik" says: a label for each dimension.
///
/// Source: "Einsum" of "Operators.md" of onnx/onnx.
private struct SumTerms {
    var inputs: [[String]] = []
    var output: [String] = []
    var sizes: [String: Int] = [:]

    init(_ equation: String, _ shapes: [[Int]]) throws(KernelFailure) {
        let sides = equation.split(separator: "->", omittingEmptySubsequences: false)
        let texts = sides.first.map { $0.split(separator: ",", omittingEmptySubsequences: false) } ?? []
        guard (1...2).contains(sides.count) || equation.hasSuffix("->"), texts.count == shapes.count else {
            throw KernelFailure(expected: "an equation of \(shapes.count) terms", found: equation)
        }
        var extra = 0
        for (text, shape) in zip(texts, shapes) {
            let letters = text.replacing("...", with: "").count
            if text.contains("...") { extra = max(extra, shape.count - letters) }
        }
        for (text, shape) in zip(texts, shapes) {
            let letters = text.replacing("...", with: "").count
            let labels = Self.labels(text, dots: shape.count - letters, of: extra)
            guard letters <= shape.count, labels.count == shape.count else {
                throw KernelFailure(
                    expected: "a label for each dimension of \(Execution.text(shape))", found: String(text))
            }
            for (label, size) in zip(labels, shape) {
                guard let known = sizes[label], known != 1 else {
                    sizes[label] = size
                    continue
                }
                guard size == known || size == 1 else {
                    throw KernelFailure(expected: "\(known) elements for \(label)", found: "\(size)")
                }
            }
            inputs.append(labels)
        }
        if sides.count == 2 {
            output = Self.labels(sides[1], dots: extra, of: extra)
        } else {
            let all = inputs.joined()
            let once = Set(all).filter { label in label.count == 1 && all.count { $0 == label } == 1 }
            output = (0..<extra).map { "...\($0)" } + once.sorted()
        }
        guard Set(output).count == output.count, output.allSatisfy({ sizes[$0] != nil }) else {
            throw KernelFailure(expected: "labels of the terms, each once, in the result", found: equation)
        }
    }

    /// - Parameters:
    ///   - dots: dimensions that an ellipsis stands for here, the last of `all`.
    private static func labels(_ text: Substring, dots: Int, of all: Int) -> [String] {
        let parts = text.split(separator: "...", maxSplits: 1, omittingEmptySubsequences: false)
        let letters = parts.map { $0.map(String.init) }
        guard letters.count == 2 else { return letters.first ?? [] }
        return letters[0] + (0..<max(dots, 0)).map { "...\(all - max(dots, 0) + $0)" } + letters[1]
    }
}

/// A tensor of floats whose dimensions have labels, each once.
private struct LabeledTensor {
    let tensor: Tensor
    let labels: [String]

    private init(_ tensor: Tensor, _ labels: [String]) { (self.tensor, self.labels) = (tensor, labels) }

    /// - Parameter labels: some of which may be there twice, for a diagonal; sizes of 1 are repeated.
    init(_ tensor: Tensor, _ labels: [String], _ sizes: [String: Int]) throws(KernelFailure) {
        var (unique, shape, strides) = ([String](), [Int](), [Int]())
        for (axis, step) in rowMajorStrides(tensor.shape).enumerated() {
            let own = tensor.shape[axis] == 1 ? 0 : step
            if let index = unique.firstIndex(of: labels[axis]) {
                strides[index] += own
            } else {
                unique.append(labels[axis])
                shape.append(sizes[labels[axis]] ?? 1)
                strides.append(own)
            }
        }
        _ = try checkedCount(shape)
        self.init(tensor.strided(shape, strides), unique)
    }

    /// Summed over all labels but some.
    func summed(keeping needed: Set<String>) throws(KernelFailure) -> LabeledTensor {
        let axes = labels.indices.filter { !needed.contains(labels[$0]) }
        guard !axes.isEmpty else { return self }
        let (floats, shape) = try Kernels.reduced(tensor, axes) {
            $0
        } join: {
            $0 + $1
        } end: { sum, _ in
            sum
        }
        let left = labels.indices.filter { !axes.contains($0) }
        return LabeledTensor(Tensor(floats, left.map { shape[$0] }), left.map { labels[$0] })
    }

    /// The product of matrices for each index that both have and that is kept.
    func multiplied(by other: LabeledTensor, keeping needed: Set<String>, _ blas: BLAS) throws(KernelFailure)
        -> LabeledTensor
    {
        let first = try summed(keeping: needed.union(other.labels))
        let second = try other.summed(keeping: needed.union(labels))
        let shared = first.labels.filter(second.labels.contains)
        let batch = shared.filter(needed.contains)
        let inner = shared.filter { !needed.contains($0) }
        let rows = first.labels.filter { !shared.contains($0) }
        let columns = second.labels.filter { !shared.contains($0) }
        let sizes = Dictionary(
            zip(first.labels + second.labels, first.tensor.shape + second.tensor.shape).map { ($0, $1) }
        ) { a, _ in a }
        func count(_ labels: [String]) -> Int { labels.reduce(1) { $0 * (sizes[$1] ?? 1) } }
        let a = try first.ordered(batch + rows + inner, sizes).allFloats
        let b = try second.ordered(batch + inner + columns, sizes).allFloats
        let labels = batch + rows + columns
        let shape = labels.map { sizes[$0] ?? 1 }
        let (m, k, n) = (count(rows), count(inner), count(columns))
        var result = [Float](repeating: 0, count: try checkedCount(shape))
        try Kernels.withPointers(a, b, &result) { (a, b, c) throws(KernelFailure) in
            for number in 0..<count(batch) {
                try blas.multiply(
                    m: m, n: n, k: k, a: a.map { $0 + number * m * k }, lda: k, b: b.map { $0 + number * k * n },
                    ldb: n, c: c.map { $0 + number * m * n }, ldc: n)
            }
        }
        return LabeledTensor(Tensor(result, shape), labels)
    }

    /// The tensor with its dimensions in another order.
    func ordered(_ order: [String], _ sizes: [String: Int]) throws(KernelFailure) -> Tensor {
        let strides = rowMajorStrides(tensor.shape)
        let own = order.map { label in labels.firstIndex(of: label).map { strides[$0] } ?? 0 }
        let shape = order.map { sizes[$0] ?? 1 }
        _ = try checkedCount(shape)
        return tensor.strided(shape, own)
    }
}
