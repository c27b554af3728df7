import Execution
import ModelGraph
import WeightArchive

/// Finds the fastest run mode of each layer of a network by running it.
///
/// Source: claims 1 to 4 of CN113743598B. All layers in one mode are tried too, and one of those is chosen unless a combination is
/// faster beyond the noise.
public struct RunModeTuner: Sendable {
    /// What is tried, and how long.
    public struct Options: Sendable {
        /// Which layers are tried, of those that there are and so many modes; as many first layers as make at most
        /// ``mostDefaultCombinations`` when left out.
        public var selection: (@Sendable ([TunableLayer]) -> LayerSelection)?
        /// The mode of layers that are not tried; the fastest single mode when left out.
        public var designated: RunMode?
        /// Largest relative L2 error of outputs.
        public var tolerance = 1e-3
        /// Timed passes of what may be chosen.
        public var passes = 25

        public init() {}
    }

    /// Combinations that are tried when nobody says how many.
    static let mostDefaultCombinations = 64
    /// Combinations that may be asked for.
    public static let mostCombinations = 4096
    /// Passes that a combination gets until the best are known.
    private static let screeningPasses = 3
    /// Combinations that are timed again, all in turns.
    private static let finalists = 4

    private let path: String
    private let network: Network
    private let modes: [RunMode]
    private let means: RunPlan.Means
    private let first: TestData
    private let second: TestData
    private let options: Options

    /// - Parameters:
    ///   - path: an ONNX model.
    ///   - network: the same, its shapes inferred.
    ///   - modes: to try, the one whose outputs are trusted first.
    ///   - means: has their targets.
    ///   - data: samples; the first and the second set of test data follow each other there, from the beginning again where they end.
    ///   - samples: of each set.
    ///   - batch: samples in one run where the network leaves that open.
    /// - Throws: `DataError`.
    public init(
        _ path: String, _ network: Network, modes: [RunMode], by means: RunPlan.Means, on data: DataSet, samples: Int,
        batch: Int, _ options: Options
    ) throws {
        (self.path, self.network, self.modes, self.means, self.options) = (path, network, modes, means, options)
        let ports = network.graph.inputs.map { NetworkPort($0, of: network.graph) }
        let width = data.joins ? max(data.fixedBatch(for: ports) ?? batch, 1) : 1
        func set(from start: Int) throws -> TestData {
            let chosen = try (start..<start + samples).map { try data.sample($0 % data.count) }
            return TestData(
                inputs: try stride(from: 0, to: samples, by: width).map {
                    try data.joined(chosen[$0..<min($0 + width, samples)], width)
                })
        }
        first = try set(from: 0)
        second = try set(from: samples)
    }

    /// Tries and chooses.
    ///
    /// - Parameter progress: receives the number of trials done.
    /// - Throws: `ExecutionError` when no mode runs the network; `DataError.option` for more combinations than may be asked for;
    ///   `ArchiveError.cancelled`.
    public func run(progress: ProgressHandler = { _ in }) async throws -> TuningResult {
        let (singles, expected, reference) = try timeSingles(progress)
        let valid = singles.filter { $0.refusal == nil }
        guard let best = valid.min(by: { $0.seconds < $1.seconds }) else { throw Self.noMode(path) }
        let designated = options.designated ?? best.modes[0]
        let layers = try network.tunableLayers()
        let known = valid.flatMap(\.modes)
        let selection = options.selection?(layers) ?? LayerSelection(layers, first: Self.defaultCount(known.count))
        let (alone, fixed) = try timeAlone(selection.alone, known, reference: reference)
        let count = Self.combinations(known.count, selection.together.count)
        guard count <= Self.mostCombinations else {
            throw DataError.option(
                "--first or --second", expected: "at most \(Self.mostCombinations) combinations",
                found: "\(selection.together.count) layers of \(known.count) modes each")
        }
        func plan(_ chosen: [RunMode]) -> [RunMode] {
            var modes = [RunMode](repeating: designated, count: network.graph.layers.count)
            for (layer, mode) in fixed { for place in layer.layers { modes[place] = mode } }
            for (layer, mode) in zip(selection.together, chosen) { for place in layer.layers { modes[place] = mode } }
            return modes
        }
        var trials = try screen(
            Self.choices(known, selection.together.count).map { ($0, plan($0)) }, expected, limit: 3 * best.seconds,
            progress)
        let choice = try choose(between: best, and: &trials, plan)
        return TuningResult(
            reference: reference, singles: singles, alone: alone, together: selection.together,
            combinations: trials.sorted { $0.seconds < $1.seconds }, designated: designated, bestSingle: best,
            winner: choice.winner, gain: choice.gain, gainNoise: choice.noise, modes: choice.modes)
    }

