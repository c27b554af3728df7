/// What kernels meet of pictures whose channels lie together.
extension ConvolutionSizes {
    /// Most elements of the rows that are made at once: they stay in the cache.
    private static let mostElements = 1 << 17
    /// Elements after the last row that may be read, and count for nothing.
    static let slack = 4

    /// Calls `body` with what makes some pixels of the output of a group: for each pixel a row of ``depth`` elements, in the order
    /// kernel..., channels.
    ///
    /// - Parameters:
    ///   - image: one input, with ``slack`` elements behind it where rows may overlap.
    ///   - padding: what stands for elements outside of it.
    ///   - overlapping: whether rows may share elements.
    ///   - body: receives the group, the first row, elements from one row to the next, and the pixels.
    @inline(__always)
    func forEachBlock<Element: BitwiseCopyable>(
        of image: UnsafePointer<Element>, padding: Element, overlapping: Bool,
        _ body: (_ group: Int, _ rows: UnsafePointer<Element>, _ stride: Int, _ pixels: Range<Int>)
            throws(KernelFailure) -> Void
    ) throws(KernelFailure) {
        if windows.isPointwise {
            for group in 0..<groups { try body(group, image + group * inputs, channels, 0..<size) }
            return
        }
        var failure: KernelFailure?
        if overlapping, windows.kernel.count == 1, windows.dilations[0] == 1, groups == 1 {
            // Windows over a line are rows that overlap, once it has its padding.
            let (before, after) = (windows.before[0] * channels, windows.after[0] * channels)
            let count = area * channels
            withUnsafeTemporaryAllocation(of: Element.self, capacity: before + count + after + Self.slack) { line in
                line.initialize(repeating: padding)
                guard let line = line.baseAddress else { return }
                (line + before).update(from: image, count: count)
                do throws(KernelFailure) {
                    try body(0, line, windows.strides[0] * channels, 0..<size)
                } catch { failure = error }
            }
            if let failure { throw failure }
            return
        }
        let width = windows.output.last ?? 1
        let rows = size / max(width, 1)
        let step = min(max(Self.mostElements / max(depth * width, 1), 1), rows)
        let capacity = try checkedCount([depth, step, width]) + Self.slack
        let isPadded = (windows.before + windows.after).contains { $0 > 0 }
        withUnsafeTemporaryAllocation(of: Element.self, capacity: capacity) { columns in
            columns.initialize(repeating: padding)
            guard let columns = columns.baseAddress else { return }
            for group in 0..<groups {
                for first in stride(from: 0, to: rows, by: step) {
                    let count = min(step, rows - first)
                    if isPadded { columns.update(repeating: padding, count: count * width * depth) }
                    fill(columns, from: image + group * inputs, rows: first..<first + count)
                    do throws(KernelFailure) {
                        try body(group, columns, depth, first * width..<(first + count) * width)
                    } catch {
                        failure = error
                        return
                    }
                }
            }
        }
        if let failure { throw failure }
    }

    /// Copies what the kernel meets of a group of channels; what is outside of the image stays as it is.
    @inline(__always)
    private func fill<Element: BitwiseCopyable>(
        _ columns: UnsafeMutablePointer<Element>, from image: UnsafePointer<Element>, rows: Range<Int>
    ) {
        let last = windows.kernel.count - 1
        let (width, length, input) = (windows.output[last], windows.kernel[last], windows.input[last])
        let (step, dilation, before) = (windows.strides[last], windows.dilations[last], windows.before[last])
        var target = columns
        windows.forEachOutputRow(rows) { kernelRows in
            for place in 0..<width {
                let first = place * step - before
                for (number, row) in kernelRows {
                    let goal = target + number * length * inputs
                    if dilation == 1, groups == 1 {
                        let (start, end) = (max(-first, 0), min(length, input - first))
                        if start < end {
                            (goal + start * inputs).update(
                                from: image + (row + first + start) * channels, count: (end - start) * inputs)
                        }
                        continue
                    }
                    for element in 0..<length {
                        let index = first + element * dilation
                        guard index >= 0, index < input else { continue }
                        (goal + element * inputs).update(from: image + (row + index) * channels, count: inputs)
                    }
                }
                target += depth
            }
        }
    }
}

extension Windows {
    /// Calls `body` for rows of the output, along its last dimension, with the rows of the kernel that are within the input there: their
    /// numbers, and the first pixel of the row of the input.
    @inline(__always)
    func forEachOutputRow(_ rows: Range<Int>? = nil, _ body: ([(number: Int, row: Int)]) -> Void) {
        let last = kernel.count - 1
        let inputStrides = rowMajorStrides(input)
        let kernelRows = kernel[..<last].reduce(1, *)
        var found: [(number: Int, row: Int)] = []
        for outputRow in rows ?? 0..<rowCount {
            found.removeAll(keepingCapacity: true)
            for number in 0..<kernelRows {
                var (rest, element, row) = (outputRow, number, 0)
                var isWithin = true
                for axis in (0..<last).reversed() {
                    let place = rest % output[axis] * strides[axis] + start(axis, element % kernel[axis])
                    rest /= output[axis]
                    element /= kernel[axis]
                    isWithin = isWithin && place >= 0 && place < input[axis]
                    row += place * inputStrides[axis]
                }
                if isWithin { found.append((number, row)) }
            }
            body(found)
        }
    }
}
