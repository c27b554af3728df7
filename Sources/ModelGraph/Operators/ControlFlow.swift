import ModelFiles

/// Operators that run graphs.
extension Operators {
    static let controlFlow: [String: Operator] = [
        "If": Operator(branches), "Loop": Operator(loop), "Scan": Operator(scan),
    ]

    /// A call of a function, whose body is a graph of the layer.
    static let functionCall = Operator { (call) throws(GraphError) in
        try call.infer(graph: Layer.functionBody, call.inputs.map { $0 ?? .unknown })
    }

    /// What either branch gives; that of one branch when it is known which is taken.
    ///
    /// A branch that does not fit the shapes, as one for another sampling rate, is not the one that is taken.
    private static func branches(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        if let taken = call.layer.takenBranch(condition: call[0]) { return try call.infer(graph: taken, []) }
        let yes: [Value]
        do { yes = try call.infer(graph: "then_branch", []) } catch { return try call.infer(graph: "else_branch", []) }
        guard let no = try? call.infer(graph: "else_branch", []) else { return yes }
        guard yes.count == no.count else {
            throw call.failure("branches with as many outputs", "\(yes.count) and \(no.count)")
        }
        return zip(yes, no).map { a, b in
            if a == b { return a }
            var value = Value(type: a.type == b.type ? a.type : nil)
            if let first = a.shape, let second = b.shape, first.count == second.count {
                value.shape = zip(first, second).map { $0 == $1 ? $0 : .unknown }
            }
            return value
        }
    }

    /// The body's values as far as they are the same in every turn.
    ///
    /// - Returns: states after the body, and the rest of its outputs.
    private static func settled(
        _ states: [Value], _ call: inout OperatorCall, skipping first: Int,
        _ arguments: ([Value]) -> [Value]
    ) throws(GraphError) -> (states: [Value], rest: [Value]) {
        var states = states.map { $0.cleared() }
        let body = call.layer.graphs["body"]
        while true {
            call.layer.graphs["body"] = body
            let outputs = try call.infer(graph: "body", arguments(states)).dropFirst(first)
            guard outputs.count >= states.count else {
                throw call.failure("a body with \(states.count) states", "\(outputs.count) outputs")
            }
            var isSettled = true
            for (index, output) in outputs.prefix(states.count).enumerated() {
                guard let shape = states[index].shape else { continue }
                let next: [Dimension]? = output.shape.flatMap { other in
                    other.count == shape.count ? zip(shape, other).map { $0 == $1 ? $0 : .unknown } : nil
                }
                if next != shape {
                    // Sizes only ever become unknown, so that this ends.
                    isSettled = false
                    states[index].shape = next
                }
            }
            if isSettled {
                return (states, Array(outputs.dropFirst(states.count)))
            }
        }
    }

    private static func loop(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        let states = call.inputs.dropFirst(2).map { $0 ?? .unknown }
        let turn = Value(type: .i64, shape: [])
        let goesOn = Value(type: .bool, shape: [], integers: [.size(1)])
        let (after, rest) = try settled(states, &call, skipping: 1) { [turn, goesOn] + $0 }
        let turns = call.turns
        return after + rest.map { Value(type: $0.type, shape: $0.shape.map { [turns] + $0 }) }
    }

    private static func scan(_ call: inout OperatorCall) throws(GraphError) -> [Value] {
        // The first version had batches and lengths of its own.
        guard call.version > 8 else { return [] }
        guard let count = try call.integer("num_scan_inputs"), (0...call.inputs.count).contains(count) else {
            throw call.failure(
                "scan inputs among \(call.inputs.count) inputs", "\(try call.integer("num_scan_inputs") ?? -1)")
        }
        let states = call.inputs.dropLast(count).map { $0 ?? .unknown }
        let axes = try call.integers("scan_input_axes") ?? Array(repeating: 0, count: count)
        var parts: [Value] = []
        for (value, number) in zip(call.inputs.suffix(count), axes) {
            var part = (value ?? .unknown).cleared()
            if let shape = part.shape { part.shape?.remove(at: try call.axis(number, rank: shape.count)) }
            parts.append(part)
        }
        let slices = parts
        let (after, rest) = try settled(states, &call, skipping: 0) { $0 + slices }
        let outputAxes = try call.integers("scan_output_axes") ?? Array(repeating: 0, count: rest.count)
        var results = after
        for (place, value) in rest.enumerated() {
            var result = value.cleared()
            if let shape = value.shape {
                let axis = place < outputAxes.count ? outputAxes[place] : 0
                result.shape?.insert(call.turns, at: try call.axis(axis, rank: shape.count + 1))
            }
            results.append(result)
        }
        return results
    }
}

extension Layer {
    /// The branch that an If takes, when its condition is known.
    func takenBranch(condition: Value) -> String? {
        guard type == "If", let known = condition.integers?.first?.size else { return nil }
        return known == 0 ? "else_branch" : "then_branch"
    }
}

extension OperatorCall {
    /// How often a Loop or Scan runs its body; an upper bound never counts.
    var turns: Dimension {
        switch layer.type {
        case "Loop":
            guard let body = layer.graphs["body"], let condition = body.outputs.first,
                body.values[condition]?.integers == [.size(1)], let most = constants(0)?.first
            else { return .unknown }
            return .size(max(most, 0))
        case "Scan":
            guard version > 8, case .integer(let count)? = layer.attributes["num_scan_inputs"], count > 0,
                count <= inputs.count,
                let shape = inputs[inputs.count - count]?.shape
            else { return .unknown }
            var axis = 0
            if case .integers(let axes)? = layer.attributes["scan_input_axes"], let first = axes.first { axis = first }
            if axis < 0 { axis += shape.count }
            return shape.indices.contains(axis) ? shape[axis] : .unknown
        default: return .size(1)
        }
    }
}
