import FoundationEssentials

/// A `TensorProto` of a model: what it holds and where.
package struct ONNXTensor {
    /// Where its values are.
    package enum Values {
        /// A run of bytes in the model's file.
        case run(Range<Int>)
        /// Bytes of another file, described by `external_data`.
        case external(location: String, offset: Int, length: Int?)
        /// Numbers in field `field` that are no run of little-endian elements; each range lies within one such field.
        case numbers(field: Int, [Range<Int>])
        /// None at all.
        case absent
    }

    /// Its name, readable and unique among the model's tensors.
    package let name: String
    /// Its scope and its name there, as nodes refer to it; nil for one inside of an operator's attribute.
    package let value: (scope: Int, name: String)?
    /// Whether it is an initializer of a graph, not part of a node.
    package let isInitializer: Bool
    package let shape: [Int]
    let type: Int
    package let values: Values
    /// The fields that hold numbers instead of bytes, and the message they lie in.
    let numberFields: [Range<Int>]
    let enclosure: Int

    /// The element type by ONNX's number, or nil for strings and types that are not known here.
    package var dtype: DType? { Self.dtypes[type] }

    package var count: Int { elementCount(shape) ?? 0 }

    /// Whether its elements are strings.
    package var isText: Bool { type == 8 }

    /// Bytes of all elements, or nil for types of less than a byte, which ONNX packs in ways of its own.
    var size: Int? {
        guard let bits = dtype?.bitWidth, bits % 8 == 0 else { return nil }
        return count * (bits / 8)
    }

    /// Whether its elements can be brought into one run of bytes: floats whose numbers lie apart, enough of them to matter.
    var needsPlainForm: Bool {
        guard case .numbers = values, dtype?.isPackableFloat == true else { return false }
        return count >= Self.smallestPlain
    }

    /// Smaller tensors are not packed.
    static let smallestPlain = 1024

    /// The element type by ONNX's number, or nil for strings and types that are not known here.
    package static func dtype(_ number: Int) -> DType? { dtypes[number] }

    /// ONNX's number of an element type.
    package static func number(of dtype: DType) -> Int? { numbers[dtype] }

    private static let numbers = Dictionary(uniqueKeysWithValues: dtypes.map { ($1, $0) })

    // `TensorProto.DataType` of onnx-ml.proto.
    private static let dtypes: [Int: DType] = [
        1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 9: .bool, 10: .f16, 11: .f64, 12: .u32, 13: .u64,
        14: .c64, 15: DType(rawValue: "C128"), 16: .bf16, 17: .f8E4M3, 18: DType(rawValue: "F8_E4M3FNUZ"),
        19: .f8E5M2, 20: DType(rawValue: "F8_E5M2FNUZ"), 21: DType(rawValue: "U4"), 22: DType(rawValue: "I4"),
        23: DType(rawValue: "F4"), 24: DType(rawValue: "F8_E8M0"), 25: DType(rawValue: "U2"),
        26: DType(rawValue: "I2"), 27: DType(rawValue: "F6_E2M3"), 28: DType(rawValue: "F6_E3M2"),
    ]
}

extension ONNXTensor {
    /// Reads the tensor that occupies `range`.
    ///
    /// - Parameters:
    ///   - header: the message without its values.
    ///   - name: as the model's tensors are to show it.
    ///   - value: what nodes call it.
    ///   - isInitializer: whether it is one of its graph's.
    ///   - enclosure: index of the tensor's own message.
    /// - Throws: ``ModelFileError`` for sizes that make no shape, `external_data` that says nothing.
    init(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ header: ONNXTensorProto, name: String,
        value: (scope: Int, name: String)?, isInitializer: Bool, enclosure: Int, path: String
    ) throws(ModelFileError) {
        self.name = name
        self.value = value
        self.isInitializer = isInitializer
        self.enclosure = enclosure
        type = Int(header.dataType)
        let shape = header.dims.map { Int($0) }
        // The widest elements have 16 bytes.
        guard let count = elementCount(shape), !count.multipliedReportingOverflow(by: 16).overflow else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "sizes that make a shape",
                found: "[\(header.dims.prefix(16).map(String.init).joined(separator: ", "))]")
        }
        self.shape = shape

        var fields = ProtobufFields(bytes, range, path: path)
        var raw: Range<Int>?
        var isSegment = false
        // Neighboring fields of one kind make one range: unpacked values have a field each.
        var numbers: [Range<Int>] = []
        var runs: [Range<Int>] = []
        let wanted = Self.numberField(type)
        while let field = try fields.next() {
            switch field.number {
            case 9 where field.isDelimited: raw = field.content
            case 3 where field.isDelimited: isSegment = true
            case wanted:
                if numbers.last?.upperBound == field.range.lowerBound, let last = numbers.last {
                    numbers[numbers.count - 1] = last.lowerBound..<field.range.upperBound
                } else {
                    numbers.append(field.range)
                }
                if field.isDelimited, !field.content.isEmpty { runs.append(field.content) }
                if !field.isDelimited { runs.append(0..<0) }
            default: break
            }
            // Only whether there is exactly one run counts.
            if runs.count > 2 { runs.removeLast() }
        }
        numberFields = raw == nil && header.dataLocation != 1 ? numbers : []
        if header.dataLocation == 1 {
            values = try Self.external(header, name: name, path: path)
        } else if isSegment || Self.dtypes[Int(header.dataType)] == nil {
            values = .absent
        } else if let raw {
            values = .run(raw)
        } else if runs.count == 1, [4, 10].contains(wanted), !runs[0].isEmpty {
            values = .run(runs[0])
        } else if !runs.isEmpty {
            values = .numbers(field: wanted, numbers)
        } else {
            values = count == 0 ? .run(range.upperBound..<range.upperBound) : .absent
        }
    }

    /// The field that numbers of a type are in when they are not in `raw_data`.
    private static func numberField(_ type: Int) -> Int {
        switch type {
        case 1, 14: 4
        case 11, 15: 10
        case 7: 7
        case 12, 13: 11
        default: 5
        }
    }

    private static func external(
        _ header: ONNXTensorProto, name: String, path: String
    ) throws(ModelFileError) -> Values {
        var entries: [String: String] = [:]
        for entry in header.externalData { entries[entry.key] = entry.value }
        func number(_ key: String) throws(ModelFileError) -> Int? {
            guard let text = entries[key] else { return nil }
            guard let value = Int(text), value >= 0 else {
                throw .invalidTensor(
                    path: path, tensor: name, expected: "a number as \(key) of its external data", found: quoted(text))
            }
            return value
        }
        guard let location = entries["location"] else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "a location of its external data", found: "none")
        }
        // As for onnx and ONNX Runtime, 0 is no length.
        let length = try number("length")
        return .external(location: location, offset: try number("offset") ?? 0, length: length == 0 ? nil : length)
    }
}
