import Codecs
import ModelFiles
import WeightMapper

/// Why a tensor is kept exactly as it is.
public enum KeepReason: String, Sendable, Codable {
    /// Not float64, float32, float16 or bfloat16.
    case type
    /// Numbers in blocks that share scales (GGUF's Q4_K and its like): quantized already.
    case quantized
    /// Fewer than 1,024 elements; where every bit comes back, fewer than 4,096.
    case small
    /// One dimension only, whatever the rank: biases, normalization.
    case vector
    /// Moments and averages of an optimizer: no weights, and a rounded one spoils training.
    case optimizer
    /// Matched by `--exclude`.
    case excluded
    /// NaN, infinities or numbers too large to be quantized inside, with `--nonfinite exact`.
    case nonfinite
    /// A view with gaps, or one that overlaps another tensor: its bytes are not its own.
    case view
    /// A part of an object whose class is not known, as of a quantized or sparse tensor: what its numbers mean is not known.
    case part
}

/// Bytes of a model file that one tensor, or several under different names (tied weights), call theirs.
struct SelectedTensor: Sendable {
    /// The first name's record.
    var record: TensorRecord
    /// Further names of the same bytes.
    var aliases: [String]
    /// `nil` when the tensor is packed.
    var kept: KeepReason?
    /// Kind, geometry and bits; only of packed tensors.
    var geometry: LayerGeometry?
    var bits: Int
}

/// Elements below which a tensor costs more to describe than packing saves.
let smallestPacked = 1024
/// Elements below which a tensor that is to come back bit for bit costs more as planes than among the kept ones.
private let smallestExact = 4096

