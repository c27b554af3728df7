/// What the paths of Keras 3 tell about a layer, whose variables have numbers instead of names.
///
/// A variable is at `…/CLASS/vars/INDEX`, the class in snake case and numbered from its second layer on; recurrent layers
/// keep theirs in a `cell` below. Variable 0 is the kernel or the table, variable 1 of a cell the recurrent kernel.
enum KerasLayer {
    /// The kind of layer and the convention of its axes; nil for other paths and for vectors.
    ///
    /// - Parameters:
    ///   - path: a variable's path.
    ///   - shapes: those of all variables by path.
    static func hint(path: String, shapes: [String: [Int]]) -> (kind: String, convention: String)? {
        let shape = shapes[path] ?? []
        let parts = path.split(separator: "/").map(String.init)
        guard let vars = parts.lastIndex(of: "vars"), vars > 0, vars == parts.count - 2,
            !parts.contains("optimizer")
        else { return nil }
        let name = unnumbered(parts[vars - 1])
        if name == "cell" || name.hasSuffix("_cell") {
            guard shape.count == 2 else { return nil }
            let layer = vars > 1 ? unnumbered(parts[vars - 2]) : ""
            for kind in ["lstm", "gru"] where layer.contains(kind) || name.contains(kind) { return (kind, "keras") }
            // In a wrapper such as Bidirectional a cell does not say what it is, but its recurrent kernel does.
            let recurrent = shapes[parts.dropLast().joined(separator: "/") + "/1"] ?? []
            guard recurrent.count == 2, recurrent[1] == shape[1] else { return ("fc", "keras") }
            // Dividing cannot overflow, whatever a file says.
            let gates = recurrent[0] > 0 && shape[1].isMultiple(of: recurrent[0]) ? shape[1] / recurrent[0] : 0
            return (gates == 4 ? "lstm" : gates == 3 ? "gru" : "fc", "keras")
        }
        if name.contains("embedding"), shape.count == 2 { return ("embedding", "keras") }
        if shape.count == 2 { return ("fc", "keras") }
        guard (3...5).contains(shape.count), name.contains("conv") else { return nil }
        let isDepthwise = name.contains("depthwise") || name.contains("separable") && parts.last == "0"
        return (isDepthwise ? "depthwise" : "conv", "keras")
    }

    /// A layer's name without the number that tells it from others of its class.
    private static func unnumbered(_ name: String) -> String {
        guard let end = name.lastIndex(of: "_"), name[end...].dropFirst().allSatisfy(\.isNumber)
        else { return name }
        return String(name[..<end])
    }
}
