import ModelGraph

/// Recurrent layers.
extension Kernels {
    static let recurrences: [String: Kernel] = [
        "LSTM": { (call) throws(KernelFailure) in try recurrence(&call, gates: 4) },
        "GRU": { (call) throws(KernelFailure) in try recurrence(&call, gates: 3) },
        "RNN": { (call) throws(KernelFailure) in try recurrence(&call, gates: 1) },
    ]

    /// X [steps, batch, inputs] with W [directions, gates H, inputs] and R [directions, gates H, H] gives
    /// Y [steps, directions, batch, H] and the last states [directions, batch, H]; in layout 1 the batch comes first.
    private static func recurrence(_ call: inout KernelCall, gates: Int) throws(KernelFailure) -> [Tensor] {
        let isBatchFirst = try call.integer("layout", orElse: 0) == 1
        if isBatchFirst {
            for index in [0, 5, 6] where call.has(index) {
                call.inputs[index] = try swapped(try call.tensor(index), 0, 1)
            }
        }
        let layer = try RecurrentLayer(call, gates: gates)
        let (y, hidden, cells) = try layer.run(call)
        let (t, d, b, h) = (layer.steps, layer.directions, layer.batch, layer.hidden)
        var results = [Tensor(y, [t, d, b, h]), Tensor(hidden, [d, b, h])]
        if gates == 4 { results.append(Tensor(cells, [d, b, h])) }
        guard isBatchFirst else { return results }
        let all = results[0]
        let strides = rowMajorStrides(all.shape)
        results[0] = all.strided([b, t, d, h], [strides[2], strides[0], strides[1], strides[3]])
        for index in 1..<results.count { results[index] = try swapped(results[index], 0, 1) }
        return results
    }

    private static func swapped(_ tensor: Tensor, _ a: Int, _ b: Int) throws(KernelFailure) -> Tensor {
        guard tensor.rank > max(a, b) else {
            throw KernelFailure(expected: "three dimensions", found: text(tensor.shape))
        }
        var (shape, strides) = (tensor.shape, rowMajorStrides(tensor.shape))
        shape.swapAt(a, b)
        strides.swapAt(a, b)
        return tensor.strided(shape, strides)
    }
}

/// A recurrent layer whose tensors fit each other.
///
/// Source: "LSTM", "GRU" and "RNN" of "Operators.md" of onnx/onnx.
struct RecurrentLayer {
    let gates: Int
    let steps: Int
    let batch: Int
    let inputs: Int
    let hidden: Int
    let directions: Int
    private let x: [Float]
    private let w: [Float]
    private let r: [Float]
    private let bias: [Float]?
    private let peepholes: [Float]?
    private let lengths: [Int]
    private let functions: [RecurrentFunction]
    private let direction: String
    private let clip: Float
    private let couplesInput: Bool
    private let resetsAfter: Bool
    /// The weights as integers, for each direction those of the inputs and those of the states; none for floats.
    private let integers: [IntegerWeights]

    init(_ call: KernelCall, gates: Int) throws(KernelFailure) {
        self.gates = gates
        let (x, xShape) = try call.floats(0)
        let (w, wShape) = try call.floats(1)
        let (r, rShape) = try call.floats(2)
        direction = call.string("direction", orElse: "forward")
        directions = direction == "bidirectional" ? 2 : 1
        guard xShape.count == 3, rShape.count == 3, wShape.count == 3, rShape[0] == directions,
            wShape[0] == directions, wShape[1] == gates * rShape[2], rShape[1] == wShape[1], wShape[2] == xShape[2],
            ["forward", "reverse", "bidirectional"].contains(direction)
        else {
            throw KernelFailure(
                expected: "weights of \(gates) gates for inputs and states",
                found: "\(text(wShape)) and \(text(rShape)) for \(text(xShape))")
        }
        (steps, batch, inputs, hidden) = (xShape[0], xShape[1], xShape[2], rShape[2])
        (self.x, self.w, self.r) = (x, w, r)
        bias = try call.optionalFloats(3, count: directions * 2 * gates * hidden)
        peepholes = gates == 4 ? try call.optionalFloats(7, count: directions * 3 * hidden) : nil
        let steps = steps
        let given = try call.optionalIntegers(4)
        lengths = given ?? Array(repeating: steps, count: batch)
        guard lengths.count == batch, lengths.allSatisfy({ (0...steps).contains($0) }) else {
            throw KernelFailure(expected: "\(batch) lengths up to \(steps)", found: "\(lengths.prefix(16))")
        }
        let clip = call.number("clip", orElse: 0)
        self.clip = clip > 0 ? clip : .infinity
        couplesInput = call.flag("input_forget")
        resetsAfter = call.flag("linear_before_reset")
        functions = try RecurrentFunction.all(
            call, each: gates == 4 ? 3 : gates == 3 ? 2 : 1, directions: directions,
            orElse: gates == 4 ? ["Sigmoid", "Tanh", "Tanh"] : gates == 3 ? ["Sigmoid", "Tanh"] : ["Tanh"])
        integers = try Self.integers(
            call, w, r, inputs: inputs, hidden: hidden, directions: directions,
            rows: wShape[1], split: gates == 3 && !resetsAfter ? 2 * hidden : wShape[1])
    }

