import ModelFiles

/// A format that the tensors of any model can be written in.
public enum ExportFormat: String, Sendable, CaseIterable {
    /// One safetensors file.
    case safetensors
    /// A NumPy archive, `numpy.load` of which gives the tensors by name.
    case npz
}

/// What was written of a model in another format.
public struct ExportResult: Sendable {
    /// Number of tensors in the file.
    public let tensorCount: Int
    /// Size of the file, in bytes.
    public let bytes: Int
    /// What a person should know: tensors that were left out or written in another type, a line each.
    public let notes: [String]
    /// Names of the tensors that this machine's decoders restored a little otherwise than they were at packing.
    public let changed: [String]
}

/// The tensors of a model that a format can hold, and why it cannot hold the others.
struct ExportPlan {
    let tensors: [(record: TensorRecord, bytes: RowMajorBytes)]
    /// Names of the tensors that the format cannot hold, and what keeps each out, as "of type Q4_K".
    let leftOut: [(name: String, reason: String)]
    /// Tensors written in another type that holds their values exactly.
    let widened: Int

    init(_ model: ModelFile, _ format: ExportFormat) {
        var tensors: [(TensorRecord, RowMajorBytes)] = []
        var leftOut: [(String, String)] = []
        for record in model.tensors {
            let isKnown =
                switch format {
                case .safetensors: SafetensorsExport.order.contains(record.dtype.rawValue)
                case .npz: NpyHeader.descriptor(of: record.dtype) != nil
                }
            if !isKnown {
                leftOut.append((record.name, "of type \(record.dtype)"))
            } else if format == .safetensors ? record.name == "__metadata__" : !NpyHeader.canHold(record) {
                leftOut.append((record.name, "with a name or shape that it cannot hold"))
            } else if let bytes = RowMajorBytes(model, record) {
                tensors.append((record, bytes))
            } else {
                leftOut.append((record.name, "that are views of others' elements"))
            }
        }
        self.tensors = tensors
        self.leftOut = leftOut
        widened = format == .npz ? tensors.count { $0.0.dtype == .bf16 } : 0
    }

    /// How many tensors each reason keeps out.
    var reasons: String {
        Dictionary(leftOut.map { ($0.reason, 1) }, uniquingKeysWith: +).sorted { $0.key < $1.key }
            .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    /// One line for each thing that is not as in the model.
    var notes: [String] {
        var notes: [String] = []
        if !leftOut.isEmpty { notes.append("tensors left out: \(reasons)") }
        if widened > 0 { notes.append("tensors written as float32, as NumPy has no bfloat16: \(widened)") }
        return notes
    }
}
