import ModelFiles
import ModelGraph

extension Tensor {
    /// A tensor of the bytes that a file or a caller has of it.
    ///
    /// - Throws: `KernelFailure` for a type that is not computed with.
    init(_ type: DType, _ shape: [Int], _ bytes: UnsafeRawBufferPointer) throws(KernelFailure) {
        let count = try checkedCount(shape)
        guard Tensor.types.contains(type), let bits = type.bitWidth, bytes.count == count * (bits / 8) else {
            throw KernelFailure(expected: "elements of \(Tensor.types.map(\.rawValue).sorted())", found: "\(type)")
        }
        func integers<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type) -> Elements {
            .integers(
                (0..<count).map {
                    let place = $0 * MemoryLayout<Number>.size
                    return Int64(bytes.loadUnaligned(fromByteOffset: place, as: Number.self))
                })
        }
        self.type = type
        self.shape = shape
        switch type {
        case .f32:
            elements = .floats(
                [Float](unsafeUninitializedCapacity: count) { target, done in
                    UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
                    done = count
                })
        case .i64: elements = integers(Int64.self)
        case .i32: elements = integers(Int32.self)
        case .i16: elements = integers(Int16.self)
        case .i8: elements = integers(Int8.self)
        case .u32: elements = integers(UInt32.self)
        case .u16: elements = integers(UInt16.self)
        default: elements = integers(UInt8.self)
        }
    }

    /// A tensor that the graph itself holds the elements of; `nil` when it does not.
    init?(known value: Value) {
        guard let type = value.type, Tensor.types.contains(type), let shape = value.sizes else { return nil }
        let count = elementCount(shape)
        if let reals = value.reals, type == .f32, reals.count == count {
            self.init(reals.map { Float($0) }, shape)
        } else if let integers = value.integers?.compactMap(\.size), type != .f32, integers.count == count {
            self.init(integers.map { Int64($0) }, shape, type)
        } else {
            return nil
        }
    }

    /// The elements as a caller gets them.
    func value() throws(KernelFailure) -> TensorValue {
        func bytes<Number: FixedWidthInteger>(_ integers: [Int64], _: Number.Type) -> [UInt8] {
            integers.map { Number(truncatingIfNeeded: $0) }.withUnsafeBytes { Array($0) }
        }
        let all: [UInt8] =
            switch rowMajor().elements {
            case .floats(let floats): floats.withUnsafeBytes { Array($0) }
            case .integers(let integers):
                switch type.bitWidth {
                case 64: bytes(integers, Int64.self)
                case 32: bytes(integers, Int32.self)
                case 16: bytes(integers, Int16.self)
                default: bytes(integers, Int8.self)
                }
            }
        guard let value = TensorValue(type: type, shape: shape, bytes: all) else {
            throw KernelFailure(expected: "elements of \(text(shape))", found: "\(all.count) bytes")
        }
        return value
    }
}
