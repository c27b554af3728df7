import ModelFiles

/// Attention as one operator: products of queries with keys, and of their scores with values.
extension Operators {
    static let attentions: [String: Operator] = [
        "Attention": Operator(attention, multiplyAdds: attentionMultiplyAdds),
        "RotaryEmbedding": Operator(likeInput),
    ]

    static let contributedAttentions: [String: Operator] = [
        "Attention": Operator(selfAttention, multiplyAdds: selfAttentionMultiplyAdds),
        "MultiHeadAttention": Operator(multiHeadAttention, multiplyAdds: multiHeadMultiplyAdds),
        "RotaryEmbedding": Operator(likeInput),
    ]

    /// An input of attention as [batch, heads, steps, size]; `nil` when it is something else.
    private static func heads(_ input: Int, _ call: OperatorCall) throws(GraphError) -> [Dimension]? {
        guard let shape = call.shape(input) else { return nil }
        if shape.count == 4 { return shape }
        guard shape.count == 3, let count = try call.integer(input == 0 ? "q_num_heads" : "kv_num_heads"), count > 0
        else { return nil }
        return [shape[0], .size(count), shape[1], shape[2].size.map { .size($0 / count) } ?? .unknown]
    }

    /// Steps of keys and values, those of the past among them.
    private static func steps(_ keys: [Dimension], _ call: OperatorCall) throws(GraphError) -> Dimension {
        guard call.has(4) else { return keys[2] }
        return try call.sum([keys[2], call.shape(4)?.dropLast().last ?? .unknown])
    }

    private static func attention(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0), let q = try heads(0, call), let k = try heads(1, call),
            let v = try heads(2, call)
        else { return [call[0].cleared(.some(nil))] }
        let all = try steps(k, call)
        let result = shape.count == 4 ? [q[0], q[1], q[2], v[3]] : [q[0], q[2], try call.product([q[1], v[3]])]
        return [
            call[0].cleared(result), call[1].cleared([k[0], k[1], all, k[3]]),
            call[2].cleared([v[0], v[1], all, v[3]]),
            call[0].cleared([q[0], q[1], q[2], all]),
        ]
    }

    private static func attentionMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        guard let k = try? heads(1, call), let all = try? steps(k, call).size else { return nil }
        return scores(call, values, steps: all)
    }

    /// Multiply-adds of queries and of results with that many keys.
    private static func scores(_ call: OperatorCall, _ values: [Value], steps: Int) -> Int? {
        guard let first = product([call[0].count, steps]), let second = product([values[0].count, steps]) else {
            return nil
        }
        let (sum, overflow) = first.addingReportingOverflow(second)
        return overflow ? nil : sum
    }

    private static func selfAttention(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let shape = call.shape(0), shape.count == 3, let width = call.shape(1)?.last?.size else {
            return [call[0].cleared(.some(nil))]
        }
        let hidden = try call.integers("qkv_hidden_sizes")?.last ?? width / 3
        return [call[0].cleared([shape[0], shape[1], .size(max(hidden, 0))]), Value(type: call[0].type)]
    }

    private static func selfAttentionMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        guard let shape = call.shape(0), shape.count == 3,
            let projection = product([call[0].count, call.shape(1)?.last?.size]),
            let scores = product([values[0].count, shape[1].size, 2])
        else { return nil }
        let (sum, overflow) = projection.addingReportingOverflow(scores)
        return overflow ? nil : sum
    }

    private static func multiHeadAttention(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        guard let q = call.shape(0), q.count == 3, let v = call.shape(2), v.count == 3 else {
            return [call[0].cleared(.some(nil))]
        }
        return [call[0].cleared([q[0], q[1], v[2]]), Value(type: call[0].type), Value(type: call[0].type)]
    }

    private static func multiHeadMultiplyAdds(_ call: OperatorCall, _ values: [Value]) -> Int? {
        guard let k = call.shape(1), k.count == 3, !call.has(6), let steps = k[1].size else { return nil }
        return scores(call, values, steps: steps)
    }
}
