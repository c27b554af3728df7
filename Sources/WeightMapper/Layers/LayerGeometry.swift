/// How the weights of one tensor, as they follow each other in memory, form the matrices of a layer.
///
/// Every layout that a framework uses is a list of axes, each with a role; the roles say which axes run along a picture
/// (its length, x), which across it (its width, y), and which number separate pictures. The offset of the weight at
/// (picture, y, x) is a sum of one term for each, so a tiling is three short tables of offsets.
public struct LayerGeometry: Hashable, Sendable {
    /// What an axis counts.
    public enum Role: String, Sendable, Codable {
        /// Separate pictures: independent matrices, directions of a recurrent layer, its gates.
        case stack, direction, gate
        /// Across the picture (y): output neurons or filters, then the kernel's depth and height.
        case output, kernelZ, kernelY
        /// Along the picture (x): channels of a depthwise layer, input neurons or filters, then the kernel's width.
        case group, input, kernelX

        var isPicture: Bool { self == .stack || self == .direction || self == .gate }
        /// Whether weights that differ on this axis belong to different output channels.
        public var isChannel: Bool { isPicture || self == .output || self == .group }
    }

    /// One axis of the tensor.
    public struct Axis: Hashable, Sendable {
        /// What the axis counts.
        public let role: Role
        /// How many there are.
        public let count: Int

        /// An axis of `count` steps.
        public init(_ role: Role, _ count: Int) {
            self.role = role
            self.count = count
        }
    }

    /// The kind of layer.
    public let kind: LayerKind
    /// Axes in memory order, slowest first.
    ///
    /// Their product is `count`, or more for a folded layer, whose last row is short.
    public let axes: [Axis]
    /// Number of weights.
    public let count: Int

    /// A layer from its axes, as a packed file records them.
    ///
    /// - Throws: `MapperError.shape` when the axes hold fewer weights than `count` or more than a short last row explains.
    public init(kind: LayerKind, axes: [Axis], count: Int) throws(MapperError) {
        self.kind = kind
        self.axes = axes
        self.count = count
        var product = 1
        for axis in axes {
            let (next, overflow) = product.multipliedReportingOverflow(by: axis.count)
            guard !overflow, axis.count >= 0 else {
                throw .shape(kind: kind, shape: axes.map(\.count), expected: "axes whose product is a whole number")
            }
            product = next
        }
        let isFolded = axes.count == 2 && axes[0].role == .output && axes[1].role == .input
        let slack = isFolded ? max(axes[1].count - 1, 0) : 0
        guard count >= 0, product >= count, product - count <= slack else {
            throw .shape(kind: kind, shape: axes.map(\.count), expected: "axes that hold \(count) weights")
        }
    }

    /// A layer from a tensor's logical shape; a vector, whatever its rank, is folded to a near-square matrix.
    ///
    /// - Parameters:
    ///   - kind: what the layer is.
    ///   - shape: logical dimensions, as the framework names them.
    ///   - convention: what each dimension means.
    ///   - memoryOrder: dimensions from slowest to fastest in memory; row-major when `nil`.
    /// - Throws: `MapperError.shape` when a layer of this kind cannot have this shape.
    public init(
        kind: LayerKind, shape: [Int], convention: LayoutConvention = .pytorch, memoryOrder: [Int]? = nil
    ) throws(MapperError) {
        let count = shape.reduce(1, *)
        guard count > 0, shape.count(where: { $0 != 1 }) > 1 else {
            self = try Self.folded(kind: kind, count: count)
            return
        }
        let dimensions = try Self.dimensions(kind: kind, shape: shape, convention: convention)
        let order = memoryOrder ?? Array(shape.indices)
        let axes = order.flatMap { dimensions[$0] }.filter { $0.count != 1 }
        try self.init(kind: kind, axes: axes, count: count)
    }

    /// A run of weights without structure, folded row by row to a near-square matrix (a raw file, a vector).
    public static func folded(kind: LayerKind = .fc, count: Int) throws(MapperError) -> LayerGeometry {
        var width = Int(Double(count).squareRoot())
        while width * width < count { width += 1 }
        let height = width > 0 ? (count + width - 1) / width : 0
        return try LayerGeometry(kind: kind, axes: [Axis(.output, height), Axis(.input, width)], count: count)
    }

    /// A run of samples without structure, folded to the fewest rows of at most 8,192, all but the last of the same length.
    static func strip(count: Int) throws(MapperError) -> LayerGeometry {
        let height = ceilDivide(count, 8192)
        return try rows(count: count, width: height > 0 ? ceilDivide(count, height) : 0)
    }

