import Glibc
import ModelFiles

/// A tensor while the kernels of the native target work on it.
///
/// Integers and booleans of every width are held in 64 bits, and wrapped to their own width where they are computed.
struct Tensor: Sendable {
    /// The elements, in the tensor's ``order``.
    enum Elements: Sendable {
        case floats([Float])
        case integers([Int64])
    }

    /// Of one of ``types``.
    var type: DType
    /// Its sizes, whatever the order of the elements: of pictures [N, C, spatial...].
    var shape: [Int]
    var elements: Elements
    /// How the elements lie; only floats of three dimensions or more lie otherwise than row-major.
    var order = Order.rowMajor

    /// The types that kernels take.
    static let types: Set<DType> = [.f32, .i64, .i32, .i16, .i8, .u32, .u16, .u8, .bool]

    /// Most elements of a tensor: what this machine's memory would hold.
    static let mostElements =
        max(sysconf(Int32(_SC_PHYS_PAGES)), 1 << 18) / 16 * max(sysconf(Int32(_SC_PAGESIZE)), 4096)

    init(_ floats: [Float], _ shape: [Int]) {
        type = .f32
        self.shape = shape
        elements = .floats(floats)
    }

    init(_ integers: [Int64], _ shape: [Int], _ type: DType = .i64) {
        self.type = type
        self.shape = shape
        elements = .integers(integers)
    }

    /// The number of elements.
    var count: Int {
        switch elements {
        case .floats(let floats): floats.count
        case .integers(let integers): integers.count
        }
    }

    /// The number of dimensions.
    var rank: Int { shape.count }

    /// The same elements in a shape of as many.
    func reshaped(_ shape: [Int]) -> Tensor {
        var tensor = rowMajor()
        tensor.shape = shape
        return tensor
    }

    /// Computes floats anew in their place; elements of another type stay.
    @inline(__always)
    mutating func updateFloats(_ body: (UnsafeMutableBufferPointer<Float>) -> Void) {
        guard case .floats(var floats) = elements else { return }
        // The array has one owner now, so that it is not copied.
        elements = .floats([])
        floats.withUnsafeMutableBufferPointer { body($0) }
        elements = .floats(floats)
    }

    /// Elements by their places here.
    ///
    /// - Parameters:
    ///   - places: below the number of elements; negative ones are filled.
    ///   - fill: what takes their place; 0 when left out.
    func picked(_ places: [Int], _ shape: [Int], fill: Tensor? = nil) -> Tensor {
        var tensor = self
        tensor.shape = shape
        switch elements {
        case .floats(let floats):
            var filler: Float = 0
            if case .floats(let values)? = fill?.elements { filler = values.first ?? 0 }
            tensor.elements = .floats(places.map { $0 < 0 ? filler : floats[$0] })
        case .integers(let integers):
            var filler: Int64 = 0
            if case .integers(let values)? = fill?.elements { filler = values.first ?? 0 }
            tensor.elements = .integers(places.map { $0 < 0 ? filler : integers[$0] })
        }
        return tensor
    }

    /// A view copied out, row-major: element `i` of the result lies at `offset` and the sum of indices times strides.
    func strided(_ shape: [Int], _ strides: [Int], offset: Int = 0) -> Tensor {
        var tensor = self
        (tensor.shape, tensor.order) = (shape, .rowMajor)
        switch elements {
        case .floats(let floats): tensor.elements = .floats(copied(floats, shape, strides, offset))
        case .integers(let integers): tensor.elements = .integers(copied(integers, shape, strides, offset))
        }
        return tensor
    }
}

/// Elements from one index to the next in each dimension of a row-major tensor, whose sizes were checked.
func rowMajorStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] &* shape[axis + 1] }
    return strides
}

private func copied<Element: BitwiseCopyable>(
    _ source: [Element], _ shape: [Int], _ strides: [Int], _ offset: Int
) -> [Element] {
    let count = elementCount(shape) ?? 0
    guard count > 0 else { return [] }
    return [Element](unsafeUninitializedCapacity: count) { target, done in
        source.withUnsafeBufferPointer { source in
            let (inner, step) = (shape.last ?? 1, strides.last ?? 1)
            var place = 0
            forEachRow(shape.dropLast(), [Array(strides.dropLast())], [offset]) { starts in
                let start = starts[0]
                if step == 1 {
                    for index in 0..<inner { target[place + index] = source[start + index] }
                } else {
                    for index in 0..<inner { target[place + index] = source[start + index * step] }
                }
                place += inner
            }
        }
        done = count
    }
}

/// Walks indices in row-major order and keeps several positions in step with them.
///
/// - Parameters:
///   - shape: sizes, none 0.
///   - strides: for each position what an index of each dimension moves it.
///   - starts: where positions begin.
///   - body: receives the positions.
@inline(__always)
func forEachRow<Failure: Error>(
    _ shape: some Collection<Int>, _ strides: [[Int]], _ starts: [Int], _ body: ([Int]) throws(Failure) -> Void
) throws(Failure) {
    let shape = Array(shape)
    var indices = [Int](repeating: 0, count: shape.count)
    var positions = starts
    while true {
        try body(positions)
        var axis = shape.count - 1
        while axis >= 0 {
            indices[axis] += 1
            if indices[axis] < shape[axis] {
                for number in positions.indices { positions[number] += strides[number][axis] }
                break
            }
            for number in positions.indices { positions[number] -= strides[number][axis] * (shape[axis] - 1) }
            indices[axis] = 0
            axis -= 1
        }
        if axis < 0 { return }
    }
}
