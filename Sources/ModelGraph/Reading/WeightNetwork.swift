import ModelFiles

/// Tells what layer a tensor of a file of weights belongs to, as ``Network/open(_:kinds:)`` describes it.
public typealias WeightKinds = (TensorRecord, [String: [Int]]) -> (kind: String, convention: String)?

extension Network {
    /// Makes layers of a file that holds weights only, as far as names and shapes allow.
    ///
    /// Each matrix, kernel and pair of recurrent matrices becomes a layer, in the order of the file; a vector that fits becomes its
    /// bias. A layer whose inputs are as many as the outputs of the layer before is taken to follow it, a fully connected one
    /// never a convolution; others begin with an input of the network. Strides and paddings are not in such files: convolutions
    /// have strides of 1 and no padding. Sizes that no weight tells are left open by name ("steps", "height", "width").
    ///
    /// - Throws: `GraphError` for files of tensors that make no layer.
    public init(weights model: ModelFile, kinds: WeightKinds) throws(GraphError) {
        var builder = WeightNetwork(model)
        let shapes = Dictionary(model.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
        let floats = model.tensors.filter { $0.dtype.isFloat }
        var index = 0
        while index < floats.count {
            let record = floats[index]
            index += 1
            guard record.shape.count > 1, let (kind, convention) = kinds(record, shapes) else { continue }
            switch kind {
            case "fc": builder.addMatrix(record, convention)
            case "conv", "depthwise": builder.addConvolution(record, convention, isDepthwise: kind == "depthwise")
            case "embedding": builder.addEmbedding(record)
            case "lstm", "gru":
                guard index < floats.count, kinds(floats[index], shapes)?.kind == kind else { continue }
                if builder.addRecurrence(record, floats[index], convention, gates: kind == "lstm" ? 4 : 3) {
                    index += 1
                }
            default: continue
            }
        }
        guard !builder.graph.layers.isEmpty else {
            throw .graph(source: model.path, part: "model", expected: "weights that make a layer", found: "none")
        }
        let network = Network(
            name: "", source: model.path, operatorSets: ["": WeightNetwork.operatorSet], graph: builder.finished(),
            notes: [
                "made from weights: layers whose sizes fit are taken to follow each other, convolutions to have stride 1 and no "
                    + "padding"
            ])
        self = try network.checked()
    }
}

/// Puts layers together in the order of a file.
private struct WeightNetwork {
    /// Its Squeeze has the axes as an attribute.
    static let operatorSet = 12

    private(set) var graph = Graph(inputs: [], outputs: [], weights: [], layers: [], values: [:])
    private let model: ModelFile
    private let vectors: [String: TensorRecord]
    private var names = UniqueNames()
    /// The value that the next layer may follow, and its outputs or channels.
    private var end: (value: String, kind: EndKind, size: Int)?

    private enum EndKind {
        case rows
        case steps
        case pictures(Int)
    }

    init(_ model: ModelFile) {
        self.model = model
        vectors = Dictionary(
            model.tensors.filter { $0.shape.count == 1 && $0.dtype.isFloat }.map { ($0.name, $0) }
        ) { first, _ in first }
    }

    mutating func addMatrix(_ record: TensorRecord, _ convention: String) {
        guard record.shape.count == 2 else { return }
        let isTurned = convention == "pytorch" || convention == "tflite"
        let (outputs, inputs) = (record.shape[isTurned ? 0 : 1], record.shape[isTurned ? 1 : 0])
        let input: String
        if case (let value, .rows, inputs)? = end {
            input = value
        } else if case (let value, .steps, inputs)? = end, let state = lastState(insteadOf: value) {
            input = layer("Squeeze", [state], ["axes": .integers([0])], named: "\(state)/state")
        } else {
            input = newInput([.size(1), .size(inputs)], record.dtype)
        }
        let weights = weight(record, record.shape)
        let bias = vector(beside: record, outputs).map { [weight($0, $0.shape)] } ?? []
        let output = layer(
            "Gemm", [input, weights] + bias, isTurned ? ["transB": .integer(1)] : [:], named: record.name)
        end = (output, .rows, outputs)
    }

    /// The state after the last step of a recurrent layer, which a matrix takes instead of those of all steps.
    private mutating func lastState(insteadOf value: String) -> String? {
        guard let squeeze = graph.layers.last, squeeze.outputs == [value], squeeze.type == "Squeeze",
            let recurrence = graph.layers.dropLast().last, recurrence.outputs.first == squeeze.inputs.first
        else { return nil }
        graph.layers.removeLast()
        return recurrence.outputs.last
    }

