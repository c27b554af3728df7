import CEngineShims
import ModelGraph

/// A network in a session of ONNX Runtime.
final class ONNXRuntimeNetwork: LoadedNetwork, @unchecked Sendable {
    // A session may be run by several threads at once; nothing else changes.
    let inputs: [NetworkPort]
    let outputs: [NetworkPort]
    let loadTime: Duration
    private let path: String
    private let environment: ONNXRuntimeEnvironment
    private let session: OpaquePointer
    /// The bytes of weights that were put in the place of the file's, which the session refers to.
    private let weights: WeightMemory

    init(
        _ path: String, weights: [String: TensorValue], mode: RunMode, threads: Int,
        _ environment: ONNXRuntimeEnvironment
    ) throws(ExecutionError) {
        let start = ContinuousClock.now
        self.path = path
        self.environment = environment
        let memory = WeightMemory(environment)
        self.weights = memory
        let functions = environment.functions
        do throws(ONNXRuntimeFailure) {
            var options: OpaquePointer?
            try environment.check(functions.CreateSessionOptions(&options))
            guard let options else { throw ONNXRuntimeFailure("no options were made") }
            defer { functions.ReleaseSessionOptions(options) }
            try environment.check(functions.SetIntraOpNumThreads(options, Int32(threads)))
            try environment.check(functions.SetInterOpNumThreads(options, 1))
            // Threads of an idle session leave the processor to whatever runs next.
            try environment.check(functions.AddSessionConfigEntry(options, "session.force_spinning_stop", "1"))
            let level =
                mode.layout == "blocked" ? wc_onnxruntime_all_optimizations : wc_onnxruntime_extended_optimizations
            try environment.check(functions.SetSessionGraphOptimizationLevel(options, Int32(level)))
            for (name, value) in weights {
                try environment.check(functions.AddInitializer(options, name, try memory.add(value)))
            }
            var session: OpaquePointer?
            try environment.check(functions.CreateSession(environment.pointer, path, options, &session))
            guard let session else { throw ONNXRuntimeFailure("no session was made") }
            self.session = session
            inputs = try environment.ports {
                functions.SessionGetInputCount(session, $0)
            } name: {
                functions.SessionGetInputName(session, $0, $1, $2)
            } type: {
                functions.SessionGetInputTypeInfo(session, $0, $1)
            }
            outputs = try environment.ports {
                functions.SessionGetOutputCount(session, $0)
            } name: {
                functions.SessionGetOutputName(session, $0, $1, $2)
            } type: {
                functions.SessionGetOutputTypeInfo(session, $0, $1)
            }
        } catch {
            throw .model(path: path, engine: ONNXRuntimeLibrary.title, reason: error.reason)
        }
        loadTime = .now - start
    }

    deinit { environment.functions.ReleaseSession(session) }

    func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue] {
        try check(values, model: path)
        let given = inputs.compactMap { values[$0.name] }
        do throws(ONNXRuntimeFailure) {
            return try withTensors(of: given[...], []) { (tensors) throws(ONNXRuntimeFailure) in try run(on: tensors) }
        } catch {
            throw .run(path: path, engine: ONNXRuntimeLibrary.title, reason: error.reason)
        }
    }

    /// Makes a tensor over the bytes of each value, which stay in place meanwhile.
    private func withTensors(
        of values: ArraySlice<TensorValue>, _ tensors: [OpaquePointer?],
        _ body: ([OpaquePointer?]) throws(ONNXRuntimeFailure) -> [String: TensorValue]
    ) throws(ONNXRuntimeFailure) -> [String: TensorValue] {
        guard let value = values.first else { return try body(tensors) }
        return try withBytes(of: value) { (bytes) throws(ONNXRuntimeFailure) in
            let tensor = try environment.tensor(value, over: bytes)
            defer { environment.functions.ReleaseValue(tensor) }
            return try withTensors(of: values.dropFirst(), tensors + [tensor], body)
        }
    }

    private func run(on tensors: [OpaquePointer?]) throws(ONNXRuntimeFailure) -> [String: TensorValue] {
        var results = [OpaquePointer?](repeating: nil, count: outputs.count)
        defer { for result in results { environment.functions.ReleaseValue(result) } }
        let names = CStrings(inputs.map(\.name))
        let outputNames = CStrings(outputs.map(\.name))
        let status = environment.functions.Run(
            session, nil, names.pointers, tensors, tensors.count, outputNames.pointers, outputs.count, &results)
        try withExtendedLifetime((names, outputNames)) { () throws(ONNXRuntimeFailure) in try environment.check(status)
        }
        var values: [String: TensorValue] = [:]
        for (port, result) in zip(outputs, results) {
            guard let result else { throw ONNXRuntimeFailure("output \(port.name): expected a value, found none") }
            values[port.name] = try environment.value(of: result, named: port.name)
        }
        return values
    }
}

/// Calls `body` with the bytes of a value, which ONNX Runtime reads only, though its function takes them as changeable.
private func withBytes<Result>(
    of value: TensorValue, _ body: (UnsafeMutableRawBufferPointer) throws(ONNXRuntimeFailure) -> Result
) throws(ONNXRuntimeFailure) -> Result {
    var result: Swift.Result<Result, ONNXRuntimeFailure>?
    value.bytes.withUnsafeBytes { bytes in
        result = Swift.Result { () throws(ONNXRuntimeFailure) in
            try body(UnsafeMutableRawBufferPointer(mutating: bytes))
        }
    }
    guard let result else { throw ONNXRuntimeFailure("no bytes") }
    return try result.get()
}

/// Values and their bytes, as long as a session needs them.
private final class WeightMemory {
    private let environment: ONNXRuntimeEnvironment
    private var buffers: [UnsafeMutableRawBufferPointer] = []
    private var tensors: [OpaquePointer] = []

    init(_ environment: ONNXRuntimeEnvironment) { self.environment = environment }

    deinit {
        for tensor in tensors { environment.functions.ReleaseValue(tensor) }
        for buffer in buffers { buffer.deallocate() }
    }

    func add(_ value: TensorValue) throws(ONNXRuntimeFailure) -> OpaquePointer {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: value.bytes.count, alignment: 64)
        buffers.append(buffer)
        buffer.copyBytes(from: value.bytes)
        let tensor = try environment.tensor(value, over: buffer)
        tensors.append(tensor)
        return tensor
    }
}

/// Texts as C has them.
private final class CStrings {
    private(set) var pointers: [UnsafePointer<CChar>?] = []

    init(_ texts: [String]) {
        for text in texts {
            let bytes = Array(text.utf8CString)
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
            copy.initialize(from: bytes, count: bytes.count)
            pointers.append(UnsafePointer(copy))
        }
    }

    deinit { for pointer in pointers { pointer?.deallocate() } }
}
