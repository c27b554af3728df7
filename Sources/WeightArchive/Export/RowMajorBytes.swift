import ModelFiles

/// A tensor's bytes in row-major order, whatever order the model file has them in, piece by piece.
struct RowMajorBytes {
    /// Bytes of all elements.
    let count: Int
    private let model: ModelFile
    private let tensor: TensorRecord
    /// Elements from one index to the next in each dimension; `nil` when the file's order is row-major.
    private let strides: [Int]?
    private let elementSize: Int

    private static let pieceSize = 1 << 18

    /// - Returns: `nil` for elements of an unknown type, and for views whose elements' places are not known.
    init?(_ model: ModelFile, _ tensor: TensorRecord) {
        guard let bits = tensor.dtype.bitWidth, let elements = elementCount(tensor.shape) else { return nil }
        let (total, overflow) = elements.multipliedReportingOverflow(by: bits)
        guard !overflow, total.isMultiple(of: 8) else { return nil }
        count = total / 8
        elementSize = bits / 8
        self.model = model
        self.tensor = tensor
        if elements == 0 || tensor.memoryOrder == Array(tensor.shape.indices) {
            strides = nil
            guard count == 0 || count == tensor.extent.length else { return nil }
        } else {
            guard let strides = Self.strides(tensor), bits.isMultiple(of: 8),
                let span = Self.span(tensor.shape, strides), span <= tensor.extent.length / elementSize
            else { return nil }
            self.strides = strides
        }
    }

    private static func strides(_ tensor: TensorRecord) -> [Int]? {
        guard let order = tensor.memoryOrder else {
            return tensor.strides?.count == tensor.shape.count ? tensor.strides : nil
        }
        guard order.sorted() == Array(tensor.shape.indices) else { return nil }
        var strides = tensor.shape
        var stride = 1
        for dimension in order.reversed() {
            strides[dimension] = stride
            stride *= tensor.shape[dimension]
        }
        return strides
    }

    /// Elements from the first to the last, both counted; `nil` when they cannot be counted or lie before the first.
    private static func span(_ shape: [Int], _ strides: [Int]) -> Int? {
        var span = 1
        for (size, stride) in zip(shape, strides) {
            let (steps, tooFar) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, tooLarge) = span.addingReportingOverflow(steps)
            guard stride >= 0, !tooFar, !tooLarge else { return nil }
            span = sum
        }
        return span
    }

    /// The bytes from an offset on, which a piece before ended at: some of them, and none only at the end.
    func piece(at offset: Int) -> [UInt8] {
        let extent = tensor.extent
        guard let strides else {
            let length = min(Self.pieceSize, count - offset)
            let range = extent.offset + offset..<extent.offset + offset + length
            let bytes = model.files[extent.file].file.withBytes(range) { Array($0) }
            model.files[extent.file].file.release(range)
            return bytes
        }
        let elements = min(Self.pieceSize, count - offset) / elementSize
        let bytes = [UInt8](unsafeUninitializedCapacity: elements * elementSize) { buffer, initialized in
            model.withBytes(of: extent) { source in
                gather(source, strides, from: offset / elementSize, into: UnsafeMutableRawBufferPointer(buffer))
            }
            initialized = elements * elementSize
        }
        if offset + bytes.count == count { model.files[extent.file].file.release(extent.range) }
        return bytes
    }

    /// Copies elements, from the one of a row-major number on, until `target` is full.
    private func gather(
        _ source: UnsafeRawBufferPointer, _ strides: [Int], from first: Int, into target: UnsafeMutableRawBufferPointer
    ) {
        let shape = tensor.shape
        let last = shape.count - 1
        var index = shape
        var rest = first
        for dimension in shape.indices.reversed() {
            (rest, index[dimension]) = rest.quotientAndRemainder(dividingBy: shape[dimension])
        }
        var written = 0
        while written < target.count {
            let start = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
            let run = min(shape[last] - index[last], (target.count - written) / elementSize)
            copy(
                source, from: start, stride: strides[last],
                into: UnsafeMutableRawBufferPointer(rebasing: target[written..<written + run * elementSize]))
            written += run * elementSize
            index[last] += run
            var dimension = last
            while dimension > 0, index[dimension] == shape[dimension] {
                index[dimension] = 0
                dimension -= 1
                index[dimension] += 1
            }
        }
    }

    private func copy(
        _ source: UnsafeRawBufferPointer, from start: Int, stride: Int, into target: UnsafeMutableRawBufferPointer
    ) {
        func run<Element: BitwiseCopyable>(_: Element.Type) {
            let size = MemoryLayout<Element>.size
            for i in 0..<target.count / size {
                let element = source.loadUnaligned(fromByteOffset: (start + i * stride) * size, as: Element.self)
                target.storeBytes(of: element, toByteOffset: i * size, as: Element.self)
            }
        }
        switch elementSize {
        case 1: run(UInt8.self)
        case 2: run(UInt16.self)
        case 4: run(UInt32.self)
        case 8: run(UInt64.self)
        default: run(SIMD2<UInt64>.self)
        }
    }
}
