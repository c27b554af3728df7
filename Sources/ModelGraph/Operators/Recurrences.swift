import ModelFiles

/// Recurrent layers.
extension Operators {
    static let recurrences: [String: Operator] = [
        "LSTM": recurrence(gates: 4), "GRU": recurrence(gates: 3), "RNN": recurrence(gates: 1),
    ]

    private static func recurrence(gates: Int) -> Operator {
        Operator(
            { (call) throws(GraphError) in try recurrent(&call, gates: gates) },
            multiplyAdds: { call, _ in multiplyAdds(call, gates: gates) },
            workspace: { call, _ in gateSums(call, gates: gates) })
    }

    private struct Sizes {
        let steps, batch, input, directions, hidden: Dimension
    }

    /// The sizes of a layer of X [steps, batch, I], W [D, gates * H, I] and R [D, gates * H, H].
    private static func sizes(_ call: OperatorCall, gates: Int) throws(GraphError) -> Sizes {
        let x = call.shape(0) ?? Array(repeating: .unknown, count: 3)
        let w = call.shape(1) ?? Array(repeating: .unknown, count: 3)
        let r = call.shape(2) ?? Array(repeating: .unknown, count: 3)
        guard x.count == 3, w.count == 3, r.count == 3 else {
            throw call.failure("inputs of 3 dimensions", "\(x.text), \(w.text) and \(r.text)")
        }
        let isBatchFirst = call.flag("layout")
        guard x[2].merged(w[2]) != nil else {
            throw call.failure("weights for \(x[2]) inputs", w.text)
        }
        let given = try call.integer("hidden_size").map { Dimension.size($0) } ?? .unknown
        guard let hidden = given.merged(r[2]), hidden.size.map({ $0 > 0 }) ?? true else {
            throw call.failure("recurrent weights for \(given) units", r.text)
        }
        for matrix in [w, r] {
            guard let rows = matrix[1].size, let units = hidden.size else { continue }
            guard product([units, gates]) == rows else {
                throw call.failure("\(gates) gates of \(units) units", matrix.text)
            }
        }
        let directions: Dimension = .size(call.text("direction") == "bidirectional" ? 2 : 1)
        guard directions.merged(w[0]) != nil, directions.merged(r[0]) != nil else {
            throw call.failure(
                "weights for direction \(call.text("direction") ?? "forward")", "\(w.text) and \(r.text)")
        }
        return Sizes(
            steps: x[isBatchFirst ? 1 : 0], batch: x[isBatchFirst ? 0 : 1], input: x[2], directions: directions,
            hidden: hidden)
    }

    private static func recurrent(_ call: inout OperatorCall, gates: Int) throws(GraphError) -> [Value] {
        let s = try sizes(call, gates: gates)
        let isBatchFirst = call.flag("layout")
        let state = isBatchFirst ? [s.batch, s.directions, s.hidden] : [s.directions, s.batch, s.hidden]
        let all =
            isBatchFirst ? [s.batch, s.steps, s.directions, s.hidden] : [s.steps, s.directions, s.batch, s.hidden]
        return [call[0].cleared(all), call[0].cleared(state), call[0].cleared(state)]
    }

    /// Every step multiplies the inputs and the state with the weights of each gate.
    private static func multiplyAdds(_ call: OperatorCall, gates: Int) -> Int? {
        guard let s = try? sizes(call, gates: gates), let input = s.input.size, let hidden = s.hidden.size else {
            return nil
        }
        return product([s.steps.size, s.batch.size, s.directions.size, gates, hidden, input + hidden])
    }

    /// The inputs of all steps times the weights, for each gate of one direction.
    private static func gateSums(_ call: OperatorCall, gates: Int) -> Int? {
        guard let s = try? sizes(call, gates: gates) else { return nil }
        return product([s.steps.size, s.batch.size, gates, s.hidden.size])
    }
}
