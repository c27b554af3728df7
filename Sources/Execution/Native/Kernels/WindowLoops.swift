/// Walks over the pairs of kernel elements and outputs.
extension Windows {
    /// - Parameters: sizes that were checked.
    init(
        input: [Int], kernel: [Int], strides: [Int], dilations: [Int], before: [Int], after: [Int], output: [Int]
    ) {
        (self.input, self.kernel, self.strides, self.dilations) = (input, kernel, strides, dilations)
        (self.before, self.after, self.output) = (before, after, output)
    }

    /// Calls `body` for each element of the kernel and each row of the output for which it is within the input.
    ///
    /// - Parameters:
    ///   - rows: of the output, a row along its last dimension.
    ///   - body: receives the number of the element, of the row, the valid places in the row, and where in the input the first
    ///     of them is.
    @inline(__always)
    func forEachRun(rows: Range<Int>, _ body: (_ element: Int, _ row: Int, Range<Int>, _ start: Int) -> Void) {
        let rank = input.count
        let inputStrides = rowMajorStrides(input)
        let last = rank - 1
        var element = [Int](repeating: 0, count: rank)
        for number in 0..<kernel.reduce(1, *) {
            let places = valid(last, element[last])
            let shift = start(last, element[last]) + places.lowerBound * strides[last]
            if !places.isEmpty {
                for row in rows {
                    var rest = row
                    var offset = shift
                    var isWithin = true
                    for axis in (0..<last).reversed() {
                        let index = rest % output[axis]
                        rest /= output[axis]
                        let place = index * strides[axis] + start(axis, element[axis])
                        isWithin = isWithin && place >= 0 && place < input[axis]
                        offset += place * inputStrides[axis]
                    }
                    if isWithin { body(number, row, places, offset) }
                }
            }
            for axis in (0..<rank).reversed() {
                element[axis] += 1
                if element[axis] < kernel[axis] { break }
                element[axis] = 0
            }
        }
    }

    /// The number of rows of the output.
    var rowCount: Int { output.dropLast().reduce(1, *) }

    /// Writes for each element of the kernel the inputs that it meets, zeros outside of the input.
    ///
    /// - Parameter rows: those of the output that columns are made for.
    func fill(_ columns: UnsafeMutablePointer<Float>, from source: UnsafePointer<Float>, rows: Range<Int>) {
        let width = output.last ?? 1
        let step = strides.last ?? 1
        columns.update(repeating: 0, count: kernel.reduce(1, *) * rows.count * width)
        forEachRun(rows: rows) { element, row, places, start in
            let target = columns + (element * rows.count + row - rows.lowerBound) * width + places.lowerBound
            let values = source + start
            if step == 1 {
                target.update(from: values, count: places.count)
            } else {
                for index in 0..<places.count { target[index] = values[index &* step] }
            }
        }
    }

    /// Adds up products of one channel and its kernel.
    func accumulate(
        _ source: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>
    ) {
        let width = output.last ?? 1
        let step = strides.last ?? 1
        forEachRun(rows: 0..<rowCount) { element, row, places, start in
            let weight = weights[element]
            let sums = target + row * width + places.lowerBound
            let values = source + start
            if step == 1 {
                for index in 0..<places.count { sums[index] += weight * values[index] }
            } else {
                for index in 0..<places.count { sums[index] += weight * values[index &* step] }
            }
        }
    }

    /// Adds what each element of the kernel gives to where it falls: the reverse of ``fill(_:from:rows:)``.
    func scatter(_ columns: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
        let width = output.last ?? 1
        let step = strides.last ?? 1
        forEachRun(rows: 0..<rowCount) { element, row, places, start in
            let values = columns + (element * rowCount + row) * width + places.lowerBound
            for index in 0..<places.count { target[start + index &* step] += values[index] }
        }
    }
}
