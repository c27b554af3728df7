import ModelFiles
import WeightMapper

/// What one model of a series changed of the precisions of a layer.
public struct SeriesAdjustment: Sendable {
    /// Name of the model in its series; its path where it is alone.
    public let model: String
    /// The layer's name in the model; `nil` where one precision is for all layers.
    public let layer: String?
    /// Precisions of the layer: one, or one for each channel or block.
    public let groups: Int
    /// Precisions that went up, and those that went down.
    public let raised: Int
    public let lowered: Int
    /// Each change; of blocks of inputs, which are many, only the first.
    public let changes: [Adjustment]

    init(model: String, layer: String?, groups: Int, _ all: [Adjustment], _ scope: PrecisionScope?) {
        self.model = model
        self.layer = layer
        self.groups = groups
        raised = all.count { if case .up = $0.reason { true } else { false } }
        lowered = all.count { if case .down = $0.reason { true } else { false } }
        if case .block = scope { changes = Array(all.prefix(1)) } else { changes = all }
    }
}

/// Precisions that follow the layers of a series of models, checkpoint by checkpoint, and adjust themselves.
struct PrecisionSeries: Sendable {
    /// The precisions of each tensor, as they are when its model has been observed.
    private(set) var precisions: [Int: GivenPrecisions] = [:]
    /// What changed, by model and layer.
    private(set) var adjustments: [SeriesAdjustment] = []
    private let choice: FixedPointChoice

    /// The same layer in one model after the other.
    private struct Layer: Sendable {
        let name: String
        let bits: Int
        /// Index of the model and of the tensor.
        var tensors: [(model: Int, tensor: Int)] = []
    }

    /// Observes the models; `nil` where each layer has its own precision, and is the only one of its series.
    ///
    /// - Throws: `ArchiveError.layer` for weights that are not finite, `.cancelled`.
    init?(_ packer: Packer) async throws {
        guard case .fixedPoint(let choice) = packer.options.quantizer,
            choice.scope == nil || !packer.model.members.isEmpty
        else { return nil }
        self.choice = choice
        let layers = Self.layers(of: packer)
        try await choice.scope == nil ? observeTogether(layers, packer) : observeEach(layers, packer)
    }

    /// The layers of all models, in the order of the first one's tensors.
    private static func layers(of packer: Packer) -> [Layer] {
        /// What the precisions of a layer are for: the same weights in as many bits.
        struct Key: Hashable {
            let name: String
            let shape: [Int]
            let bits: Int
        }
        var layers: [Layer] = []
        var indices: [Key: Int] = [:]
        for (index, tensor) in packer.tensors.enumerated() where tensor.kept == nil {
            let (model, name) = packer.model.member(of: tensor.record) ?? (0, tensor.record.name)
            let key = Key(name: name, shape: tensor.record.shape, bits: tensor.bits)
            let place = indices[key] ?? layers.count
            if place == layers.count {
                indices[key] = place
                layers.append(Layer(name: name, bits: tensor.bits))
            }
            layers[place].tensors.append((model, index))
        }
        return layers
    }

    /// Follows every layer for itself.
    private mutating func observeEach(_ layers: [Layer], _ packer: Packer) async throws {
        typealias Result = [(tensor: Int, precisions: GivenPrecisions, adjustment: SeriesAdjustment?)]
        let choice = choice
        var results: [Result] = Array(repeating: [], count: layers.count)
        try await runJobs(
            memory: layers.map { _ in 0 }, limit: max(packer.options.threads, 1), budget: .max
        ) { job in
            let layer = layers[job]
            var adjuster = try packer.reporting(layer.tensors[0].tensor) { () throws(MapperError) in
                try choice.adjuster(bits: layer.bits)
            }
            var found: Result = []
            for (model, index) in layer.tensors {
                let (changes, steps, precisions) = try packer.reporting(index) { () throws(MapperError) in
                    let changes = try adjuster.observe([packer.observation(index, layer.name, choice)])
                    let steps = adjuster.steps(.weight, layer: layer.name) ?? []
                    return (changes, steps, try packer.precisions(index, steps, choice))
                }
                let adjustment = SeriesAdjustment(
                    model: packer.modelName(model), layer: layer.name, groups: steps.count, changes, choice.scope)
                found.append((index, precisions, changes.isEmpty ? nil : adjustment))
            }
            return found
        } done: {
            results[$0] = $1
        }
        for result in results.joined() {
            precisions[result.tensor] = result.precisions
            if let adjustment = result.adjustment { adjustments.append(adjustment) }
        }
    }