    /// - Parameter split: the rows of R, of `rows`, whose products come before those of the others.
    private static func integers(
        _ call: KernelCall, _ w: [Float], _ r: [Float], inputs: Int, hidden: Int, directions: Int, rows: Int, split: Int
    ) throws(KernelFailure) -> [IntegerWeights] {
        guard call.usesIntegers, call.weights.contains(2), inputs > 0, hidden > 0 else { return [] }
        let layer = try call.prepared(from: [1, 2]) { () throws(KernelFailure) in
            var (ofInputs, ofStates) = (IntegerLayer(), IntegerLayer())
            let all = (0..<directions).map { $0 * rows..<($0 + 1) * rows }
            let parts = all.flatMap { range in
                [range.lowerBound..<range.lowerBound + split, range.lowerBound + split..<range.upperBound]
            }
            let name = call.layer.identifier
            guard ofInputs.append(w, depth: inputs, all, layer: name),
                ofStates.append(r, depth: hidden, parts, layer: name)
            else { return IntegerLayer() }
            return IntegerLayer(
                parts: (0..<directions).flatMap { number in
                    ofInputs.parts[number...number] + ofStates.parts[2 * number...2 * number + 1]
                })
        }
        return layer.parts
    }

    /// All outputs, and the last states of each direction.
    func run(_ call: KernelCall) throws(KernelFailure) -> (y: [Float], hidden: [Float], cells: [Float]) {
        var y = [Float](repeating: 0, count: try checkedCount([steps, directions, batch, hidden]))
        let size = try checkedCount([directions, batch, hidden])
        var states = try call.optionalFloats(5, count: size) ?? [Float](repeating: 0, count: size)
        var cells = gates == 4 ? try call.optionalFloats(6, count: size) : nil
        cells = cells ?? [Float](repeating: 0, count: size)
        let rows = gates * hidden
        var projected = [Float](repeating: 0, count: try checkedCount([steps, batch, rows]))
        for number in 0..<directions {
            // What the inputs add to the gates is one product for all steps.
            try Kernels.withPointers(x, w, &projected) { (x, w, c) throws(KernelFailure) in
                if let c, !integers.isEmpty {
                    let rows = UnsafeBufferPointer(start: x, count: steps * batch * inputs)
                    return Kernels.multiply(rows, count: steps * batch, integers[3 * number], into: c)
                }
                try call.blas.multiply(
                    m: steps * batch, n: rows, k: inputs, a: x, lda: inputs, b: w.map { $0 + number * rows * inputs },
                    ldb: inputs, isBTransposed: true, c: c, ldc: rows)
            }
            let part = number * batch * hidden
            var h = Array(states[part..<part + batch * hidden])
            var c = Array((cells ?? [])[part..<part + batch * hidden])
            for step in 0..<steps {
                let isBackward = direction == "reverse" || number == 1
                // A shorter sequence is read backward from its own end.
                let places = lengths.map { length in isBackward ? length - 1 - step : step }
                try turn(call, number, projected, places, step, &h, &c)
                for row in 0..<batch where step < lengths[row] {
                    let target = ((places[row] * directions + number) * batch + row) * hidden
                    for index in 0..<hidden { y[target + index] = h[row * hidden + index] }
                }
            }
            states.replaceSubrange(part..<part + batch * hidden, with: h)
            cells?.replaceSubrange(part..<part + batch * hidden, with: c)
        }
        return (y, states, cells ?? [])
    }

