import ModelFiles

extension Network {
    /// Sizes for inputs whose only open one is the first, which is the batch by custom: it is taken as 1.
    ///
    /// - Parameter shapes: sizes of inputs that are given.
    /// - Returns: sizes of all inputs with open ones, and a note on what was taken as 1.
    /// - Throws: `GraphError.option` for inputs that leave more open, or what they are altogether.
    package func bindingBatch(
        _ shapes: [String: [Int]]
    ) throws(GraphError) -> (shapes: [String: [Int]], notes: [String]) {
        var result = shapes
        var symbols: [String: Int] = [:]
        for (name, sizes) in shapes {
            for case (.symbol(let symbol), let size) in zip(graph.values[name]?.shape ?? [], sizes) {
                symbols[symbol] = size
            }
        }
        var taken: [String] = []
        for name in graph.inputs where shapes[name] == nil {
            let shape = graph.values[name]?.shape
            var sizes: [Int] = []
            for (index, dimension) in (shape ?? []).enumerated() {
                switch dimension {
                case .size(let size): sizes.append(size)
                case .symbol(let symbol) where symbols[symbol] != nil: sizes.append(symbols[symbol] ?? 1)
                default:
                    guard index == 0 else { throw openSizes(name, shape) }
                    sizes.append(1)
                    taken.append(name)
                }
            }
            guard shape != nil else { throw openSizes(name, shape) }
            result[name] = sizes
        }
        let notes =
            taken.isEmpty
            ? [] : ["the open first size of \(taken.joined(separator: ", ")) is taken as 1; --shape sets it"]
        return (result, notes)
    }

    private func openSizes(_ name: String, _ shape: [Dimension]?) -> GraphError {
        .option(
            "\(source): --shape",
            expected: "sizes of input \(quoted(name)), which are \(shape?.text ?? "not declared")",
            found: "none")
    }
}
