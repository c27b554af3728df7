import ModelFiles
import ModelGraph

/// Layers that run a graph several times.
///
/// Source: "Loop" and "Scan" of "Operators.md" of onnx/onnx.
extension GraphRun {
    /// Runs a body as often as a count and conditions say.
    ///
    /// - Returns: what it carried from turn to turn at the end, and then for each further output the values of all turns.
    func loop(_ body: GraphPlan, _ call: KernelCall) throws(LayerFailure) -> [Tensor] {
        let names = body.graph.inputs
        var carried = Array(call.inputs.dropFirst(2))
        let collects = body.graph.outputs.count - 1 - carried.count
        var collected = [[Tensor]](repeating: [], count: max(collects, 0))
        do throws(KernelFailure) {
            guard names.count == carried.count + 2, collects >= 0 else {
                throw KernelFailure(expected: "a body of \(carried.count + 2) inputs", found: "one of \(names.count)")
            }
            let most = call.has(0) ? try call.integers(0).first ?? 0 : Int.max
            var goesOn = call.has(1) ? try call.integers(1).first ?? 0 != 0 : true
            var turn = 0
            while goesOn, turn < most {
                var inputs = [
                    names[0]: Tensor([Int64(turn)], []), names[1]: Tensor([1], [], .bool),
                ]
                for (name, value) in zip(names.dropFirst(2), carried) { inputs[name] = value }
                let results = try once(body, inputs)
                guard case .integers(let condition) = results[0].elements else {
                    throw KernelFailure(expected: "a condition", found: "\(results[0].type)")
                }
                goesOn = condition.first ?? 0 != 0
                carried = Array(results.dropFirst().prefix(carried.count))
                for index in collected.indices { collected[index].append(results[1 + carried.count + index]) }
                turn += 1
            }
            var results: [Tensor] = []
            for value in carried { if let value { results.append(value) } }
            for (index, list) in collected.enumerated() {
                results.append(try joined(list, along: 0) ?? Self.nothing(body, 1 + carried.count + index))
            }
            return results
        } catch { throw LayerFailure(node: call.layer.identifier, error) }
    }

    /// Runs a body for each slice of some inputs.
    ///
    /// - Returns: what it carried at the end, and then for each further output the values of all turns.
    func scan(_ body: GraphPlan, _ call: KernelCall) throws(LayerFailure) -> [Tensor] {
        do throws(KernelFailure) {
            guard call.version > 8 else { throw KernelFailure(expected: "Scan since version 9", found: "8") }
            let count = try call.integer("num_scan_inputs", orElse: 0)
            let names = body.graph.inputs
            guard count > 0, count <= call.inputs.count, names.count == call.inputs.count else {
                throw KernelFailure(expected: "a body of \(call.inputs.count) inputs", found: "one of \(names.count)")
            }
            var carried = Array(call.inputs.prefix(call.inputs.count - count))
            let collects = body.graph.outputs.count - carried.count
            guard collects >= 0 else {
                throw KernelFailure(expected: "an output for each state", found: "\(body.graph.outputs.count)")
            }
            let ways = try call.list("scan_input_directions", count: count, orElse: 0, from: 0)
            let inputAxes = try call.list("scan_input_axes", count: count, orElse: 0, from: -64)
            var slices: [[Tensor]] = []
            for index in 0..<count {
                let tensor = try call.tensor(carried.count + index).rowMajor()
                let axis = try axis(inputAxes[index], rank: tensor.rank)
                let all = Self.slices(tensor, axis)
                slices.append(ways[index] == 1 ? all.reversed() : all)
            }
            guard let turns = slices.first?.count, slices.allSatisfy({ $0.count == turns }) else {
                throw KernelFailure(expected: "inputs of one length", found: "\(slices.map(\.count))")
            }
            var collected = [[Tensor]](repeating: [], count: collects)
            for number in 0..<turns {
                var inputs: [String: Tensor] = [:]
                for (name, value) in zip(names, carried) { inputs[name] = value }
                for (name, list) in zip(names.dropFirst(carried.count), slices) { inputs[name] = list[number] }
                let results = try once(body, inputs)
                carried = Array(results.prefix(carried.count))
                for index in collected.indices { collected[index].append(results[carried.count + index]) }
            }
            let backwards = try call.list("scan_output_directions", count: collects, orElse: 0, from: 0)
            let outputAxes = try call.list("scan_output_axes", count: collects, orElse: 0, from: -64)
            var results: [Tensor] = []
            for value in carried { if let value { results.append(value) } }
            for (index, list) in collected.enumerated() {
                let list = backwards[index] == 1 ? list.reversed() : list
                results.append(
                    try joined(list, along: outputAxes[index]) ?? Self.nothing(body, carried.count + index))
            }
            return results
        } catch { throw LayerFailure(node: call.layer.identifier, error) }
    }

    private func once(_ body: GraphPlan, _ inputs: [String: Tensor]) throws(KernelFailure) -> [Tensor] {
        do throws(LayerFailure) {
            return try GraphRun(body, context, outer: self).run(inputs).map { $0.rowMajor() }
        } catch { throw error.failure }
    }

    /// The slices of a tensor along an axis, without it.
    private static func slices(_ tensor: Tensor, _ axis: Int) -> [Tensor] {
        var (shape, strides) = (tensor.shape, rowMajorStrides(tensor.shape))
        let step = strides.remove(at: axis)
        let count = shape.remove(at: axis)
        return (0..<count).map { tensor.strided(shape, strides, offset: $0 * step) }
    }

    /// Tensors of one shape along a new axis; `nil` without any.
    private func joined(_ list: [Tensor], along given: Int) throws(KernelFailure) -> Tensor? {
        guard let first = list.first else { return nil }
        guard list.allSatisfy({ $0.shape == first.shape && $0.type == first.type }) else {
            throw KernelFailure(expected: "outputs of one shape", found: "others")
        }
        let axis = try axis(given, rank: first.rank + 1)
        var all = first
        all.shape = [list.count] + first.shape
        _ = try checkedCount(all.shape)
        switch first.elements {
        case .floats: all.elements = .floats(list.flatMap(\.allFloats))
        case .integers:
            all.elements = .integers(
                list.flatMap { if case .integers(let numbers) = $0.elements { numbers } else { [Int64]() } })
        }
        var order = Array(1..<all.rank)
        order.insert(0, at: axis)
        let strides = rowMajorStrides(all.shape)
        return axis == 0 ? all : all.strided(order.map { all.shape[$0] }, order.map { strides[$0] })
    }

    /// What an output gives that no turn was for.
    private static func nothing(_ body: GraphPlan, _ output: Int) -> Tensor {
        let value = body.graph.values[body.graph.outputs[output]]
        let shape = [0] + (value?.shape ?? []).map { $0.size ?? 1 }
        let type = value?.type ?? .f32
        return type == .f32 ? Tensor([Float](), shape) : Tensor([Int64](), shape, type)
    }
}
