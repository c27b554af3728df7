import ModelFiles

/// The type in which a device holds and computes what is floating-point in the model.
public enum NumericType: String, Hashable, Sendable, Codable, CaseIterable {
    case float32
    case float16
    case int8

    /// Bits of an element.
    public var bits: Int {
        switch self {
        case .float32: 32
        case .float16: 16
        case .int8: 8
        }
    }

    /// The type that most of a network's weights have, by their bytes.
    init(prevailingIn network: Network) {
        var bytes: [NumericType: Int] = [:]
        func add(_ graph: Graph) {
            for weight in graph.weights {
                guard let value = graph.values[weight.value], let size = value.bytes, let bits = value.bitWidth else {
                    continue
                }
                let type: NumericType = bits >= 32 ? .float32 : bits == 16 ? .float16 : .int8
                bytes[type, default: 0] &+= size
            }
            for layer in graph.layers { for graph in layer.graphs.values { add(graph) } }
        }
        add(network.graph)
        self = Self.allCases.max { bytes[$0, default: 0] < bytes[$1, default: 0] } ?? .float32
        if bytes.isEmpty { self = .float32 }
    }
}

extension Value {
    /// Bytes of all elements when floats have that type, rounded up; `nil` when they are not known.
    func bytes(as type: NumericType?) -> Int? {
        guard let type, self.type?.isFloat == true else { return bytes }
        guard let count else { return nil }
        return product([count, type.bits / 8])
    }
}