    /// What is chosen, how much faster than the best single mode it is, how far that may be off, and the mode of every layer.
    private typealias Choice = (winner: TuningResult.Trial, gain: Double, noise: Double, modes: [RunMode])

    /// The fastest of the best combinations where it is faster than the best single mode beyond the noise, else that.
    ///
    /// - Parameters:
    ///   - trials: combinations, of which the best are timed again.
    ///   - plan: the mode of every layer, of a combination's modes.
    private func choose(
        between best: TuningResult.Trial, and trials: inout [TuningResult.Trial], _ plan: ([RunMode]) -> [RunMode]
    ) throws -> Choice {
        let plans = trials.map { plan($0.modes) }
        let finalists = trials.indices.filter { trials[$0].refusal == nil && Set(plans[$0]).count > 1 }
            .sorted { trials[$0].seconds < trials[$1].seconds }.prefix(Self.finalists)
        let single = [RunMode](repeating: best.modes[0], count: network.graph.layers.count)
        let timings = try timeInTurns([single] + finalists.map { plans[$0] }, passes: options.passes)
        for (place, timing) in zip(finalists, timings.dropFirst()) { trials[place].timing = RunTiming(timing) }
        let alone = TuningResult.Trial(modes: best.modes, timing: RunTiming(timings[0]), error: best.error)
        guard let fastest = finalists.min(by: { trials[$0].seconds < trials[$1].seconds }) else {
            return (alone, 0, 0, single)
        }
        // In turns again, with nothing else between: the difference of neighbors is free of what drifts.
        let pair = try timeInTurns([single, plans[fastest]], passes: 2 * options.passes)
        let differences = zip(pair[0], pair[1]).map { $0 - $1 }
        let difference = RunTiming(differences)
        let base = RunTiming(pair[0]).median
        guard RunTiming.isFaster(differences) else { return (alone, 0, difference.noise / base, single) }
        let trial = trials[fastest]
        return (
            TuningResult.Trial(modes: trial.modes, timing: RunTiming(pair[1]), error: trial.error),
            difference.median / base, difference.noise / base, plans[fastest]
        )
    }

    /// All layers in each mode.
    ///
    /// - Returns: the trials, the outputs of the reference, and which mode that is.
    private func timeSingles(
        _ progress: ProgressHandler
    ) throws -> ([TuningResult.Trial], [[String: TensorValue]], RunMode) {
        var tried = try tryEach(modes, on: first) { mode throws(ExecutionError) in
            try RunPlan.all(mode).load(path, by: means)
        } done: {
            progress(Progress(done: $0, total: modes.count))
        }
        guard let reference = tried.reference else { throw Self.noMode(path, tried.trials.first?.refusal) }
        // Those that are many times slower get few passes: they cannot win.
        var timings = [[Double]](repeating: [], count: tried.loaded.count)
        for pass in 0..<options.passes {
            for place in tried.loaded.indices.shuffled() {
                let best = timings.compactMap(\.first).min() ?? .infinity
                if pass >= Self.screeningPasses, let first = timings[place].min(), first > 3 * best { continue }
                guard !Task.isCancelled else { throw ArchiveError.cancelled }
                timings[place].append(try first.pass(tried.loaded[place].network).seconds)
            }
        }
        tried.take(timings)
        return (tried.trials, reference.outputs, reference.mode)
    }