/// Decides for each tensor of a model whether it is packed, as what and with how many bits.
///
/// - Throws: `ArchiveError.pattern` for a malformed pattern or one that matches no tensor, `.layer` when a kind and a shape
///   do not fit.
func select(_ model: ModelFile, _ options: PackOptions) throws(ArchiveError) -> [SelectedTensor] {
    let names = model.tensors.map(\.name)
    let include = try options.include.map { pattern throws(ArchiveError) in try NamePattern("--include", pattern, names)
    }
    let exclude = try options.exclude.map { pattern throws(ArchiveError) in try NamePattern("--exclude", pattern, names)
    }
    let bits = try options.bitsByName.map { entry throws(ArchiveError) in
        (try NamePattern("--bits", entry.pattern, names), entry.bits)
    }
    let kinds = try options.kindsByName.map { entry throws(ArchiveError) in
        (try NamePattern("--kind", entry.pattern, names), entry.kind)
    }
    let shapes = Dictionary(model.tensors.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    let classifier = LayerClassifier(shapes: shapes)

    // What changes little from one model to the next takes less as a difference, however small it is.
    let isAlone = options.base == nil && model.members.isEmpty
    let smallest = options.quantizer == .exact && isAlone ? smallestExact : smallestPacked
    let groups = sharedExtents(model.tensors)
    var storages = packedStorages(
        of: model, options, holding: groups.flatMap(\.records),
        without: { name in exclude.contains { $0.matches(name) } })
    var selected: [SelectedTensor] = []
    var whole: TensorRecord?
    for group in groups {
        let record = group.records[0]
        while let next = storages.last,
            (next.extent.file, next.extent.offset) <= (record.extent.file, record.extent.offset)
        {
            storages.removeLast()
            selected.append(try selectedStorage(next, classifier))
            whole = next
        }
        let isInStorage =
            whole.map { $0.extent.file == record.extent.file && $0.extent.range.contains(record.extent.offset) }
            ?? false
        let names = group.records.map(\.name)
        func matches(_ pattern: NamePattern) -> Bool { names.contains(where: pattern.matches) }
        var tensor = SelectedTensor(
            record: record, aliases: Array(names.dropFirst()), kept: nil, geometry: nil, bits: 0)
        tensor.kept =
            if group.isOverlapped || isInStorage && record.count > 0 {
                // Whatever its type: bytes that are stored apart belong to one tensor.
                .view
            } else if record.dtype.isBlockQuantized {
                .quantized
            } else if options.quantizer == .exact ? !record.dtype.isExactlyPackable : !record.dtype.isPackableFloat {
                .type
            } else if record.count == 0 {
                .small
            } else if record.memoryOrder == nil {
                .view
            } else if exclude.contains(where: matches) {
                .excluded
            } else if include.contains(where: matches) {
                nil
            } else if options.quantizer != .exact, isOptimizerState(record.name) {
                .optimizer
            } else if options.quantizer != .exact, group.records.contains(where: { $0.kindHint == "part" }) {
                .part
            } else if options.quantizer == .exact ? record.count < smallestExact : true, isVector(record),
                model.format != .raw || model.tensors.count > 1
            {
                .vector
            } else if record.count < smallest {
                .small
            } else {
                nil
            }
        if tensor.kept == nil {
            let told = record.kindHint.flatMap(LayerKind.init)
            let convention = record.conventionHint.flatMap(LayoutConvention.init)
            let guess = classifier.classify(record.name, record.shape)
            let kind = kinds.last { matches($0.0) }?.1 ?? told ?? guess.kind
            do throws(MapperError) {
                tensor.geometry = try LayerGeometry(
                    kind: kind, shape: record.shape, convention: convention ?? guess.convention,
                    memoryOrder: record.memoryOrder)
            } catch {
                throw .layer(tensor: record.name, reason: error.description)
            }
            tensor.bits =
                options.quantizer == .exact
                ? 8 : bits.last { matches($0.0) }?.1 ?? options.bits ?? defaultBits(tensor, model, options)
        }
        selected.append(tensor)
    }
    return selected
}

/// The storages that are packed whole in place of the tensors that are views of them, the last in place first.
///
/// Only bit for bit: numbers between the views may be anything.
private func packedStorages(
    of model: ModelFile, _ options: PackOptions, holding records: [TensorRecord], without isExcluded: (String) -> Bool
) -> [TensorRecord] {
    guard options.quantizer == .exact, !model.storages.isEmpty else { return [] }
    let sorted = model.storages.filter { $0.dtype.isExactlyPackable && $0.count >= smallestExact }
        .sorted { ($0.extent.file, $0.extent.offset) < ($1.extent.file, $1.extent.offset) }
    // Records come in order of place too.
    var excluded: Set<Int> = []
    var index = 0
    for record in records {
        func isBehind(_ storage: Extent) -> Bool {
            (storage.file, storage.range.upperBound) <= (record.extent.file, record.extent.offset)
        }
        while index < sorted.count, isBehind(sorted[index].extent) { index += 1 }
        guard index < sorted.count else { break }
        let storage = sorted[index].extent
        if storage.file == record.extent.file, storage.range.contains(record.extent.offset), isExcluded(record.name) {
            excluded.insert(index)
        }
    }
    return sorted.indices.filter { !excluded.contains($0) }.map { sorted[$0] }.reversed()
}

/// A storage as a layer: a run of numbers, whatever its views are.
private func selectedStorage(
    _ storage: TensorRecord, _ classifier: LayerClassifier
) throws(ArchiveError) -> SelectedTensor {
    do throws(MapperError) {
        let guess = classifier.classify(storage.name, storage.shape)
        let geometry = try LayerGeometry(
            kind: guess.kind, shape: storage.shape, convention: guess.convention, memoryOrder: storage.memoryOrder)
        return SelectedTensor(record: storage, aliases: [], kept: nil, geometry: geometry, bits: 8)
    } catch {
        throw .layer(tensor: storage.name, reason: error.description)
    }
}

/// 8, or more where ranges by channel hold outliers.
private func defaultBits(_ tensor: SelectedTensor, _ model: ModelFile, _ options: PackOptions) -> Int {
    guard let geometry = tensor.geometry, options.separatesChannels, tensor.record.dtype != .f64 else { return 8 }
    // A codec that was asked for keeps its word: no more bits than it can hold.
    let most = options.codec.flatMap { try? CodecRegistry.codec($0) }?.description.bitDepths.upperBound ?? 12
    return bitsThatResolve(
        TensorWeights<Float>(model, tensor.record).channels(1024, of: geometry), atLeast: 8, atMost: min(most, 12))
}

/// Whether a tensor has one dimension, beside such of one element, or is a vector for each direction of a recurrent layer.
private func isVector(_ record: TensorRecord) -> Bool {
    record.shape.count { $0 != 1 } < 2 || record.kindHint == "vector"
}

/// Whether a tensor lies in what checkpoints call their optimizer's state, or is one of its moments.
package func isOptimizerState(_ name: String) -> Bool {
    let parts = name.lowercased().split { $0 == "." || $0 == "/" }
    let moments = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"]
    return parts.dropLast().contains { $0.hasPrefix("optimizer") || $0.hasSuffix("optimizer") || $0 == "optim" }
        || parts.contains { moments.contains(String($0)) }
}

/// Tensors with the same bytes and the same reading of them, in order of place.
private func sharedExtents(_ tensors: [TensorRecord]) -> [(records: [TensorRecord], isOverlapped: Bool)] {
    var groups: [(records: [TensorRecord], isOverlapped: Bool)] = []
    var groupOfReading: [TensorRecord: Int] = [:]
    for tensor in tensors {
        var reading = tensor
        // An embedding and the output layer tied to it are layers of two kinds with the same bytes.
        reading.name = ""
        reading.kindHint = nil
        reading.conventionHint = nil
        if tensor.count > 0, let group = groupOfReading[reading] {
            groups[group].records.append(tensor)
        } else {
            groupOfReading[reading] = groups.count
            groups.append(([tensor], false))
        }
    }
    // In order of place an overlap is with the tensor that reaches farthest so far.
    let order = groups.indices.sorted {
        let (a, b) = (groups[$0].records[0].extent, groups[$1].records[0].extent)
        return (a.file, a.offset, a.length) < (b.file, b.offset, b.length)
    }
    var farthest: Int?
    for i in order where groups[i].records[0].extent.length > 0 {
        let extent = groups[i].records[0].extent
        if let last = farthest, case let other = groups[last].records[0].extent, other.file == extent.file {
            if extent.offset < other.range.upperBound {
                groups[i].isOverlapped = true
                groups[last].isOverlapped = true
            }
            if extent.range.upperBound <= other.range.upperBound { continue }
        }
        farthest = i
    }
    return order.map { groups[$0] }
}

/// A regular expression over tensor names that must match at least one.
struct NamePattern {
    private let regex: Regex<AnyRegexOutput>

    init(_ option: String, _ pattern: String, _ names: [String]) throws(ArchiveError) {
        do {
            regex = try Regex(pattern)
        } catch {
            throw .pattern(
                option: option, pattern: pattern, reason: "expected a regular expression, found a malformed one")
        }
        guard names.contains(where: matches) else {
            throw .pattern(
                option: option, pattern: pattern, reason: "expected to match a tensor, found none of \(names.count)")
        }
    }

    func matches(_ name: String) -> Bool { name.contains(regex) }
}
