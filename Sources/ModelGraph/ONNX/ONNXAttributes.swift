import FoundationEssentials
import ModelFiles

/// Reads the attributes of ONNX nodes.
struct ONNXAttributes {
    let bytes: UnsafeRawBufferPointer
    let path: String
    let tensors: [ONNXTensor]

    /// Larger attributes hold data, not structure.
    private static let largest = 1 << 16

    /// What an attribute says.
    ///
    /// - Parameters:
    ///   - attribute: of a node.
    ///   - arguments: what the attributes of the call are, for a node of a function, whose own may refer to them.
    /// - Returns: `nil` for a reference to an attribute that the call does not have.
    func value(
        of attribute: ONNXGraphs.Attribute, _ arguments: [String: Attribute]
    ) throws(ModelFileError) -> Attribute? {
        if let tensor = attribute.tensors.first {
            guard attribute.tensors.count == 1 else { return .other("\(attribute.tensors.count) tensors") }
            return .tensor(try ONNXSmallTensor(bytes: bytes, path: path).value(of: tensors[tensor]))
        }
        guard attribute.content.count <= Self.largest else { return .other("\(attribute.content.count) bytes") }
        let header: ONNXAttributeProto = try decodeMessage(bytes, attribute.content, path: path)
        let values: ONNXAttributeValuesProto = try decodeMessage(bytes, attribute.content, path: path)
        guard values.refAttrName.isEmpty else { return arguments[values.refAttrName] }
        // Files of the first version of the format leave the type out.
        switch (values.type, header.ints.isEmpty, values.floats.isEmpty, values.strings.isEmpty) {
        case (1, _, _, _): return .number(Double(values.f))
        case (2, _, _, _): return .integer(Int(header.i))
        case (3, _, _, _): return .text(text(values.s))
        case (6, _, _, _), (0, true, false, _): return .numbers(values.floats.map(Double.init))
        case (7, _, _, _), (0, false, _, _): return .integers(header.ints.map(Int.init))
        case (8, _, _, _), (0, true, true, false): return .texts(values.strings.map(text))
        case (0, true, true, true):
            if !values.s.isEmpty { return .text(text(values.s)) }
            return values.f != 0 ? .number(Double(values.f)) : .integer(Int(header.i))
        default: return .other("attribute type \(values.type)")
        }
    }

    private func text(_ data: Data) -> String { String(decoding: data, as: UTF8.self) }
}
