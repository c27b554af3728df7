import ModelGraph

/// Which layers of a network the native target fuses, and how it computes each.
struct NativeChoices: Sendable {
    let configuration: TargetConfiguration
    private let mode: RunMode

    /// - Parameter mode: of the target; it decides where the configuration says no type or layout.
    /// - Throws: `ExecutionError.unknownMode` for what the target does not have.
    init(_ configuration: TargetConfiguration, _ mode: RunMode) throws(ExecutionError) {
        guard NativeTarget.modes.contains(mode) else {
            throw .unknownMode(mode.description, known: NativeTarget.modes)
        }
        try configuration.checkModes()
        self.configuration = configuration
        self.mode = mode
    }

    /// How the layers of a subgraph operator are computed.
    func mode(of subgraph: SubgraphOperator) -> LayerMode {
        LayerMode(
            order: (subgraph.layout ?? mode.layout) == "NHWC" ? .channelsLast : .rowMajor,
            usesIntegers: (subgraph.type ?? mode.type) == "I8")
    }
}

extension TargetConfiguration {
    /// Refuses types and layouts that targets do not compute in.
    ///
    /// - Throws: `ExecutionError.unknownMode`, which names them and those that there are.
    public func checkModes() throws(ExecutionError) {
        for target in targets {
            guard let known = ExecutionTargets.all.first(where: { $0.name == target.name })?.modes else { continue }
            let isKnown = known.contains { mode in
                [nil, mode.layout].contains(target.layout) && [nil, mode.type].contains(target.type)
            }
            guard isKnown else {
                let parts = [target.name, target.layout ?? "any layout", target.type ?? "any type"]
                throw .unknownMode(parts.joined(separator: "/"), known: known)
            }
        }
    }
}