    /// Follows all layers of each model together.
    private mutating func observeTogether(_ layers: [Layer], _ packer: Packer) async throws {
        let tensors = layers.flatMap { layer in layer.tensors.map { (layer, $0.model, $0.tensor) } }
        let choice = choice
        var data: [OperationData?] = Array(repeating: nil, count: tensors.count)
        try await runJobs(
            memory: tensors.map { _ in 0 }, limit: max(packer.options.threads, 1), budget: .max
        ) { job in
            let (layer, _, index) = tensors[job]
            return try packer.reporting(index) { () throws(MapperError) in
                try packer.observation(index, layer.name, choice)
            }
        } done: {
            data[$0] = $1
        }
        // Layers of other bits have another precision.
        for bits in Set(layers.map(\.bits)).sorted() {
            var adjuster = try choice.adjuster(bits: bits)
            for model in 0..<max(packer.model.members.count, 1) {
                let members = tensors.indices.filter { tensors[$0].0.bits == bits && tensors[$0].1 == model }
                let changes = try adjuster.observe(members.compactMap { data[$0] })
                let steps = adjuster.steps(.weight, layer: "") ?? [0]
                for member in members {
                    let index = tensors[member].2
                    precisions[index] = try packer.reporting(index) { () throws(MapperError) in
                        try packer.precisions(index, steps, choice)
                    }
                }
                guard !changes.isEmpty else { continue }
                adjustments.append(
                    SeriesAdjustment(model: packer.modelName(model), layer: nil, groups: 1, changes, choice.scope))
            }
        }
    }
}

/// Gives the same layer of all models the bits that the most demanding of them needs, since bits that differ would keep precisions
/// apart; not where bits were asked for.
func shareBits(_ tensors: inout [SelectedTensor], _ model: ModelFile, _ options: PackOptions) {
    guard options.bits == nil, options.bitsByName.isEmpty, !model.members.isEmpty else { return }
    var most: [String: Int] = [:]
    for tensor in tensors {
        guard let name = model.member(of: tensor.record)?.tensorName else { continue }
        most[name] = max(most[name] ?? 0, tensor.bits)
    }
    for i in tensors.indices where tensors[i].kept == nil {
        guard let name = model.member(of: tensors[i].record)?.tensorName else { continue }
        tensors[i].bits = most[name] ?? tensors[i].bits
    }
}

extension FixedPointChoice {
    fileprivate func adjuster(bits: Int) throws(MapperError) -> PrecisionAdjuster {
        try PrecisionAdjuster(kind, bits: bits, strategy: strategy, granularity: granularity, categories: [.weight])
    }
}

extension Packer {
    fileprivate func modelName(_ index: Int) -> String {
        model.members.isEmpty ? model.path : model.members[index].name
    }

    /// Runs `body`, whose error is the tensor's.
    fileprivate func reporting<Result>(
        _ tensor: Int, _ body: () throws(MapperError) -> Result
    ) throws(ArchiveError) -> Result {
        do throws(MapperError) {
            return try body()
        } catch {
            throw layerError(tensors[tensor].record, model, options, error)
        }
    }

    /// Measures a tensor's weights.
    fileprivate func observation(
        _ index: Int, _ layer: String, _ choice: FixedPointChoice
    ) throws(MapperError) -> OperationData {
        let tensor = tensors[index].record
        guard let geometry = tensors[index].geometry else { return OperationData(.weight, layer: layer, groups: []) }
        let groups = PrecisionGroups(geometry, choice.scope ?? .layer)
        defer { model.files[tensor.extent.file].file.release(tensor.extent.range) }
        return tensor.dtype == .f64
            ? try OperationData(
                .weight, layer: layer, measuring: TensorWeights<Double>(model, tensor), groups: groups,
                distribution: choice.strategy.needsDistribution)
            : try OperationData(
                .weight, layer: layer, measuring: TensorWeights<Float>(model, tensor), groups: groups,
                distribution: choice.strategy.needsDistribution)
    }

    /// A tensor's precisions as they are stored.
    fileprivate func precisions(
        _ index: Int, _ steps: [Double], _ choice: FixedPointChoice
    ) throws(MapperError) -> GivenPrecisions {
        guard let geometry = tensors[index].geometry else { return GivenPrecisions(encoding: "", bytes: []) }
        let quantizer = try FixedPointQuantizer(
            choice.kind, bits: tensors[index].bits, scope: choice.scope ?? .layer, steps: steps)
        let codebook = try quantizer.codebook(geometry)
        return GivenPrecisions(encoding: codebook.encoding, bytes: codebook.serialized)
    }
}