    /// A run of samples in rows of a width, the last of which may be shorter.
    static func rows(count: Int, width: Int) throws(MapperError) -> LayerGeometry {
        let height = width > 0 ? ceilDivide(count, width) : 0
        return try LayerGeometry(kind: .fc, axes: [Axis(.output, height), Axis(.input, width)], count: count)
    }

    /// The axes that each logical dimension stands for.
    private static func dimensions(
        kind: LayerKind, shape: [Int], convention: LayoutConvention
    ) throws(MapperError) -> [[Axis]] {
        let rank = shape.count
        func single(_ roles: [Role]) -> [[Axis]] { zip(roles, shape).map { [Axis($0, $1)] } }
        switch kind {
        case .fc, .embedding:
            let stacks = [Role](repeating: .stack, count: max(rank - 2, 0))
            let inputLast = convention == .pytorch || convention == .tflite || kind == .embedding
            return single(stacks + (inputLast ? [.output, .input] : [.input, .output]))
        case .conv:
            guard (3...5).contains(rank) else {
                throw .shape(kind: kind, shape: shape, expected: "3 to 5 dimensions")
            }
            let kernel: [Role] = [.kernelZ, .kernelY, .kernelX].suffix(rank - 2)
            return switch convention {
            case .keras: single(kernel + [.input, .output])
            case .transposed: single([.input, .output] + kernel)
            case .tflite: single([.output] + kernel + [.input])
            case .pytorch, .onnx: single([.output, .input] + kernel)
            }
        case .depthwise:
            let inputs = convention == .tflite ? 0 : 1
            guard (3...5).contains(rank), convention == .keras || shape[inputs] == 1 else {
                throw .shape(kind: kind, shape: shape, expected: "3 to 5 dimensions, one input to each channel")
            }
            let kernel: [Role] = [.kernelZ, .kernelY, .kernelX].suffix(rank - 2)
            return switch convention {
            case .keras: single(kernel + [.group, .output])
            case .tflite: single([.input] + kernel + [.group])
            case .pytorch, .onnx, .transposed: single([.group, .input] + kernel)
            }
        case .lstm, .gru:
            let gates = kind.gates
            let stacked = convention == .keras || convention == .transposed ? rank - 1 : rank - 2
            guard rank == (convention == .onnx ? 3 : 2), shape[stacked] % gates == 0 else {
                let form = [
                    "pytorch": "[\(gates) * H, I]", "onnx": "[D, \(gates) * H, I]", "keras": "[I, \(gates) * H]",
                    "transposed": "[I, \(gates) * H]", "tflite": "[\(gates) * H, I]",
                ]
                throw .shape(kind: kind, shape: shape, expected: form[convention.rawValue] ?? "")
            }
            let gate = [Axis(.gate, gates), Axis(.output, shape[stacked] / gates)]
            switch convention {
            case .pytorch, .tflite: return [gate, [Axis(.input, shape[1])]]
            case .onnx: return [[Axis(.direction, shape[0])], gate, [Axis(.input, shape[2])]]
            case .keras, .transposed: return [[Axis(.input, shape[0])], gate]
            }
        }
    }
}

extension LayerGeometry {
    /// Weights seen as `[outer, channels, inner]` in memory: the middle axis numbers the output channels, gate rows or
    /// embedding rows that a quantizer may give ranges of their own.
    public struct Channels: Hashable, Sendable {
        /// Number of channels.
        public let count: Int
        /// Weights that follow each other in memory before the channel changes.
        public let inner: Int
    }

    /// The layer's channels; one for the whole layer where the channel axes are not neighbors in memory.
    public var channels: Channels {
        guard let first = axes.firstIndex(where: \.role.isChannel),
            let last = axes.lastIndex(where: \.role.isChannel),
            axes[first...last].allSatisfy(\.role.isChannel)
        else { return Channels(count: 1, inner: max(count, 1)) }
        return Channels(
            count: axes[first...last].reduce(1) { $0 * $1.count },
            inner: max(axes[(last + 1)...].reduce(1) { $0 * $1.count }, 1))
    }

    /// Number of combinations of the axes that have one of `roles`.
    func count(_ roles: [Role]) -> Int {
        axes.reduce(1) { roles.contains($1.role) ? $0 * $1.count : $0 }
    }

    /// Offset in memory, in weights, of combination number `index` of the axes that have one of `roles`, the first role's
    /// slowest.
    func offset(of index: Int, _ roles: [Role]) -> Int {
        var rest = index
        var offset = 0
        for role in roles.reversed() {
            var stride = 1
            for axis in axes.reversed() {
                if axis.role == role {
                    offset += rest % axis.count * stride
                    rest /= axis.count
                }
                stride *= axis.count
            }
        }
        return offset
    }
}
