import ArgumentParser
import Evaluation
import Execution
import ModelGraph

/// Options that say what runs a network, and how pictures become its input.
struct EngineOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What runs the network, or a run mode of it as native/NHWC or native/NCHW/F32. (default: \(ExecutionTargets.all[0].name))",
            valueName: ExecutionTargets.all.map { $0.name }.joined(separator: "|")))
    var engine: String?

    @OptionGroup var libraries: EngineLibraries

    @OptionGroup var pictures: PictureOptions

    func validate() throws {
        do { _ = try mode() } catch { throw ValidationError("--engine: \(error)") }
    }

    /// How it runs layers: those of a packed file out of that, where it can and is not told otherwise.
    ///
    /// - Throws: `ExecutionError.unknownTarget`, `.unknownMode`.
    func mode(weights: RunMode.Weights = .plain) throws(ExecutionError) -> RunMode {
        try RunMode(parsing: engine ?? ExecutionTargets.all[0].name, preferring: weights)
    }

    /// The engine, found on this machine.
    func target() async throws -> any ExecutionTarget { try await libraries.target(try mode().target) }
}

/// Options that say where engines are.
struct EngineLibraries: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "ONNX Runtime's library, or the folder it lies in. (default: what WCODEC_ONNXRUNTIME names, the system's, or that of "
                + "python3's package)", valueName: "path"), completion: .file())
    var onnxruntime: String?

    @Option(
        help: ArgumentHelp(
            "OpenVINO's C library, or its folder. (default: what WCODEC_OPENVINO names, the system's, or that of python3's package)",
            valueName: "path"), completion: .file())
    var openvino: String?

    /// The target of a name, found on this machine.
    ///
    /// - Throws: `ExecutionError.missing`, `.unknownTarget`.
    func target(_ name: String) async throws(ExecutionError) -> any ExecutionTarget {
        let libraries = [ONNXRuntime.name: onnxruntime, OpenVINO.name: openvino]
        return try await ExecutionTargets.named(name).init(library: libraries[name] ?? nil)
    }

    /// The targets that run modes need, found on this machine, by name.
    ///
    /// - Parameter configuration: says which chains of layers the native target runs as one.
    func targets(
        of modes: some Collection<RunMode>, _ configuration: TargetConfiguration? = nil
    ) async throws -> [String: any ExecutionTarget] {
        var targets: [String: any ExecutionTarget] = [:]
        for name in Set(modes.map(\.target)).sorted() { targets[name] = try await target(name) }
        if let fused = configuration?.targets.first(where: { $0.name == NativeTarget.name }),
            var native = targets[fused.name] as? NativeTarget
        {
            native.configuration.targets[0].fusions = fused.fusions
            targets[fused.name] = native
        }
        return targets
    }
}

/// Options that say how pictures become inputs.
struct PictureOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What is taken from the samples of a picture, 0 to 1: one value, or one for each channel. (default: 0)",
            valueName: "m[,m,m]"))
    var mean: String?

    @Option(
        help: ArgumentHelp("What they are divided by then. (default: 1)", valueName: "d[,d,d]"))
    var std: String?

    func validate() throws { _ = try scaling() }

    /// How samples of pictures become floats.
    func scaling() throws -> PictureScaling {
        let deviation = try channelValues(std, "--std", orElse: 1)
        guard !deviation.contains(0) else {
            throw ValidationError("--std: expected other numbers than 0, found '\(std ?? "")'")
        }
        return PictureScaling(mean: try channelValues(mean, "--mean", orElse: 0), deviation: deviation)
    }

    private func channelValues(_ text: String?, _ option: String, orElse value: Double) throws -> [Double] {
        guard let text else { return [value] }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let values = parts.compactMap { Double($0) }.filter(\.isFinite)
        guard values.count == parts.count, [1, 3].contains(values.count) else {
            throw ValidationError("\(option): expected 1 or 3 numbers with commas between, found '\(text)'")
        }
        return values
    }
}