    mutating func addConvolution(_ record: TensorRecord, _ convention: String, isDepthwise: Bool) {
        let shape = record.shape
        guard (3...5).contains(shape.count) else { return }
        // Outputs, inputs of a group, then the kernel, as ONNX has them.
        var normal = shape
        switch convention {
        case "keras": normal = [shape[shape.count - 1], shape[shape.count - 2]] + shape.dropLast(2)
        case "tflite": normal = [shape[0], shape[shape.count - 1]] + shape.dropFirst().dropLast()
        default: break
        }
        if isDepthwise, convention == "keras" || convention == "tflite" {
            let channels = convention == "keras" ? shape[shape.count - 2] : shape[shape.count - 1]
            let (count, overflow) = channels.multipliedReportingOverflow(
                by: convention == "keras" ? shape[shape.count - 1] : 1)
            guard !overflow else { return }
            normal = [count, 1] + normal.dropFirst(2)
        }
        let isTransposed = convention == "transposed"
        let groups = isDepthwise ? normal[0] : 1
        let channels = isTransposed ? normal[0] : normal[1] * groups
        let sides = ["depth", "height", "width"].suffix(shape.count - 2).map { Dimension.symbol($0) }
        let input: String
        if case (let value, .pictures(shape.count), channels)? = end {
            input = value
        } else {
            input = newInput([.size(1), .size(channels)] + sides, record.dtype)
        }
        var attributes: [String: Attribute] = ["kernel_shape": .integers(Array(normal.dropFirst(2)))]
        if groups > 1 { attributes["group"] = .integer(groups) }
        let outputs = isTransposed && !isDepthwise ? normal[1] : normal[0]
        let bias = vector(beside: record, outputs).map { [weight($0, $0.shape)] } ?? []
        let output = layer(
            isTransposed ? "ConvTranspose" : "Conv", [input, weight(record, normal)] + bias, attributes,
            named: record.name)
        end = (output, .pictures(shape.count), outputs)
    }

    mutating func addEmbedding(_ record: TensorRecord) {
        guard record.shape.count == 2 else { return }
        let input = newInput([.symbol("steps"), .size(1)], .i64)
        let output = layer("Gather", [weight(record, record.shape), input], [:], named: record.name)
        end = (output, .steps, record.shape[1])
    }

    /// Adds a recurrent layer of two matrices; false when they make none.
    mutating func addRecurrence(
        _ first: TensorRecord, _ second: TensorRecord, _ convention: String, gates: Int
    ) -> Bool {
        guard first.shape.count == 2, second.shape.count == 2 else { return false }
        let isTurned = convention == "keras" || convention == "transposed"
        let (rows, inputs) = (first.shape[isTurned ? 1 : 0], first.shape[isTurned ? 0 : 1])
        let hidden = second.shape[isTurned ? 0 : 1]
        guard second.shape[isTurned ? 1 : 0] == rows, hidden > 0, rows.isMultiple(of: gates), rows / gates == hidden
        else { return false }
        let input: String
        if case (let value, .steps, inputs)? = end {
            input = value
        } else {
            input = newInput([.symbol("steps"), .size(1), .size(inputs)], first.dtype)
        }
        let type = gates == 4 ? "LSTM" : "GRU"
        let all = layer(
            type, [input, weight(first, [1, rows, inputs]), weight(second, [1, rows, hidden])],
            ["hidden_size": .integer(hidden)], outputs: 2, named: first.name)
        let output = layer("Squeeze", [all], ["axes": .integers([1])], named: first.name + "/steps")
        end = (output, .steps, hidden)
        return true
    }

    /// The graph, its outputs the values that no layer takes.
    func finished() -> Graph {
        var graph = graph
        let taken = Set(graph.layers.flatMap(\.inputs))
        graph.outputs = graph.layers.filter { taken.isDisjoint(with: $0.outputs) }.compactMap(\.outputs.first)
        return graph
    }

    /// The vector of as many elements whose name differs from a weight's in its last part only.
    private func vector(beside record: TensorRecord, _ count: Int) -> TensorRecord? {
        guard let cut = record.name.lastIndex(where: { $0 == "." || $0 == "/" }) else { return nil }
        let prefix = record.name[...cut]
        for name in ["bias", "bias:0"] {
            if let vector = vectors[prefix + name], vector.shape == [count] { return vector }
        }
        return nil
    }

    private mutating func newInput(_ shape: [Dimension], _ type: DType) -> String {
        let name = names.unique("input")
        graph.inputs.append(name)
        graph.values[name] = Value(type: type, shape: shape)
        return name
    }

    private mutating func weight(_ record: TensorRecord, _ shape: [Int]) -> String {
        if graph.values[record.name] == nil {
            graph.values[record.name] = Value(type: record.dtype, shape: shape.map { .size($0) })
            graph.weights.append(
                Weight(
                    value: record.name, name: record.name, file: model.files[record.extent.file].name,
                    offset: record.extent.offset, length: record.extent.length))
        }
        return record.name
    }

    /// Adds a layer and gives the name of its first output.
    private mutating func layer(
        _ type: String, _ inputs: [String], _ attributes: [String: Attribute], outputs: Int = 1, named name: String
    ) -> String {
        let identifier = names.unique(name)
        let outputs = (0..<outputs).map { "\(identifier):\($0)" }
        graph.layers.append(
            Layer(identifier: identifier, type: type, inputs: inputs, outputs: outputs, attributes: attributes))
        return outputs[0]
    }
}
