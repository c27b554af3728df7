import FoundationEssentials
import ModelFiles

/// The initializers of a model's main graph that weights are to take the place of: an engine would pass over others.
///
/// - Returns: them by their names.
/// - Throws: `ExecutionError.value` for weights of other names, types or shapes, `.model` when the file is no ONNX model.
func initializers(
    _ weights: [String: TensorValue], of path: String
) throws(ExecutionError) -> [String: ONNXTensor] {
    guard !weights.isEmpty else { return [:] }
    var known: [String: ONNXTensor] = [:]
    do {
        let file = try MappedFile(path)
        let graphs = try file.withAllBytes { (bytes) throws(ModelFileError) in try ONNXGraphs(bytes, path: path) }
        for tensor in graphs.tensors where tensor.isInitializer {
            if let value = tensor.value, value.scope == 0 { known[value.name] = tensor }
        }
    } catch {
        throw .model(path: path, engine: "reading its graph", reason: error.description)
    }
    for (name, value) in weights.sorted(by: { $0.key < $1.key }) {
        guard let tensor = known[name] else {
            throw .value(model: path, name: name, expected: "an initializer of the main graph", found: "none")
        }
        guard tensor.dtype == value.type, tensor.shape == value.shape else {
            let sizes = tensor.shape.isEmpty ? "scalar" : tensor.shape.map(String.init).joined(separator: "x")
            throw .value(
                model: path, name: name, expected: "\(tensor.dtype?.rawValue ?? "?") \(sizes)", found: value.text)
        }
    }
    return known
}

/// Calls `body` with a model whose initializers have other values, for engines that cannot be given them: the file itself when
/// there are none, else a copy that is removed then.
///
/// - Throws: `ExecutionError.value` for weights that it does not have, or that it does not hold as one run of bytes of its own.
func withModel<Result>(
    _ path: String, weights: [String: TensorValue], _ body: (String) throws(ExecutionError) -> Result
) throws(ExecutionError) -> Result {
    guard !weights.isEmpty else { return try body(path) }
    let known = try initializers(weights, of: path)
    guard var bytes = try? Data(contentsOf: URL(filePath: path)) else {
        throw .model(path: path, engine: "copying it", reason: "it cannot be read")
    }
    for (name, value) in weights {
        guard case .run(let range)? = known[name]?.values, range.count == value.bytes.count else {
            throw .value(
                model: path, name: name, expected: "an initializer held as bytes in the file", found: "another one")
        }
        bytes.replaceSubrange(range, with: value.bytes)
    }
    let copy = FileManager.default.temporaryDirectory.appending(path: "wcodec-\(UInt64.random(in: 0 ... .max)).onnx")
    defer { try? FileManager.default.removeItem(at: copy) }
    do { try bytes.write(to: copy, options: .withoutOverwriting) } catch {
        throw .model(path: path, engine: "copying it", reason: "\(copy.path) cannot be written")
    }
    return try body(copy.path)
}
