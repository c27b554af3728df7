import ModelFiles

/// What is known of a value before the network runs.
public struct Value: Hashable, Sendable, Codable {
    /// The type of its elements; `nil` when it is not known.
    public var type: DType?
    /// Its sizes, outermost first; `nil` when not even their number is known.
    public var shape: [Dimension]?
    /// The elements of a small tensor of integers or booleans, as shapes are computed with; row-major.
    public var integers: [Dimension]?
    /// The elements of a small tensor of floats, as scales are; row-major.
    public var reals: [Double]?

    public init(type: DType? = nil, shape: [Dimension]? = nil, integers: [Dimension]? = nil, reals: [Double]? = nil) {
        self.type = type
        self.shape = shape
        self.integers = integers
        self.reals = reals
    }

    /// A value of which nothing is known.
    static let unknown = Value()

    /// Most elements of a tensor whose elements are followed.
    static let mostFollowed = 256

    /// Elements from one index to the next in each dimension of a list of elements; `nil` when none are known.
    var strides: [Int]? {
        guard integers != nil || reals != nil, let sizes else { return nil }
        var strides = [Int](repeating: 1, count: sizes.count)
        // The elements are few, so that no product is large; sizes of 0 leave none.
        for axis in sizes.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] &* sizes[axis + 1] }
        return strides
    }

    /// Its sizes, when all of them are known.
    public var sizes: [Int]? {
        guard let shape else { return nil }
        let sizes = shape.compactMap(\.size)
        return sizes.count == shape.count ? sizes : nil
    }

    /// The number of its elements, when it is known.
    public var count: Int? { sizes.flatMap { elementCount($0) } }

    /// Bits of an element; 64 for strings, which are held by reference.
    public var bitWidth: Int? { type.flatMap { $0 == .string ? 64 : $0.bitWidth ?? Self.narrowWidths[$0.rawValue] } }

    /// Bytes of all elements, rounded up, when they are known.
    public var bytes: Int? {
        guard let count, let bits = bitWidth else { return nil }
        let (total, overflow) = count.multipliedReportingOverflow(by: bits)
        return overflow ? nil : total / 8 + (total % 8 == 0 ? 0 : 1)
    }

    // Types that a file of weights does not have or packs in ways of its own.
    private static let narrowWidths = ["I4": 4, "U4": 4, "I2": 2, "U2": 2]

    /// The value with its elements picked anew, when they are known.
    ///
    /// - Parameters:
    ///   - sizes: of the result.
    ///   - index: the place of an element in this value's list by its indices in the result.
    func picked(_ sizes: [Int], _ index: ([Int]) -> Int) -> Value {
        var result = Value(type: type, shape: sizes.map { .size($0) })
        guard integers != nil || reals != nil, let count = result.count, count <= Self.mostFollowed else {
            return result
        }
        var indices = [Int](repeating: 0, count: sizes.count)
        var places: [Int] = []
        for _ in 0..<count {
            places.append(index(indices))
            for axis in sizes.indices.reversed() {
                indices[axis] += 1
                if indices[axis] < sizes[axis] { break }
                indices[axis] = 0
            }
        }
        result.integers = integers.map { list in places.map { list[$0] } }
        result.reals = reals.map { list in places.map { list[$0] } }
        return result
    }

    /// The same value without its elements, of a shape of its own when one is given.
    func cleared(_ shape: [Dimension]?? = nil) -> Value {
        Value(type: type, shape: shape ?? self.shape)
    }
}

extension DType {
    /// Text, of which a graph knows the shape only.
    public static let string = DType(rawValue: "STRING")

    /// Whether elements are floats of 16 bits or more, which a device may compute with in another precision.
    var isFloat: Bool { isPackableFloat }

    /// Whether elements are integers or booleans.
    var isInteger: Bool { rawValue == "BOOL" || rawValue.hasPrefix("I") || rawValue.hasPrefix("U") }
}

/// A size of a value, or an integer that sizes are computed with.
public enum Dimension: Hashable, Sendable {
    case size(Int)
    /// One that the model names and leaves open, as "batch".
    case symbol(String)
    case unknown

    /// The number; `nil` when it is open.
    public var size: Int? { if case .size(let size) = self { size } else { nil } }

    /// What two statements about one dimension say together; `nil` when they contradict each other.
    func merged(_ other: Dimension) -> Dimension? {
        switch (self, other) {
        case (.size(let a), .size(let b)): a == b ? self : nil
        case (.size, _): self
        case (_, .size): other
        case (.symbol, _): self
        default: other
        }
    }
}

extension Dimension: CustomStringConvertible {
    /// The number, the name, or "?".
    public var description: String {
        switch self {
        case .size(let size): "\(size)"
        case .symbol(let name): name
        case .unknown: "?"
        }
    }
}

extension [Dimension] {
    /// Sizes as "1x3x224x224", or "scalar"; of long names the end.
    public var text: String {
        if isEmpty { return "scalar" }
        return map { dimension in
            let text = dimension.description
            return text.count > 10 ? "…" + text.suffix(9) : text
        }.joined(separator: "x")
    }
}
