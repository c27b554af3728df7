/// Products of matrices.
extension Kernels {
    static let matrices: [String: Kernel] = ["Gemm": gemm, "MatMul": product]

    /// Y = alpha A' B' + beta C, of which C broadcasts.
    private static func gemm(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (a, aShape) = try call.floats(0)
        let (b, bShape) = try call.floats(1)
        guard aShape.count == 2, bShape.count == 2 else {
            throw KernelFailure(expected: "two matrices", found: "\(text(aShape)) and \(text(bShape))")
        }
        let (turnsA, turnsB) = (call.flag("transA"), call.flag("transB"))
        let (m, k) = turnsA ? (aShape[1], aShape[0]) : (aShape[0], aShape[1])
        let (inner, n) = turnsB ? (bShape[1], bShape[0]) : (bShape[0], bShape[1])
        guard k == inner else {
            throw KernelFailure(expected: "matrices that fit", found: "\(text(aShape)) and \(text(bShape))")
        }
        let alpha = call.number("alpha", orElse: 1)
        var beta: Float = 0
        let count = try checkedCount([m, n])
        var start: [Float]
        if call.has(2) {
            let (c, cShape) = try call.floats(2)
            guard try broadcastShape(cShape, [m, n]) == [m, n] else {
                throw KernelFailure(expected: "a bias that broadcasts to \(text([m, n]))", found: text(cShape))
            }
            beta = call.number("beta", orElse: 1)
            start = broadcasting(c, cShape, [Float(0)], [], [m, n]) { c, _ in c }
        } else {
            start = [Float](repeating: 0, count: count)
        }
        if let weights = try integerProduct(call, outputs: n, depth: k, isTransposed: turnsB) {
            let rows = turnsA ? Tensor(a, [1, k, m]).channelsLast().allFloats : a
            let products = product(rows, m, weights)
            for index in start.indices { start[index] = alpha * products[index] + beta * start[index] }
            return [Tensor(start, [m, n])]
        }
        try multiply(
            call.blas, m: m, n: n, k: k, alpha: alpha, a, aShape[1], turnsA, b, bShape[1], turnsB, beta: beta, &start)
        return [Tensor(start, [m, n])]
    }

    private static func product(_ rows: [Float], _ count: Int, _ weights: IntegerWeights) -> [Float] {
        [Float](unsafeUninitializedCapacity: count * weights.outputs) { target, done in
            target.initialize(repeating: 0)
            rows.withUnsafeBufferPointer { rows in
                if let target = target.baseAddress { multiply(rows, count: count, weights, into: target) }
            }
            done = count * weights.outputs
        }
    }

    static func multiply(
        _ blas: BLAS, m: Int, n: Int, k: Int, alpha: Float = 1, _ a: [Float], _ lda: Int, _ turnsA: Bool, _ b: [Float],
        _ ldb: Int, _ turnsB: Bool, beta: Float = 0, _ c: inout [Float]
    ) throws(KernelFailure) {
        try withPointers(a, b, &c) { (a, b, c) throws(KernelFailure) in
            try blas.multiply(
                m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, isATransposed: turnsA, b: b, ldb: ldb,
                isBTransposed: turnsB, beta: beta, c: c, ldc: n)
        }
    }

    /// Calls `body` with the places of three lists.
    static func withPointers(
        _ a: [Float], _ b: [Float], _ c: inout [Float],
        _ body: (UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?) throws(KernelFailure) ->
            Void
    ) throws(KernelFailure) {
        var failure: KernelFailure?
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                c.withUnsafeMutableBufferPointer { c in
                    do throws(KernelFailure) {
                        try body(a.baseAddress, b.baseAddress, c.baseAddress)
                    } catch { failure = error }
                }
            }
        }
        if let failure { throw failure }
    }

    /// The product of the last two dimensions; those before broadcast, and a vector stands for a matrix of one side 1.
    private static func product(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let (a, aGiven) = try call.floats(0)
        let (b, bGiven) = try call.floats(1)
        guard !aGiven.isEmpty, !bGiven.isEmpty else {
            throw KernelFailure(expected: "matrices", found: "\(text(aGiven)) and \(text(bGiven))")
        }
        let aShape = aGiven.count == 1 ? [1] + aGiven : aGiven
        let bShape = bGiven.count == 1 ? bGiven + [1] : bGiven
        let (m, k, n) = (aShape[aShape.count - 2], aShape[aShape.count - 1], bShape[bShape.count - 1])
        guard bShape[bShape.count - 2] == k else {
            throw KernelFailure(expected: "matrices that fit", found: "\(text(aGiven)) and \(text(bGiven))")
        }
        let batch = try broadcastShape(Array(aShape.dropLast(2)), Array(bShape.dropLast(2)))
        var result = [Float](repeating: 0, count: try checkedCount(batch + [m, n]))
        var shape = batch
        if aGiven.count > 1 { shape.append(m) }
        if bGiven.count > 1 { shape.append(n) }
        guard !result.isEmpty else { return [Tensor(result, shape)] }
        if bShape.count == 2 {
            if bGiven.count == 2, let weights = try integerProduct(call, outputs: n, depth: k, isTransposed: false) {
                return [Tensor(product(a, result.count / n, weights), shape)]
            }
            // All rows of A meet one matrix.
            try multiply(call.blas, m: result.count / n, n: n, k: k, a, k, false, b, n, false, &result)
            return [Tensor(result, shape)]
        }
        let (aBatch, bBatch) = (Array(aShape.dropLast(2)), Array(bShape.dropLast(2)))
        let strides = [
            broadcastStrides(aBatch, to: batch).map { $0 * m * k },
            broadcastStrides(bBatch, to: batch).map { $0 * k * n },
        ]
        let blas = call.blas
        try withPointers(a, b, &result) { (a, b, c) throws(KernelFailure) in
            var place = 0
            try forEachRow(batch, strides, [0, 0]) { (starts) throws(KernelFailure) in
                try blas.multiply(
                    m: m, n: n, k: k, a: a.map { $0 + starts[0] }, lda: k, b: b.map { $0 + starts[1] }, ldb: n,
                    c: c.map { $0 + place }, ldc: n)
                place += m * n
            }
        }
        return [Tensor(result, shape)]
    }
}
