import ModelFiles
import ModelGraph

/// Networks run by kernels of this package, matrix products by OpenBLAS.
///
/// It computes the operators of ``operators`` on floats of 32 bits, integers and booleans; each layer's weights are read when it
/// runs.
public struct NativeTarget: LayerwiseTarget {
    public static let name = "native"

    public static let modes = ["NCHW", "NHWC"].flatMap { layout in
        ["F32", "I8"].flatMap { type in
            RunMode.Weights.allCases.map { RunMode(name, layout: layout, type: type, weights: $0) }
        }
    }

    /// The types of ONNX's own operators that it computes, beside calls of functions.
    public static var operators: [String] { (Kernels.all.keys + ["If", "Loop", "Scan"]).sorted() }

    /// Which chains of layers it runs as one, and the types and layouts that it computes them in, where those are not the run mode's.
    public var configuration = TargetConfiguration.builtIn(NativeTarget.name)

    private let blas: BLAS

    /// Finds OpenBLAS: where `library` says, else among the system's libraries.
    public init(library path: String?) async throws(ExecutionError) { blas = try BLAS(path) }

    public var description: String { "native (\(blas.configuration))" }

    public func load(
        _ path: String, weights: [String: TensorValue], mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork {
        _ = try initializers(weights, of: path)
        return try NativeNetwork(
            path, replaced: weights, source: nil, threads: threads, try NativeChoices(configuration, mode), blas)
    }

    public func load(
        _ path: String, source: @escaping WeightSource, mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork {
        try NativeNetwork(
            path, replaced: [:], source: source, threads: threads, try NativeChoices(configuration, mode), blas)
    }
}

/// A network that the native target made ready.
final class NativeNetwork: LoadedNetwork {
    let inputs: [NetworkPort]
    let outputs: [NetworkPort]
    let loadTime: Duration
    private let path: String
    private let plan: GraphPlan
    private let context: RunContext
    private let threads: Int

    init(
        _ path: String, replaced: [String: TensorValue], source: WeightSource?, threads: Int,
        _ choices: NativeChoices, _ blas: BLAS
    ) throws(ExecutionError) {
        let start = ContinuousClock.now
        self.path = path
        self.threads = threads
        let network: Network
        do throws(GraphError) { network = try Network.open(path) { _, _ in nil } } catch {
            throw .model(path: path, engine: NativeTarget.name, reason: error.description)
        }
        do throws(ModelFileError) {
            context = RunContext(
                weights: try NativeWeights(try MappedFile(path), replaced: replaced, source: source), blas: blas,
                operatorSets: network.operatorSets)
        } catch {
            throw .model(path: path, engine: NativeTarget.name, reason: error.description)
        }
        do throws(KernelFailure) { plan = try GraphPlan(network.graph, choices, source: path) } catch {
            throw .model(
                path: path, engine: NativeTarget.name, reason: "expected \(error.expected), found \(error.found)")
        }
        inputs = network.graph.inputs.map { NetworkPort($0, of: network.graph) }
        outputs = network.graph.outputs.map { NetworkPort($0, of: network.graph) }
        loadTime = .now - start
    }

    func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue] {
        try check(values, model: path)
        context.blas.setThreads(threads)
        do throws(LayerFailure) {
            var tensors: [String: Tensor] = [:]
            for (name, value) in values {
                do throws(KernelFailure) {
                    tensors[name] = try value.bytes.span.bytes.withUnsafeBytes { (bytes) throws(KernelFailure) in
                        try Tensor(value.type, value.shape, bytes)
                    }
                } catch { throw LayerFailure(node: "input \(name)", error) }
            }
            var results: [String: TensorValue] = [:]
            for (port, tensor) in zip(outputs, try GraphRun(plan, context, outer: nil).run(tensors)) {
                do throws(KernelFailure) { results[port.name] = try tensor.value() } catch {
                    throw LayerFailure(node: "output \(port.name)", error)
                }
            }
            return results
        } catch {
            throw .run(path: path, engine: NativeTarget.name, reason: error.reason)
        }
    }
}
