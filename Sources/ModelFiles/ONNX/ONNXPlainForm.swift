/// Writes a model in which tensors whose values are numbers, apart or of odd widths, hold them as bytes in `raw_data`.
///
/// Such tensors are no runs of elements that could be replaced. Both forms mean the same to every reader of ONNX; all other
/// fields, unknown ones too, are copied as they are, and only the lengths of the messages around are renewed.
struct ONNXPlainForm {
    /// Bytes of the original that give way to others.
    private struct Edit {
        let range: Range<Int>
        let replacement: Replacement
    }

    private enum Replacement {
        case bytes([UInt8])
        /// The values of the tensor with this number as a `raw_data` field.
        case values(Int)
    }

    private let file: MappedFile
    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private let tensors: [ONNXTensor]
    private let edits: [Edit]

    /// Plans the plain form of a model.
    ///
    /// - Parameters:
    ///   - graphs: the model's.
    ///   - file: its file.
    ///   - bytes: the file's bytes, valid as long as this is used.
    init(_ graphs: ONNXGraphs, of file: MappedFile, _ bytes: UnsafeRawBufferPointer) {
        self.file = file
        self.bytes = bytes
        path = file.path
        tensors = graphs.tensors.filter(\.needsPlainForm)
        var edits: [Edit] = []
        var growth = [Int](repeating: 0, count: graphs.enclosures.count)
        for (index, tensor) in tensors.enumerated() {
            let end = graphs.enclosures[tensor.enclosure].content.upperBound
            let size = tensor.size ?? 0
            edits += tensor.numberFields.map { Edit(range: $0, replacement: .bytes([])) }
            edits.append(Edit(range: end..<end, replacement: .values(index)))
            growth[tensor.enclosure] += Self.header(size).count + size
            growth[tensor.enclosure] -= tensor.numberFields.reduce(0) { $0 + $1.count }
        }
        // Messages come after those around them, so that backwards each growth is complete when it is passed on.
        for index in graphs.enclosures.indices.reversed() where growth[index] != 0 {
            let enclosure = graphs.enclosures[index]
            let length = varintBytes(UInt64(enclosure.content.count + growth[index]))
            edits.append(Edit(range: enclosure.length, replacement: .bytes(length)))
            if let parent = enclosure.parent { growth[parent] += growth[index] + length.count - enclosure.length.count }
        }
        self.edits = edits.sorted {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }
    }

    /// Writes the plain form to a file.
    func write(to descriptor: Int32) throws(ModelFileError) {
        var output = OutputFile(descriptor, path: path)
        var position = 0
        for edit in edits {
            try output.append(position..<edit.range.lowerBound, of: file)
            position = edit.range.upperBound
            switch edit.replacement {
            case .bytes(let bytes): try output.append(bytes)
            case .values(let index): try writeValues(of: tensors[index], to: &output)
            }
        }
        try output.append(position..<bytes.count, of: file)
    }

    /// Tag and length of a `raw_data` field.
    private static func header(_ size: Int) -> [UInt8] { delimitedHeader(9, length: size) }

    private func writeValues(of tensor: ONNXTensor, to output: inout OutputFile) throws(ModelFileError) {
        guard case .numbers(let number, let ranges) = tensor.values, let size = tensor.size else { return }
        try output.append(Self.header(size))
        var written = 0
        var buffer: [UInt8] = []
        var released = 0
        func flush(_ limit: Int, upTo end: Int) throws(ModelFileError) {
            guard buffer.count > limit else { return }
            try output.append(buffer)
            written += buffer.count
            buffer.removeAll(keepingCapacity: true)
            file.release(released..<end)
            released = end
        }
        for range in ranges {
            released = range.lowerBound
            if number == 5 {
                try forEachNumber(bytes, range, path: path) { (value, end) throws(ModelFileError) in
                    guard let word = UInt16(exactly: value) else {
                        throw .invalidTensor(
                            path: path, tensor: tensor.name, expected: "numbers of 16 bits", found: "\(value)")
                    }
                    buffer.append(UInt8(truncatingIfNeeded: word))
                    buffer.append(UInt8(truncatingIfNeeded: word >> 8))
                    try flush(1 << 16, upTo: end)
                }
            } else {
                // float_data and double_data hold little-endian elements already, in several runs or one a field.
                var fields = ProtobufFields(bytes, range, path: path)
                while let field = try fields.next() {
                    buffer += bytes[field.content]
                    try flush(1 << 16, upTo: field.range.upperBound)
                }
            }
            try flush(0, upTo: range.upperBound)
        }
        guard written == size else {
            throw .invalidTensor(
                path: path, tensor: tensor.name, expected: "\(size) bytes of values", found: "\(written)")
        }
    }
}
