import CEngineShims
import ModelFiles
import ModelGraph

/// What all sessions share, and what is said to ONNX Runtime and heard from it.
final class ONNXRuntimeEnvironment: @unchecked Sendable {
    // ONNX Runtime's environment, allocator and description of memory may be used by several threads at once.
    let functions: wc_onnxruntime
    let pointer: OpaquePointer
    private let allocator: OpaquePointer
    private let memory: OpaquePointer

    init(_ library: ONNXRuntimeLibrary) throws(ExecutionError) {
        functions = library.functions
        func make(
            _ body: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
        ) throws(ExecutionError) -> OpaquePointer {
            var made: OpaquePointer?
            if let failure = Self.message(body(&made), library.functions) {
                throw .missing(engine: ONNXRuntimeLibrary.title, reason: failure, advice: "another version may do")
            }
            guard let made else {
                throw .missing(engine: ONNXRuntimeLibrary.title, reason: "no answer", advice: "another version may do")
            }
            return made
        }
        let functions = library.functions
        // What goes wrong comes back as a status: nothing need be logged.
        pointer = try make { functions.CreateEnv(Int32(wc_onnxruntime_log_fatal), "wcodec", $0) }
        allocator = try make { functions.GetAllocatorWithDefaultOptions($0) }
        memory = try make {
            functions.CreateCpuMemoryInfo(
                Int32(wc_onnxruntime_device_allocator), Int32(wc_onnxruntime_memory_default), $0)
        }
    }

    deinit {
        functions.ReleaseMemoryInfo(memory)
        functions.ReleaseEnv(pointer)
    }

    /// What a status says; `nil` when all is well.
    func message(_ status: OpaquePointer?) -> String? { Self.message(status, functions) }

    private static func message(_ status: OpaquePointer?, _ functions: wc_onnxruntime) -> String? {
        guard let status else { return nil }
        defer { functions.ReleaseStatus(status) }
        return String(cString: functions.GetErrorMessage(status))
    }

    /// A tensor over bytes that must outlive it, or what is wrong; to be released.
    func tensor(
        _ value: TensorValue, over bytes: UnsafeMutableRawBufferPointer
    ) throws(ONNXRuntimeFailure) -> OpaquePointer {
        guard let number = Self.number(of: value.type) else {
            throw ONNXRuntimeFailure("tensors of type \(value.type) are not taken")
        }
        var made: OpaquePointer?
        let shape = value.shape.map(Int64.init)
        try check(
            functions.CreateTensorWithDataAsOrtValue(
                memory, bytes.baseAddress, bytes.count, shape, shape.count, Int32(number), &made))
        guard let made else { throw ONNXRuntimeFailure("no tensor was made") }
        return made
    }

    /// A copy of a tensor that a run gave.
    func value(of tensor: OpaquePointer, named name: String) throws(ONNXRuntimeFailure) -> TensorValue {
        var isTensor: Int32 = 0
        try check(functions.IsTensor(tensor, &isTensor))
        guard isTensor != 0 else { throw ONNXRuntimeFailure("output \(name): expected a tensor, found another value") }
        var info: OpaquePointer?
        try check(functions.GetTensorTypeAndShape(tensor, &info))
        guard let info else { throw ONNXRuntimeFailure("output \(name): no type") }
        defer { functions.ReleaseTensorTypeAndShapeInfo(info) }
        let (type, dimensions) = try description(of: info)
        let shape = dimensions.compactMap(\.size)
        guard let type, let count = TensorValue.byteCount(type, shape) else {
            throw ONNXRuntimeFailure("output \(name): expected numbers of whole bytes, found another type")
        }
        var data: UnsafeMutableRawPointer?
        try check(functions.GetTensorMutableData(tensor, &data))
        let bytes = [UInt8](UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : count))
        guard let value = TensorValue(type: type, shape: shape, bytes: bytes) else {
            throw ONNXRuntimeFailure("output \(name): expected \(count) bytes, found none")
        }
        return value
    }

    /// What a session says of its inputs or outputs.
    func ports(
        count: (UnsafeMutablePointer<Int>) -> OpaquePointer?,
        name: (Int, OpaquePointer, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> OpaquePointer?,
        type: (Int, UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
    ) throws(ONNXRuntimeFailure) -> [NetworkPort] {
        var total = 0
        try check(count(&total))
        var ports: [NetworkPort] = []
        for index in 0..<total {
            var text: UnsafeMutablePointer<CChar>?
            try check(name(index, allocator, &text))
            let label = text.map { String(cString: $0) } ?? ""
            try check(functions.AllocatorFree(allocator, text))
            var info: OpaquePointer?
            try check(type(index, &info))
            guard let info else { throw ONNXRuntimeFailure("\(label): no type") }
            defer { functions.ReleaseTypeInfo(info) }
            var tensor: OpaquePointer?
            try check(functions.CastTypeInfoToTensorInfo(info, &tensor))
            let (element, shape) =
                try tensor.map { (tensor) throws(ONNXRuntimeFailure) in try description(of: tensor) }
                ?? (nil, nil)
            ports.append(NetworkPort(name: label, type: element, shape: shape))
        }
        return ports
    }

    private func description(of info: OpaquePointer) throws(ONNXRuntimeFailure) -> (DType?, [Dimension]) {
        var number: Int32 = 0
        try check(functions.GetTensorElementType(info, &number))
        var rank = 0
        try check(functions.GetDimensionsCount(info, &rank))
        var sizes = [Int64](repeating: 0, count: rank)
        try check(functions.GetDimensions(info, &sizes, rank))
        var names = [UnsafePointer<CChar>?](repeating: nil, count: rank)
        try check(functions.GetSymbolicDimensions(info, &names, rank))
        let shape = zip(sizes, names).map { size, name -> Dimension in
            if size >= 0 { return .size(Int(size)) }
            let symbol = name.map { String(cString: $0) } ?? ""
            return symbol.isEmpty ? .unknown : .symbol(symbol)
        }
        return (ONNXTensor.dtype(Int(number)), shape)
    }

    func check(_ status: OpaquePointer?) throws(ONNXRuntimeFailure) {
        if let text = message(status) { throw ONNXRuntimeFailure(text) }
    }

    /// ONNX Runtime numbers types as ONNX does, of which it takes those of whole bytes.
    private static func number(of type: DType) -> Int? { ONNXTensor.number(of: type).flatMap { $0 > 20 ? nil : $0 } }
}

/// What ONNX Runtime says went wrong.
struct ONNXRuntimeFailure: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}
