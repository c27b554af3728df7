import ModelFiles

extension Value {
    /// What a model declares of an input, an output or another value.
    ///
    /// - Throws: `GraphError` for sizes that no tensor has.
    init(_ info: ONNXValueInfoProto, path: String) throws(GraphError) {
        self.init()
        guard info.hasType, info.type.hasTensorType else { return }
        let tensor = info.type.tensorType
        let number = Int(tensor.elemType)
        type = ONNXTensor.dtype(number) ?? (number == 8 ? .string : nil)
        guard tensor.hasShape else { return }
        var shape: [Dimension] = []
        for dimension in tensor.shape.dim {
            switch dimension.value {
            case .dimValue(let size):
                // Some exporters write -1 for what is open.
                guard size >= -1, size < Int64(1) << 48 else {
                    throw .graph(
                        source: path, part: "value \(quoted(info.name))", expected: "sizes from 0 to 2^48",
                        found: "\(size)")
                }
                shape.append(size < 0 ? .unknown : .size(Int(size)))
            case .dimParam(let name): shape.append(name.isEmpty || name == "?" ? .unknown : .symbol(name))
            case nil: shape.append(.unknown)
            }
        }
        self.shape = shape
    }
}
