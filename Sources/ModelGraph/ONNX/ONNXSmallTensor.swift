import ModelFiles

/// Reads the elements of tensors that are small enough to compute shapes with.
struct ONNXSmallTensor {
    let bytes: UnsafeRawBufferPointer
    let path: String

    /// What a tensor is, with its elements when they are few and lie in the model's own file.
    func value(of tensor: ONNXTensor) throws(ModelFileError) -> Value {
        var value = Value(
            type: tensor.dtype ?? (tensor.isText ? .string : nil), shape: tensor.shape.map { .size($0) })
        guard let type = value.type, tensor.count <= Value.mostFollowed else { return value }
        switch tensor.values {
        case .run(let range):
            if type.isInteger {
                value.integers = integers(type, range, count: tensor.count)
            } else if type.isFloat {
                value.reals = reals(type, range, count: tensor.count)
            }
        case .numbers(let field, let ranges):
            if type.isInteger {
                value.integers = try numbers(type, ranges, count: tensor.count)
            } else if field == 4 {
                value.reals = try floats(ranges, count: tensor.count)
            }
        case .external, .absent: break
        }
        return value
    }

    private func integers(_ type: DType, _ range: Range<Int>, count: Int) -> [Dimension]? {
        guard let bits = type.bitWidth, bits % 8 == 0, range.count == count * bits / 8 else { return nil }
        func all<T: FixedWidthInteger>(_: T.Type) -> [Dimension]? {
            (0..<count).map { index in
                let offset = range.lowerBound + index * MemoryLayout<T>.size
                let number = T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
                return Int(exactly: number).map { .size($0) } ?? .unknown
            }
        }
        return switch type {
        case .i64: all(Int64.self)
        case .i32: all(Int32.self)
        case .i16: all(Int16.self)
        case .i8: all(Int8.self)
        case .u64: all(UInt64.self)
        case .u32: all(UInt32.self)
        case .u16: all(UInt16.self)
        case .u8, .bool: all(UInt8.self)
        default: nil
        }
    }

    private func reals(_ type: DType, _ range: Range<Int>, count: Int) -> [Double]? {
        guard let bits = type.bitWidth, range.count == count * bits / 8 else { return nil }
        func all<T: FixedWidthInteger>(_: T.Type, _ number: (T) -> Double) -> [Double] {
            (0..<count).map { index in
                let offset = range.lowerBound + index * MemoryLayout<T>.size
                return number(T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self)))
            }
        }
        return switch type {
        case .f64: all(UInt64.self) { Double(bitPattern: $0) }
        case .f32: all(UInt32.self) { Double(Float(bitPattern: $0)) }
        case .f16: all(UInt16.self) { Double(Float16(bitPattern: $0)) }
        case .bf16: all(UInt16.self) { Double(Float(bitPattern: UInt32($0) << 16)) }
        default: nil
        }
    }

    /// Numbers of seven bits a byte; negative ones are sign-extended to 64 bits.
    private func numbers(
        _ type: DType, _ ranges: [Range<Int>], count: Int
    ) throws(ModelFileError) -> [Dimension]? {
        var numbers: [Dimension] = []
        for range in ranges {
            try forEachNumber(bytes, range, path: path) { (number, _) throws(ModelFileError) in
                guard numbers.count <= count else { return }
                numbers.append(type == .u64 && number > Int64.max ? .unknown : .size(Int(truncatingIfNeeded: number)))
            }
        }
        return numbers.count == count ? numbers : nil
    }

    private func floats(_ ranges: [Range<Int>], count: Int) throws(ModelFileError) -> [Double]? {
        var numbers: [Double] = []
        for range in ranges {
            var fields = ProtobufFields(bytes, range, path: path)
            while let field = try fields.next() {
                for offset in stride(from: field.content.lowerBound, through: field.content.upperBound - 4, by: 4)
                where numbers.count <= count {
                    let bits = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                    numbers.append(Double(Float(bitPattern: bits)))
                }
            }
        }
        return numbers.count == count ? numbers : nil
    }
}
