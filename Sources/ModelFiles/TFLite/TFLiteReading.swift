/// How an operator reads one of its tensors: as what kind of layer, and with which order of axes.
///
/// Source: the shapes in the documentation of TensorFlow Lite's operators (`tfl_ops.td`).
struct TFLiteReading {
    let kind: String
    let convention: String
    /// The numbers of dimensions such a tensor can have.
    let ranks: ClosedRange<Int>

    /// A reading whose first dimension is the output: `[Nout, Nin]` and `[Nfout, Ky, Kx, Nfin]`.
    private static let matrix = TFLiteReading(kind: "fc", convention: "tflite", ranks: 2...8)
    private static let conv = TFLiteReading(kind: "conv", convention: "tflite", ranks: 4...4)
    private static let depthwise = TFLiteReading(kind: "depthwise", convention: "tflite", ranks: 4...4)
    private static let embedding = TFLiteReading(kind: "embedding", convention: "tflite", ranks: 2...2)
    /// The same as Keras has them: `[Nin, Nout]` and `[Kz, Ky, Kx, Nfin, Nfout]`.
    private static let transposedMatrix = TFLiteReading(kind: "fc", convention: "keras", ranks: 2...8)
    private static let conv3D = TFLiteReading(kind: "conv", convention: "keras", ranks: 5...5)

    static let batchMatMul: Int32 = 126
    /// LSTM, RNN, SVDF and their sequence forms, which have a matrix for each gate.
    private static let recurrent: Set<Int32> = [16, 24, 27, 35, 44, 46, 52]

    /// Whether a tensor of this shape can be read so.
    func fits(_ shape: [Int]) -> Bool {
        ranks.contains(shape.count) && (kind != "depthwise" || shape[0] == 1)
    }

    /// How an operator reads its inputs, by their positions.
    fileprivate static func readings(of operation: TFLiteGraph.Operator) -> [(position: Int, reading: TFLiteReading)] {
        switch operation.code {
        case 3, 67: [(1, conv)]
        case 4: [(1, depthwise)]
        case 7: [(1, embedding)]
        case 9: [(1, matrix)]
        case 36: [(0, embedding)]
        case 132: [(1, conv3D)]
        case batchMatMul: [(1, operation.transposesSecond ? matrix : transposedMatrix)]
        case let code where recurrent.contains(code):
            operation.inputs.indices.dropFirst().map { ($0, matrix) }
        default: []
        }
    }
}

extension TFLiteGraph.Subgraph {
    /// How each tensor is read, nil where no operator says; the first that says counts.
    var readings: [TFLiteReading?] {
        // float16 weights are widened by an operator of their own, whose output is what the layer reads.
        var sources: [Int32: Int32] = [:]
        for operation in operators where operation.isDequantization {
            if let input = operation.inputs.first, let output = operation.outputs.first { sources[output] = input }
        }
        var readings = [TFLiteReading?](repeating: nil, count: tensors.count)
        for operation in operators {
            for (position, reading) in TFLiteReading.readings(of: operation)
            where operation.inputs.indices.contains(position) {
                let input = operation.inputs[position]
                let tensor = Int(sources[input] ?? input)
                if readings.indices.contains(tensor), readings[tensor] == nil { readings[tensor] = reading }
            }
        }
        return readings
    }
}

extension TFLiteGraph.Operator {
    /// Whether it only widens its input.
    fileprivate var isDequantization: Bool { code == 6 }
}