    /// One step of all sequences that are not at their end.
    private func turn(
        _ call: KernelCall, _ number: Int, _ projected: [Float], _ places: [Int], _ step: Int, _ h: inout [Float],
        _ c: inout [Float]
    ) throws(KernelFailure) {
        let rows = gates * hidden
        // A GRU that resets before needs the last gate's product later.
        let products = gates == 3 && !resetsAfter ? 2 * hidden : rows
        var sums = [Float](repeating: 0, count: batch * products)
        try multiply(call, h, number, from: 0, count: products, &sums)
        let own = Array(functions[(number * functions.count / directions)...])
        // The sums of all gates, a row at a time.
        var gates = [Float](repeating: 0, count: rows)
        for row in 0..<batch where step < lengths[row] {
            let x = (places[row] * batch + row) * rows
            let (first, second) = (number * 2 * rows, number * 2 * rows + rows)
            for place in 0..<products {
                gates[place] = projected[x + place] + sums[row * products + place]
                if let bias { gates[place] += bias[first + place] + bias[second + place] }
            }
            let state = row * hidden..<(row + 1) * hidden
            switch self.gates {
            case 4: long(&gates, number, own, &h, &c, state)
            case 3:
                // The candidate's two parts meet only after the reset.
                var candidate = [Float](repeating: 0, count: hidden)
                if resetsAfter {
                    for index in 0..<hidden { candidate[index] = sums[row * products + 2 * hidden + index] }
                }
                for index in 0..<hidden {
                    gates[2 * hidden + index] = projected[x + 2 * hidden + index]
                    if let bias {
                        gates[2 * hidden + index] += bias[first + 2 * hidden + index]
                        if resetsAfter { candidate[index] += bias[second + 2 * hidden + index] }
                    }
                }
                bound(&gates, 0..<2 * hidden)
                apply(own[0], &gates, 0..<2 * hidden)
                if resetsAfter {
                    for index in 0..<hidden { candidate[index] *= gates[hidden + index] }
                } else {
                    let gated = (0..<hidden).map { gates[hidden + $0] * h[state.lowerBound + $0] }
                    try multiply(call, gated, number, from: 2 * hidden, count: hidden, &candidate)
                    if let bias {
                        for index in 0..<hidden { candidate[index] += bias[second + 2 * hidden + index] }
                    }
                }
                for index in 0..<hidden { gates[2 * hidden + index] += candidate[index] }
                bound(&gates, 2 * hidden..<rows)
                apply(own[1], &gates, 2 * hidden..<rows)
                for (index, place) in state.enumerated() {
                    h[place] = (1 - gates[index]) * gates[2 * hidden + index] + gates[index] * h[place]
                }
            default:
                bound(&gates, 0..<rows)
                apply(own[0], &gates, 0..<rows)
                h.replaceSubrange(state, with: gates)
            }
        }
    }

    /// What an LSTM makes of the sums of its gates input, output, forget and cell.
    private func long(
        _ gates: inout [Float], _ number: Int, _ own: [RecurrentFunction], _ h: inout [Float], _ c: inout [Float],
        _ state: Range<Int>
    ) {
        let size = hidden
        let start = state.lowerBound
        /// Adds what the cells give to a gate.
        func look(_ gate: Int, _ peephole: Int) {
            guard let peepholes else { return }
            let weights = (number * 3 + peephole) * size
            for index in 0..<size { gates[gate * size + index] += peepholes[weights + index] * c[start + index] }
        }
        look(0, 0)
        look(2, 2)
        bound(&gates, 0..<size)
        bound(&gates, 2 * size..<4 * size)
        apply(own[0], &gates, 0..<size)
        if couplesInput {
            for index in 0..<size { gates[2 * size + index] = 1 - gates[index] }
        } else {
            apply(own[0], &gates, 2 * size..<3 * size)
        }
        apply(own[1], &gates, 3 * size..<4 * size)
        for index in 0..<size {
            c[start + index] =
                gates[2 * size + index] * c[start + index] + gates[index] * gates[3 * size + index]
        }
        look(1, 1)
        bound(&gates, size..<2 * size)
        apply(own[0], &gates, size..<2 * size)
        h.replaceSubrange(state, with: c[state])
        apply(own[2], &h, state)
        for index in 0..<size { h[start + index] *= gates[size + index] }
    }

    private func bound(_ numbers: inout [Float], _ range: Range<Int>) {
        guard clip < .infinity else { return }
        for index in range { numbers[index] = min(max(numbers[index], -clip), clip) }
    }

    private func apply(_ function: RecurrentFunction, _ numbers: inout [Float], _ range: Range<Int>) {
        numbers.withUnsafeMutableBufferPointer { function.apply(to: UnsafeMutableBufferPointer(rebasing: $0[range])) }
    }

    /// States times some rows of R, transposed.
    private func multiply(
        _ call: KernelCall, _ states: [Float], _ number: Int, from first: Int, count: Int, _ sums: inout [Float]
    ) throws(KernelFailure) {
        let rows = sums.count / max(count, 1)
        let row = number * gates * hidden + first
        try Kernels.withPointers(states, r, &sums) { (states, r, c) throws(KernelFailure) in
            if let c, !integers.isEmpty {
                let states = UnsafeBufferPointer(start: states, count: rows * hidden)
                let part = integers[3 * number + (first == 0 ? 1 : 2)]
                return Kernels.multiply(states, count: rows, part, into: c)
            }
            try call.blas.multiply(
                m: rows, n: count, k: hidden, a: states, lda: hidden,
                b: r.map { $0 + row * hidden }, ldb: hidden, isBTransposed: true, c: c, ldc: count)
        }
    }
}
