import Evaluation
import Execution
import ModelGraph

/// What was tried to tune a network, and what was chosen, as JSON and as text.
struct TuningDocument: Encodable {
    struct Trial: Encodable {
        let modes: [String]
        /// The modes as people are shown them.
        fileprivate let shortModes: String
        /// Milliseconds of a pass over the samples: the median, and its standard error.
        let milliseconds, noise: Double?
        let passes: Int
        /// Relative L2 error of the outputs.
        let outputError: Double?
        /// Why it does not count.
        let refusal: String?

        private enum CodingKeys: CodingKey { case modes, milliseconds, noise, passes, outputError, refusal }
    }

    struct Layer: Encodable {
        let layer, kind: String
        let inputChannels, kernels: Int?
        let trials: [Trial]?

        fileprivate var sizes: String {
            "\(inputChannels.map(String.init) ?? "?") to \(kernels.map(String.init) ?? "?") channels"
        }
    }

    let threads: Int
    /// The mode whose outputs are the reference.
    let reference: String
    let singles: [Trial]
    let thirdLayers: [Layer]
    let firstLayers: [Layer]
    let combinations: [Trial]
    let designated: String
    let bestSingle, choice: Trial
    /// How much less time the choice takes than the best single mode, in percent; the standard error.
    let gainPercent, gainNoisePercent: Double
    /// Networks that the choice is run as.
    let segments: Int
    let layers: Int
    /// Targets that this machine does not have.
    let missing: [String]
    let output: String?

    init(_ result: TuningResult, _ network: Network, missing: [String], threads: Int, output: String?) {
        self.threads = threads
        reference = result.reference.description
        singles = result.singles.map(Trial.init)
        thirdLayers = result.alone.map { Layer($0.layer, $0.trials) }
        firstLayers = result.together.map { Layer($0, nil) }
        combinations = result.combinations.map(Trial.init)
        designated = result.designated.description
        bestSingle = Trial(result.bestSingle)
        choice = Trial(result.winner)
        gainPercent = 100 * result.gain
        gainNoisePercent = 100 * result.gainNoise
        segments = Partition(network.graph, modes: result.modes).segments.count
        layers = network.graph.layers.count
        self.missing = missing
        self.output = output
    }

    /// Combinations that people are shown.
    private static let mostShown = 10

    func lines(width: Int?) -> [String] {
        var lines = table("all layers in one mode", singles, width: width) + missing
        for layer in thirdLayers {
            lines += ["", "\(layer.layer), \(layer.kind) of \(layer.sizes), alone:"]
            lines += table("mode", layer.trials ?? [], width: width)
        }
        if !firstLayers.isEmpty {
            let title =
                "\(count(combinations.count, "combination")) of modes of \(count(firstLayers.count, "first layer"))"
            lines += ["", "\(title), the others \(designated):"]
            lines += firstLayers.enumerated().map { "  \($0 + 1): \($1.layer), \($1.kind) of \($1.sizes)" }
            lines += table("modes", Array(combinations.prefix(Self.mostShown)), width: width)
            if combinations.count > Self.mostShown {
                lines.append("(\(combinations.count - Self.mostShown) slower ones are in --json)")
            }
        }
        let noise = "\(fixed(gainNoisePercent, 1)) %"
        lines.append("")
        if segments > 1 {
            lines.append(
                "chosen: \(choice.shortModes) in \(segments) segments, \(fixed(gainPercent, 1)) % faster than "
                    + "\(bestSingle.modes[0]) (standard error \(noise))")
        } else {
            lines.append(
                "chosen: \(bestSingle.modes[0]) for all layers; no combination is faster beyond the noise (\(noise))")
        }
        lines.append("medians of passes over the samples, \(count(threads, "thread")); noise is their standard error")
        if let output {
            lines.append("\(output) holds the network and the mode of each of its \(count(layers, "layer"))")
        }
        return lines
    }

    private func table(_ title: String, _ trials: [Trial], width: Int?) -> [String] {
        var table = TextTable([
            .init(title, alignsRight: false), .init("ms"), .init("noise", priority: 1), .init("passes", priority: 3),
            .init("output error", priority: 2), .init("note", priority: 4, alignsRight: false),
        ])
        for trial in trials {
            let isReference = trial.modes == [reference] && trial.outputError == 0
            table.add([
                trial.shortModes, trial.milliseconds.map { significant($0, 4) } ?? "-",
                trial.noise.map { significant($0, 2) } ?? "-", trial.passes > 0 ? "\(trial.passes)" : "-",
                isReference ? "reference" : trial.outputError.map { significant($0, 2) } ?? "-", trial.refusal ?? "",
            ])
        }
        return table.lines(width: width)
    }
}

extension TuningDocument.Trial {
    init(_ trial: TuningResult.Trial) {
        modes = trial.modes.map(\.description)
        shortModes = trial.modes.map(\.shortText).joined(separator: ", ")
        milliseconds = trial.timing.map { $0.median * 1e3 }
        noise = trial.timing.map { $0.noise * 1e3 }
        passes = trial.timing?.passes ?? 0
        outputError = trial.error.flatMap { $0.isFinite ? $0 : nil }
        refusal = trial.refusal
    }
}

extension TuningDocument.Layer {
    init(_ layer: TunableLayer, _ trials: [TuningResult.Trial]?) {
        self.layer = layer.identifier
        kind = layer.kind
        inputChannels = layer.inputChannels
        kernels = layer.kernels
        self.trials = trials?.map(TuningDocument.Trial.init)
    }
}
