import ModelFiles

/// Operators that leave the elements as they lie, or tell about shapes.
extension Kernels {
    static let shapes: [String: Kernel] = [
        "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
        "Shape": { (call) throws(KernelFailure) in
            let shape = try call.tensor(0).shape
            func bound(_ name: String, orElse value: Int) throws(KernelFailure) -> Int {
                let index = try call.integer(name, orElse: value)
                return min(max(index < 0 ? index + shape.count : index, 0), shape.count)
            }
            let start = try bound("start", orElse: 0)
            let end = try bound("end", orElse: shape.count)
            let part = start < end ? Array(shape[start..<end]) : []
            return [Tensor(part.map(Int64.init), [part.count])]
        },
        "Size": { (call) throws(KernelFailure) in [Tensor([Int64(try call.tensor(0).count)], [])] },
    ]

    private static func reshape(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.taken(0)
        guard let sizes = try call.listed("shape", input: 1) else {
            throw KernelFailure(expected: "a shape", found: "none")
        }
        var shape = sizes
        for (index, size) in sizes.enumerated() where size == 0 && !call.flag("allowzero") {
            guard index < tensor.rank else {
                throw KernelFailure(expected: "a size of the input for each 0", found: text(tensor.shape))
            }
            shape[index] = tensor.shape[index]
        }
        if let open = shape.firstIndex(of: -1) {
            shape[open] = 1
            let rest = try checkedCount(shape)
            shape[open] = rest == 0 ? 0 : tensor.count / rest
        }
        guard try checkedCount(shape) == tensor.count else {
            throw KernelFailure(expected: "a shape of \(tensor.count) elements", found: text(sizes))
        }
        return [tensor.reshaped(shape)]
    }

    private static func flatten(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.taken(0)
        let given = try call.integer("axis", orElse: 1)
        let axis = given < 0 ? given + tensor.rank : given
        guard (0...tensor.rank).contains(axis) else {
            throw KernelFailure(expected: "an axis of \(tensor.rank) dimensions", found: "\(given)")
        }
        return [tensor.reshaped([tensor.shape[..<axis].reduce(1, *), tensor.shape[axis...].reduce(1, *)])]
    }

    private static func squeeze(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.taken(0)
        let listed = try call.listed("axes", input: 1)
        let dropped =
            try listed.map { (list) throws(KernelFailure) in try axes(list, rank: tensor.rank) }
            ?? tensor.shape.indices.filter { tensor.shape[$0] == 1 }
        guard dropped.allSatisfy({ tensor.shape[$0] == 1 }) else {
            throw KernelFailure(expected: "sizes of 1 at \(dropped)", found: text(tensor.shape))
        }
        return [tensor.reshaped(tensor.shape.indices.filter { !dropped.contains($0) }.map { tensor.shape[$0] })]
    }

    private static func unsqueeze(_ call: inout KernelCall) throws(KernelFailure) -> [Tensor] {
        let tensor = try call.taken(0)
        guard let list = try call.listed("axes", input: 1), list.count <= 64 else {
            throw KernelFailure(expected: "at most 64 axes", found: "none or more")
        }
        var shape = tensor.shape
        for index in try axes(list, rank: tensor.rank + list.count).sorted() { shape.insert(1, at: index) }
        return [tensor.reshaped(shape)]
    }
}
