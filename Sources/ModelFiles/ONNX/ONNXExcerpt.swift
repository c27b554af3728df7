import Glibc
import SwiftProtobuf

/// A part of a model's main graph, to be a model of its own.
///
/// Nodes, initializers and functions are copied as they lie; only the graph's inputs and outputs are written anew.
package struct ONNXExcerpt {
    /// A value that the part takes or gives.
    package struct Port {
        let name: String
        let type: DType
        let shape: [Int?]?

        /// - Parameter shape: sizes, `nil` for open ones; `nil` when not even their number is known.
        package init(name: String, type: DType, shape: [Int?]?) {
            (self.name, self.type, self.shape) = (name, type, shape)
        }

        fileprivate var message: ONNXValueInfoProto {
            var info = ONNXValueInfoProto()
            info.name = name
            info.type.tensorType.elemType = Int32(ONNXTensor.number(of: type) ?? 0)
            if let shape {
                info.type.tensorType.shape.dim = shape.map { size in
                    var dimension = ONNXTensorShapeProto.Dimension()
                    if let size { dimension.dimValue = Int64(size) }
                    return dimension
                }
            }
            return info
        }
    }

    private let nodes: Set<String>
    private let weights: Set<String>
    private let inputs: [Port]
    private let outputs: [Port]

    /// - Parameters:
    ///   - nodes: the nodes of the part, each by its first output that has a name.
    ///   - weights: initializers and constants that they need, by the names that nodes call them.
    ///   - inputs: values from outside.
    ///   - outputs: values that are handed out.
    package init(nodes: Set<String>, weights: Set<String>, inputs: [Port], outputs: [Port]) {
        (self.nodes, self.weights, self.inputs, self.outputs) = (nodes, weights, inputs, outputs)
    }

    /// Writes the part as a model; external data stay where they are named.
    ///
    /// - Parameters:
    ///   - file: an ONNX model.
    ///   - path: of what is written, which must not exist.
    /// - Throws: ``ModelFileError`` for a damaged model, and when the file cannot be written.
    package func write(from file: MappedFile, to path: String) throws(ModelFileError) {
        let pieces = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try self.pieces(bytes, path: file.path)
        }
        try writeModel(pieces, of: file, to: path)
    }

    private func pieces(_ bytes: UnsafeRawBufferPointer, path: String) throws(ModelFileError) -> [ModelPiece] {
        var result: [ModelPiece] = []
        var fields = ProtobufFields(bytes, 0..<bytes.count, path: path)
        while let field = try fields.next() {
            switch field.number {
            case ModelField.graph where field.isDelimited:
                let graph = try graph(bytes, field.content, path: path)
                result.append(.message(ModelField.graph, length: graph.reduce(0) { $0 + $1.count }))
                result += graph
            // What it says of training and of the whole model does not hold for a part.
            case ModelField.metadata, ModelField.training: break
            default: result.append(.range(field.range))
            }
        }
        return result
    }

    private func graph(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, path: String
    ) throws(ModelFileError) -> [ModelPiece] {
        var result: [ModelPiece] = []
        let ports = Set((inputs + outputs).map(\.name))
        var fields = ProtobufFields(bytes, range, path: path)
        while let field = try fields.next() {
            guard field.isDelimited else { continue }
            let isNeeded: Bool
            switch field.number {
            case 1:
                let node: ONNXNodeProto = try decodeMessage(bytes, field.content, path: path)
                let output = node.output.first { !$0.isEmpty } ?? ""
                isNeeded = nodes.contains(output) || node.opType == "Constant" && weights.contains(output)
            case 5:
                let tensor: ONNXTensorProto = try decodeMessage(bytes, field.content, path: path)
                isNeeded = weights.contains(tensor.name)
            case 15:
                let tensor: ONNXSparseTensorProto = try decodeMessage(bytes, field.content, path: path)
                isNeeded = weights.contains(tensor.values.name)
            case 11, 13:
                // Before version 4 of the format initializers are inputs too; what is said of other values helps engines.
                let info: ONNXValueInfoProto = try decodeMessage(bytes, field.content, path: path)
                isNeeded = !ports.contains(info.name) && (field.number == 13 || weights.contains(info.name))
            case 2: isNeeded = true
            default: isNeeded = false
            }
            if isNeeded { result.append(.range(field.range)) }
        }
        for (number, ports) in [(11, inputs), (12, outputs)] {
            for port in ports {
                guard let message: [UInt8] = try? port.message.serializedBytes() else { continue }
                result += [.message(number, length: message.count), .bytes(message)]
            }
        }
        return result
    }
}

/// Fields of `ModelProto` in onnx-ml.proto.
enum ModelField {
    static let graph = 7
    static let metadata = 14
    static let training = 20
}

/// A part of a model file that is made of another one.
enum ModelPiece {
    /// Bytes of the other.
    case range(Range<Int>)
    case bytes([UInt8])

    /// The tag and the length of a message that follows.
    static func message(_ number: Int, length: Int) -> ModelPiece {
        .bytes(delimitedHeader(number, length: length))
    }

    var count: Int {
        switch self {
        case .range(let range): range.count
        case .bytes(let bytes): bytes.count
        }
    }
}

/// Writes a model file piece by piece.
///
/// - Parameters:
///   - file: that ranges are of.
///   - path: of what is written, which must not exist.
func writeModel(_ pieces: [ModelPiece], of file: MappedFile, to path: String) throws(ModelFileError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .unreadable(path: path, reason: systemMessage()) }
    var output = OutputFile(descriptor, path: path)
    do throws(ModelFileError) {
        for piece in pieces {
            switch piece {
            case .range(let range): try output.append(range, of: file)
            case .bytes(let bytes): try output.append(bytes)
            }
        }
    } catch {
        close(descriptor)
        unlink(path)
        throw error
    }
    close(descriptor)
}
