import CEngineShims
import ModelFiles
import ModelGraph

/// What all networks share, and what is said to OpenVINO and heard from it.
final class OpenVINOCore: @unchecked Sendable {
    // OpenVINO's core may be used by several threads at once.
    let functions: wc_openvino
    let pointer: OpaquePointer

    init(_ functions: wc_openvino) throws(OpenVINOFailure) {
        self.functions = functions
        var made: OpaquePointer?
        guard functions.ov_core_create(&made) == 0, let made else { throw OpenVINOFailure("no core was made") }
        pointer = made
    }

    deinit { functions.ov_core_free(pointer) }

    func check(_ status: Int32) throws(OpenVINOFailure) {
        guard status != 0 else { return }
        let text = functions.ov_get_last_err_msg().map { String(cString: $0) } ?? ""
        throw OpenVINOFailure(
            text.isEmpty ? "status \(status)" : text.split(whereSeparator: \.isNewline).joined(separator: " "))
    }

    /// An object that a call makes.
    func made(
        _ body: (UnsafeMutablePointer<OpaquePointer?>) -> Int32
    ) throws(OpenVINOFailure) -> OpaquePointer {
        var result: OpaquePointer?
        try check(body(&result))
        guard let result else { throw OpenVINOFailure("nothing was made") }
        return result
    }

    /// What a compiled model says of an input or output.
    func port(_ handle: OpaquePointer) throws(OpenVINOFailure) -> NetworkPort {
        var text: UnsafeMutablePointer<CChar>?
        try check(functions.ov_port_get_any_name(handle, &text))
        let name = text.map { String(cString: $0) } ?? ""
        functions.ov_free(text)
        var number: UInt32 = 0
        try check(functions.ov_port_get_element_type(handle, &number))
        var partial = ov_partial_shape_t()
        try check(functions.ov_port_get_partial_shape(handle, &partial))
        defer { functions.ov_partial_shape_free(&partial) }
        var shape: [Dimension]?
        if partial.rank.min == partial.rank.max {
            shape = (0..<Int(partial.rank.max)).map { index in
                guard let size = partial.dims?[index], size.min == size.max else { return .unknown }
                return .size(Int(size.max))
            }
        }
        return NetworkPort(name: name, type: Self.types[number], shape: shape)
    }

    /// A tensor with a copy of a value; to be released.
    func tensor(_ value: TensorValue) throws(OpenVINOFailure) -> OpaquePointer {
        guard let number = Self.types.first(where: { $0.value == value.type })?.key else {
            throw OpenVINOFailure("tensors of type \(value.type) are not taken")
        }
        var sizes = value.shape.map(Int64.init)
        let rank = Int64(sizes.count)
        let tensor = try sizes.withUnsafeMutableBufferPointer { (sizes) throws(OpenVINOFailure) in
            try made { functions.ov_tensor_create(number, ov_shape_t(rank: rank, dims: sizes.baseAddress), $0) }
        }
        var data: UnsafeMutableRawPointer?
        guard functions.ov_tensor_data(tensor, &data) == 0, data != nil || value.bytes.isEmpty else {
            functions.ov_tensor_free(tensor)
            throw OpenVINOFailure("a tensor without memory")
        }
        UnsafeMutableRawBufferPointer(start: data, count: value.bytes.count).copyBytes(from: value.bytes)
        return tensor
    }

    /// A copy of a tensor that a run gave.
    func value(of tensor: OpaquePointer, named name: String) throws(OpenVINOFailure) -> TensorValue {
        var number: UInt32 = 0
        try check(functions.ov_tensor_get_element_type(tensor, &number))
        var count = 0
        try check(functions.ov_tensor_get_byte_size(tensor, &count))
        var sizes = ov_shape_t()
        let status = functions.ov_tensor_get_shape(tensor, &sizes)
        // The C library makes no shape without dimensions, which a scalar has.
        let isScalar = status == Self.invalidParameter && (Self.types[number]?.bitWidth).map { $0 == 8 * count } == true
        if !isScalar { try check(status) }
        defer { if !isScalar { _ = functions.ov_shape_free(&sizes) } }
        let shape = UnsafeBufferPointer(start: sizes.dims, count: sizes.dims == nil ? 0 : Int(sizes.rank)).map {
            Int($0)
        }
        var data: UnsafeMutableRawPointer?
        try check(functions.ov_tensor_data(tensor, &data))
        let bytes = [UInt8](UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : count))
        guard let type = Self.types[number], let value = TensorValue(type: type, shape: shape, bytes: bytes) else {
            throw OpenVINOFailure("output \(name): expected numbers of whole bytes, found another type")
        }
        return value
    }

    /// `INVALID_C_PARAM` of ov_common.h.
    private static let invalidParameter: Int32 = -14

    /// `ov_element_type_e` of ov_common.h, since 2025.
    static let types: [UInt32: DType] = [
        1: .bool, 2: .bf16, 3: .f16, 4: .f32, 5: .f64, 7: .i8, 8: .i16, 9: .i32, 10: .i64, 16: .u8, 17: .u16, 18: .u32,
        19: .u64,
    ]
}

/// What OpenVINO says went wrong.
struct OpenVINOFailure: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}
