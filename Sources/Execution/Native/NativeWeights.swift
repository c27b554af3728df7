import ModelFiles
import ModelGraph

/// The weights of an ONNX model, each read when a layer needs it.
final class NativeWeights: Sendable {
    private let path: String
    private let file: MappedFile
    private let tensors: [String: ONNXTensor]
    /// Where external data lie; `nil` when there are none.
    private let external: ModelFile?
    private let replaced: [String: TensorValue]
    private let source: WeightSource?

    /// - Parameters:
    ///   - replaced: values in the place of those of initializers.
    ///   - source: asked for each weight before the file is; what it gives is not kept.
    init(
        _ file: MappedFile, replaced: [String: TensorValue], source: WeightSource?
    ) throws(ModelFileError) {
        path = file.path
        self.file = file
        self.replaced = replaced
        self.source = source
        let all = try file.withAllBytes { (bytes) throws(ModelFileError) in
            try ONNXGraphs(bytes, path: file.path).tensors
        }
        tensors = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }
        let isExternal = all.contains { if case .external = $0.values { true } else { false } }
        external = isExternal ? try ModelFiles.open(file.path) : nil
    }

    /// Whether those that were read once are to stay in memory.
    var areKept: Bool { source == nil }

    /// The elements of a weight.
    ///
    /// - Parameter value: what the graph knows of it.
    /// - Throws: `KernelFailure` when there are none, or of a type that is not computed with.
    func tensor(_ weight: Weight, _ value: Value) throws(KernelFailure) -> Tensor {
        if let replacement = replaced[weight.value] { return try tensor(replacement) }
        if let known = Tensor(known: value) { return known }
        if let source {
            let given: TensorValue?
            do { given = try source(weight.name) } catch {
                throw KernelFailure(expected: "weight \(quoted(weight.name))", found: "\(error)")
            }
            if let given { return try tensor(given) }
        }
        return try read(weight)
    }

    private func tensor(_ value: TensorValue) throws(KernelFailure) -> Tensor {
        try value.bytes.span.bytes.withUnsafeBytes { (bytes) throws(KernelFailure) in
            try Tensor(value.type, value.shape, bytes)
        }
    }

    private func read(_ weight: Weight) throws(KernelFailure) -> Tensor {
        guard let tensor = tensors[weight.name], let type = tensor.dtype else {
            throw KernelFailure(expected: "weight \(quoted(weight.name)) of numbers", found: "another")
        }
        switch tensor.values {
        case .run(let range):
            return try file.withBytes(range) { (bytes) throws(KernelFailure) in try Tensor(type, tensor.shape, bytes) }
        case .external:
            guard let external, let record = external.tensors.first(where: { $0.name == weight.name }) else {
                throw KernelFailure(expected: "external data of \(quoted(weight.name))", found: "none")
            }
            return try external.withBytes(of: record.extent) { (bytes) throws(KernelFailure) in
                try Tensor(type, tensor.shape, bytes)
            }
        case .numbers(let field, let ranges):
            do throws(ModelFileError) {
                return try numbers(type, tensor.shape, isFloat: field == 4, ranges)
            } catch {
                throw KernelFailure(expected: "weight \(quoted(weight.name))", found: "\(error)")
            }
        case .absent: throw KernelFailure(expected: "elements of \(quoted(weight.name))", found: "none")
        }
    }

    /// Elements that the file holds as numbers of its own coding.
    private func numbers(
        _ type: DType, _ shape: [Int], isFloat: Bool, _ ranges: [Range<Int>]
    ) throws(ModelFileError) -> Tensor {
        let count = elementCount(shape) ?? 0
        return try file.withAllBytes { (bytes) throws(ModelFileError) in
            var (floats, integers) = ([Float](), [Int64]())
            for range in ranges {
                if isFloat {
                    var fields = ProtobufFields(bytes, range, path: path)
                    while let field = try fields.next() {
                        for place in stride(
                            from: field.content.lowerBound, through: field.content.upperBound - 4, by: 4)
                        {
                            floats.append(bytes.loadUnaligned(fromByteOffset: place, as: Float.self))
                        }
                    }
                } else {
                    try forEachNumber(bytes, range, path: path) { (number, _) throws(ModelFileError) in
                        integers.append(Int64(truncatingIfNeeded: number))
                    }
                }
            }
            guard Tensor.types.contains(type), (type == .f32) == isFloat, floats.count + integers.count == count else {
                throw .invalidTensor(
                    path: path, tensor: "of \(type)", expected: "\(count) numbers",
                    found: "\(floats.count + integers.count)")
            }
            return isFloat ? Tensor(floats, shape) : Tensor(integers, shape, type)
        }
    }
}
