import CEngineShims
import ModelGraph
import Synchronization

/// A network that OpenVINO compiled.
final class OpenVINONetwork: LoadedNetwork, @unchecked Sendable {
    // A compiled model may be used by several threads at once, a request by one: each run has a request to itself.
    let inputs: [NetworkPort]
    let outputs: [NetworkPort]
    let loadTime: Duration
    private let path: String
    private let core: OpenVINOCore
    private let compiled: OpaquePointer
    /// Names of the inputs that OpenVINO left in the network, in its order; it drops those that nothing depends on.
    private let taken: [String]
    private let idle = Mutex<[Request]>([])

    /// A request, which memory is kept with.
    private final class Request: @unchecked Sendable {
        let pointer: OpaquePointer
        private let core: OpenVINOCore

        init(_ pointer: OpaquePointer, _ core: OpenVINOCore) {
            self.pointer = pointer
            self.core = core
        }

        deinit { core.functions.ov_infer_request_free(pointer) }
    }

    init(
        _ path: String, threads: Int, _ core: OpenVINOCore, since start: ContinuousClock.Instant
    ) throws(OpenVINOFailure) {
        let functions = core.functions
        let model = try core.made { functions.ov_core_read_model(core.pointer, path, nil, $0) }
        defer { functions.ov_model_free(model) }
        let compiled = try core.made { result in
            withUnsafePointer(to: functions) { wc_openvino_compile($0, core.pointer, model, "\(threads)", result) }
        }
        func ports(
            _ count: (OpaquePointer, UnsafeMutablePointer<Int>) -> Int32,
            _ port: (OpaquePointer, Int, UnsafeMutablePointer<OpaquePointer?>) -> Int32
        ) throws(OpenVINOFailure) -> [NetworkPort] {
            var total = 0
            try core.check(count(compiled, &total))
            var ports: [NetworkPort] = []
            for index in 0..<total {
                let handle = try core.made { port(compiled, index, $0) }
                defer { functions.ov_output_const_port_free(handle) }
                ports.append(try core.port(handle))
            }
            return ports
        }
        do throws(OpenVINOFailure) {
            let graph = (try? Network.open(path, kinds: { _, _ in nil }))?.graph
            let left = try ports(functions.ov_compiled_model_inputs_size, functions.ov_compiled_model_input_by_index)
                .named(graph?.inputs)
            taken = left.map(\.name)
            inputs = (graph?.inputs ?? taken).compactMap { name in
                left.first { $0.name == name } ?? graph.map { NetworkPort(name, of: $0) }
            }
            outputs = try ports(functions.ov_compiled_model_outputs_size, functions.ov_compiled_model_output_by_index)
                .named(graph?.outputs)
        } catch {
            functions.ov_compiled_model_free(compiled)
            throw error
        }
        self.path = path
        self.core = core
        self.compiled = compiled
        loadTime = .now - start
    }

    deinit {
        idle.withLock { $0 = [] }
        core.functions.ov_compiled_model_free(compiled)
    }

    func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue] {
        try check(values, model: path)
        do throws(OpenVINOFailure) {
            var request = idle.withLock { $0.popLast() }
            if request == nil {
                request = Request(
                    try core.made { core.functions.ov_compiled_model_create_infer_request(compiled, $0) }, core)
            }
            guard let request else { return [:] }
            let results = try run(values, request.pointer)
            idle.withLock { $0.append(request) }
            return results
        } catch {
            throw .run(path: path, engine: OpenVINO.title, reason: error.reason)
        }
    }

    private func run(
        _ values: [String: TensorValue], _ request: OpaquePointer
    ) throws(OpenVINOFailure) -> [String: TensorValue] {
        let functions = core.functions
        for (index, name) in taken.enumerated() {
            guard let value = values[name] else { continue }
            let tensor = try core.tensor(value)
            defer { functions.ov_tensor_free(tensor) }
            try core.check(functions.ov_infer_request_set_input_tensor_by_index(request, index, tensor))
        }
        try core.check(functions.ov_infer_request_infer(request))
        var results: [String: TensorValue] = [:]
        for (index, port) in outputs.enumerated() {
            let tensor = try core.made { functions.ov_infer_request_get_output_tensor_by_index(request, index, $0) }
            defer { functions.ov_tensor_free(tensor) }
            results[port.name] = try core.value(of: tensor, named: port.name)
        }
        return results
    }
}

extension [NetworkPort] {
    /// The ports by the names that the model gives them, in whose order they are: OpenVINO may call a value by another of its names.
    fileprivate func named(_ names: [String]?) -> [NetworkPort] {
        guard let names, names.count == count else { return self }
        return zip(self, names).map { NetworkPort(name: $1, type: $0.type, shape: $0.shape) }
    }
}
