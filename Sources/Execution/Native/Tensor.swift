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

    /// Elements by their places in each dimension of a row-major tensor.
    ///
    /// - Parameters:
    ///   - places: for each dimension; where one of them is negative, elements are filled.
    ///   - fill: what takes their place; 0 when left out.
    func picked(_ places: [[Int]], fill: Tensor? = nil) -> Tensor {
        guard let last = places.last else { return self }
        let strides = rowMajorStrides(shape)
        var rows = [0]
        for (axis, list) in places.dropLast().enumerated() {
            rows = rows.flatMap { base in list.map { base < 0 || $0 < 0 ? -1 : base + $0 * strides[axis] } }
        }
        // Neighbors that stay neighbors are copied at once.
        var runs: [(target: Int, source: Int, count: Int)] = []
        for (target, source) in last.enumerated() where source >= 0 {
            if let run = runs.last, run.target + run.count == target, run.source + run.count == source {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((target, source, 1))
            }
        }
        func moved<Element: BitwiseCopyable>(_ source: [Element], _ filler: Element) -> [Element] {
            var result = [Element](repeating: filler, count: rows.count * last.count)
            result.withUnsafeMutableBufferPointer { result in
                source.withUnsafeBufferPointer { source in
                    guard let result = result.baseAddress, let source = source.baseAddress else { return }
                    for (number, row) in rows.enumerated() where row >= 0 {
                        for run in runs {
                            (result + number * last.count + run.target).update(
                                from: source + row + run.source, count: run.count)
                        }
                    }
                }
            }
            return result
        }
        var tensor = self
        tensor.shape = places.map(\.count)
        switch (elements, fill?.elements) {
        case (.floats(let list), .floats(let filler)?): tensor.elements = .floats(moved(list, filler.first ?? 0))
        case (.floats(let list), _): tensor.elements = .floats(moved(list, 0))
        case (.integers(let list), .integers(let filler)?): tensor.elements = .integers(moved(list, filler.first ?? 0))
        case (.integers(let list), _): tensor.elements = .integers(moved(list, 0))
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
    let (sizes, all) = collapsed(shape, [strides])
    let steps = all[0]
    return [Element](unsafeUninitializedCapacity: count) { target, done in
        source.withUnsafeBufferPointer { source in
            guard let source = source.baseAddress, let target = target.baseAddress else { return }
            let (inner, step) = (sizes.last ?? 1, steps.last ?? 1)
            let last = sizes.count - 1
            if step != 1, let near = steps.dropLast().lastIndex(of: 1) {
                // The elements that are neighbors here are none there: blocks of both.
                let outer = sizes.indices.filter { $0 != near && $0 != last }
                let own = rowMajorStrides(sizes)
                forEachRow(
                    outer.map { sizes[$0] }, [outer.map { steps[$0] }, outer.map { own[$0] }], [offset, 0]
                ) { starts in
                    transpose(
                        source + starts[0], step, to: target + starts[1], own[near], rows: inner, columns: sizes[near])
                }
            } else {
                var place = 0
                forEachRow(sizes.dropLast(), [Array(steps.dropLast())], [offset]) { starts in
                    let start = starts[0]
                    if step == 1 {
                        (target + place).update(from: source + start, count: inner)
                    } else {
                        for index in 0..<inner { target[place &+ index] = source[start &+ index &* step] }
                    }
                    place += inner
                }
            }
        }
        done = count
    }
}

/// Writes a matrix transposed, in blocks of which both sides stay in the cache.
///
/// - Parameters:
///   - sourceStride: elements from row to row of the source.
///   - targetStride: elements from row to row of the target, which are columns of the source.
func transpose<Element: BitwiseCopyable>(
    _ source: UnsafePointer<Element>, _ sourceStride: Int, to target: UnsafeMutablePointer<Element>,
    _ targetStride: Int, rows: Int, columns: Int
) {
    let side = 16
    for firstRow in stride(from: 0, to: rows, by: side) {
        let lastRow = min(firstRow + side, rows)
        for firstColumn in stride(from: 0, to: columns, by: side) {
            for column in firstColumn..<min(firstColumn + side, columns) {
                for row in firstRow..<lastRow {
                    target[column &* targetStride &+ row] = source[row &* sourceStride &+ column]
                }
            }
        }
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