    /// Modes that were tried on the same data: those that ran are ready to run again.
    private struct Tried {
        var trials: [TuningResult.Trial] = []
        var loaded: [(place: Int, network: any LoadedNetwork)] = []
        /// The first mode that ran, against whose outputs those of the others are held.
        var reference: (outputs: [[String: TensorValue]], mode: RunMode)?

        /// Notes the seconds of each that ran.
        mutating func take(_ timings: [[Double]]) {
            for (timing, (place, _)) in zip(timings, loaded) { trials[place].timing = RunTiming(timing) }
        }
    }

    /// Runs something once in each mode.
    private func tryEach(
        _ modes: [RunMode], on data: TestData, load: (RunMode) throws(ExecutionError) -> any LoadedNetwork,
        done: (Int) -> Void = { _ in }
    ) throws -> Tried {
        var tried = Tried()
        for mode in modes {
            guard !Task.isCancelled else { throw ArchiveError.cancelled }
            var trial = TuningResult.Trial(modes: [mode])
            do throws(ExecutionError) {
                let network = try load(mode)
                let outputs = try data.pass(network).outputs
                let reference = tried.reference ?? (outputs, mode)
                tried.reference = reference
                judge(&trial, outputs, reference.outputs)
                tried.loaded.append((tried.trials.count, network))
            } catch {
                trial.refusal = error.reason
            }
            tried.trials.append(trial)
            done(tried.trials.count)
        }
        return tried
    }

    /// Each third layer alone, on what the second set of data brings to it, in every mode.
    ///
    /// - Returns: the trials, and the fastest mode of each layer.
    private func timeAlone(
        _ layers: [TunableLayer], _ modes: [RunMode], reference: RunMode
    ) throws -> ([(TunableLayer, [TuningResult.Trial])], [(TunableLayer, RunMode)]) {
        var results: [(TunableLayer, [TuningResult.Trial])] = []
        var fastest: [(TunableLayer, RunMode)] = []
        for layer in layers {
            let inputs = try inputs(of: layer, by: reference)
            let outputs = network.graph.layers[layer.layers[layer.layers.count - 1]].outputs.filter { !$0.isEmpty }
            var tried = try tryEach([reference] + modes.filter { $0 != reference }, on: inputs) {
                mode throws(ExecutionError) in
                try means.load(path, network, layers: layer.layers, outputs: outputs, mode: mode)
            }
            tried.take(try timeInTurns(tried.loaded.map(\.network), on: inputs, passes: options.passes))
            let trials = tried.trials.sorted { $0.seconds < $1.seconds }
            if let mode = trials.first(where: { $0.refusal == nil })?.modes.first { fastest.append((layer, mode)) }
            results.append((layer, trials))
        }
        return (results, fastest)
    }

    /// What a layer takes when the network runs on the second set of data.
    private func inputs(of layer: TunableLayer, by mode: RunMode) throws -> TestData {
        let graph = network.graph
        let weights = Set(graph.weights.map(\.value))
        let own = Set(layer.layers.flatMap { graph.layers[$0].outputs })
        let taken = Set(layer.layers.flatMap { graph.layers[$0].reads }).subtracting(own).subtracting(weights)
        let computed = taken.subtracting(graph.inputs)
        var results = second.inputs
        if !computed.isEmpty {
            let givers = graph.layers.givers
            var needed: Set<Int> = []
            var open = computed.compactMap { givers[$0] }
            while let place = open.popLast() {
                if needed.insert(place).inserted { open += graph.layers[place].reads.compactMap { givers[$0] } }
            }
            let before = try means.load(
                path, network, layers: needed.sorted(), outputs: computed.sorted(), mode: mode)
            let names = Set(before.inputs.map(\.name))
            for place in results.indices {
                let values = try before.run(results[place].filter { names.contains($0.key) })
                results[place].merge(values) { $1 }
            }
        }
        return TestData(inputs: results.map { $0.filter { taken.contains($0.key) } })
    }

    /// Every combination, shortly, in any order; one far slower than the best single mode is left after its first pass.
    private func screen(
        _ combinations: [(choice: [RunMode], plan: [RunMode])], _ expected: [[String: TensorValue]], limit: Double,
        _ progress: ProgressHandler
    ) throws -> [TuningResult.Trial] {
        var trials = combinations.map { TuningResult.Trial(modes: $0.choice) }
        for (done, place) in combinations.indices.shuffled().enumerated() {
            guard !Task.isCancelled else { throw ArchiveError.cancelled }
            progress(Progress(done: done, total: combinations.count))
            do throws(ExecutionError) {
                let network = try RunPlan.each(network, combinations[place].plan).load(path, by: means)
                var (seconds, outputs) = try first.pass(network)
                judge(&trials[place], outputs, expected)
                var passes = [seconds]
                // The first pass is slower, as it warms up what the others find warm.
                if seconds < 2 * limit {
                    passes = []
                    for _ in 0..<Self.screeningPasses {
                        seconds = try first.pass(network).seconds
                        passes.append(seconds)
                        if seconds > limit { break }
                    }
                }
                trials[place].timing = RunTiming(passes)
            } catch {
                trials[place].refusal = error.reason
            }
        }
        return trials
    }

    /// Seconds of passes over the first set of data, of plans that are all ready, in turns.
    private func timeInTurns(_ plans: [[RunMode]], passes: Int) throws -> [[Double]] {
        try timeInTurns(plans.map { try RunPlan.each(network, $0).load(path, by: means) }, on: first, passes: passes)
    }

    private func timeInTurns(
        _ networks: [any LoadedNetwork], on data: TestData, passes: Int
    ) throws -> [[Double]] {
        for network in networks { _ = try data.pass(network) }
        var timings = [[Double]](repeating: [], count: networks.count)
        for _ in 0..<passes {
            for place in networks.indices.shuffled() {
                guard !Task.isCancelled else { throw ArchiveError.cancelled }
                timings[place].append(try data.pass(networks[place]).seconds)
            }
        }
        return timings
    }

    private func judge(
        _ trial: inout TuningResult.Trial, _ outputs: [[String: TensorValue]], _ expected: [[String: TensorValue]]
    ) {
        let error = TestData.error(outputs, against: expected)
        trial.error = error
        if !(error <= options.tolerance) { trial.refusal = "outputs differ by more than the tolerance" }
    }

    private static func noMode(_ path: String, _ reason: String? = nil) -> ExecutionError {
        .model(path: path, engine: "tuning it", reason: reason ?? "expected a mode that runs it, found none")
    }

    /// As many layers as make at most ``mostDefaultCombinations``, at least one.
    static func defaultCount(_ modes: Int) -> Int {
        var count = 1
        while modes > 1, combinations(modes, count + 1) <= mostDefaultCombinations { count += 1 }
        return count
    }

    /// The number of combinations, at most one more than may be asked for.
    private static func combinations(_ modes: Int, _ layers: Int) -> Int {
        var count = 1
        for _ in 0..<layers where count <= mostCombinations { count *= modes }
        return min(count, mostCombinations + 1)
    }

    /// Every way of giving so many layers a mode each.
    static func choices(_ modes: [RunMode], _ layers: Int) -> [[RunMode]] {
        (0..<layers).reduce([[]]) { choices, _ in choices.flatMap { choice in modes.map { choice + [$0] } } }
    }
}

extension TuningResult.Trial {
    init(modes: [RunMode], timing: RunTiming? = nil, error: Double? = nil) {
        self.init(modes: modes, timing: timing, error: error, refusal: nil)
    }

    /// Its time, infinite when it does not count.
    var seconds: Double { refusal == nil ? timing?.median ?? .infinity : .infinity }
}

extension ExecutionError {
    /// What it says, without the model's path.
    fileprivate var reason: String {
        switch self {
        case .model(_, let engine, let reason), .run(_, let engine, let reason): "\(engine): \(reason)"
        default: description
        }
    }
}
