import Glibc
import ModelFiles
import WeightMapper

/// Chooses the steps of all layers so that a goal is met, and measures whether it was.
///
/// At the least total error for the bits, one bit more would lower the error of every layer by the same amount. For a quantizer
/// whose error falls with the square of its step that is so where all steps are equal, but for the weight that a layer's errors have:
/// one number decides all.
struct RateControl {
    /// Step of each layer, by tensor.
    private(set) var steps: [Int: Float] = [:]
    private let goal: Goal?
    private let samples: [LayerSample]
    /// What a layer's squared errors are multiplied by.
    private let factors: [Double]
    private let threads: Int
    /// Bits per weight that each layer is to have, without a goal.
    private let bits: [Int]
    /// The step of a layer whose errors count once.
    private var step = 1.0
    /// Bytes of the packed file that are no layer's, once they are known.
    private var fixedBytes: Int
    private var attempts = 0
    /// The steps, as powers of two, of the files that came nearest from either side, and what they left more than the margin.
    private var nearest: (missing: (power: Double, excess: Double)?, meeting: (power: Double, excess: Double)?)

    /// Files after which one that meets the goal will do though it wastes a little, and much; then no other is tried.
    private static let attempts = (few: 4, many: 6, most: 8)
    /// Weights of the samples by which a step is looked for, and of those by which it is settled.
    private static let sampleSizes = (small: 1 << 16, large: 1 << 18)
    /// Bits per weight with which hardly any weight is not 0.
    private static let leastBits = 0.02

    /// Chooses steps for the layers of a plan; `nil` when they need none.
    ///
    /// - Throws: `ArchiveError.option` for a goal that cannot be met, `.pattern`, and `.layer` for weights that are not finite.
    init?(_ packer: Packer) async throws {
        guard packer.options.choosesSteps else { return nil }
        let jobs = packer.planned.compactMap { unit in
            if case .layer(let job) = unit { job } else { nil }
        }
        goal = packer.options.goal
        threads = max(packer.options.threads, 1)
        bits = jobs.map { packer.tensors[$0.tensor].bits }
        fixedBytes = packer.bytesBesideLayers
        // The bound is the step.
        if case .maximumError = goal { return nil }
        let effort = packer.options.effort
        var found: [LayerSample?] = Array(repeating: nil, count: jobs.count)
        try await runJobs(memory: jobs.map { _ in 0 }, limit: threads, budget: .max) {
            LayerSample(packer, jobs[$0], effort.whileLooking, size: Self.sampleSizes.small)
        } done: {
            found[$0] = $1
        }
        samples = found.compactMap { $0 }
        factors = try Self.factors(packer, samples)
        try await choose(packer)
    }

    /// What each layer's squared errors are multiplied by.
    private static func factors(_ packer: Packer, _ samples: [LayerSample]) throws -> [Double] {
        switch packer.options.measure {
        case .total: return samples.map { _ in 1 }
        case .size: return samples.map { $0.variance > 0 && $0.variance.isFinite ? 1 / $0.variance : 1 }
        case .importance(let entries):
            let names = packer.model.tensors.map(\.name)
            let patterns = try entries.map { (try NamePattern("--importance", $0.pattern, names), $0.factor) }
            return samples.map { sample in
                let tensor = packer.tensors[sample.job.tensor]
                let names = [tensor.record.name] + tensor.aliases
                return patterns.last { names.contains(where: $0.0.matches) }?.1 ?? 1
            }
        }
    }

    private var weightCount: Double { samples.reduce(0) { $0 + Double($1.job.geometry.count) } }

    /// Bits of all layers that the goal allows; `nil` when it is about errors.
    private var allowedBits: Double? {
        switch goal {
        case .bitsPerWeight(let bits): bits * weightCount
        // What the rest of the file takes is a guess until one is packed.
        case .size(let bytes): max(8 * Double(bytes - fixedBytes), Self.leastBits * weightCount)
        default: nil
        }
    }

    /// Chooses the steps by the samples.
    private mutating func choose(_ packer: Packer) async throws {
        guard goal != nil else { return try await chooseByLayer(packer) }
        if case .bitsPerWeight(let bits) = goal, bits < Self.leastBits {
            throw ArchiveError.option(
                "--target-bpw: expected at least \(Self.leastBits) bits per weight, found \(bits)")
        }
        step = firstStep()
        for _ in 0..<8 {
            let octaves = octaves(try await costs(samples.indices.map { step(of: $0) }))
            step *= exp2(octaves)
            if abs(octaves) < 0.01 { break }
        }
        // Coded, they tell the more the nearer the step is.
        for _ in 0..<2 {
            let octaves = octaves(try await costs(samples.indices.map { step(of: $0) }, coded: packer))
            step *= exp2(octaves)
            if abs(octaves) < 0.03 { break }
        }
        setSteps()
    }

    /// Bits per weight, or as many times 6 dB, by which a file may stay on the safe side of its goal.
    private var tolerance: Double {
        switch goal {
        case .bitsPerWeight(let bits): 0.015 * bits
        case .size(let bytes): 0.01 * 8 * Double(bytes) / max(weightCount, 1)
        // 0.03 dB: errors hardly jump where sizes do.
        default: 0.005
        }
    }

    /// What a choice aims at: into the tolerance rather than at its edge.
    private var margin: Double { tolerance / 2 }

    /// How many times the step should be doubled, when layers have these bits and squared errors.
    private func octaves(_ costs: [LayerCost]) -> Double {
        let bits = costs.reduce(0) { $0 + $1.bits }
        let error = costs.reduce(0) { $0 + $1.squaredError }
        if let allowed = allowedBits {
            return Self.octaves((bits - allowed) / weightCount + margin, at: bits / weightCount)
        }
        guard case .signalToNoise(let target) = goal, error > 0 else { return 0 }
        let signal = samples.reduce(0) { $0 + $1.variance * Double($1.job.geometry.count) }
        let rate = 10 * log10(signal / error) / 6.0206
        return Self.octaves(rate - target / 6.0206 - margin, at: rate)
    }

    /// Doublings of the step that take so many bits per weight away, from a rate on.
    ///
    /// Well above a bit each takes one away. Below it takes less: Gaussian weights have log2(1 + (c / step)^2) / 2 bits.
    private static func octaves(_ bits: Double, at rate: Double) -> Double {
        max(min(bits / max(1 - exp2(-2 * rate), 0.1), 4), -4)
    }

    /// A step to begin with: what Gaussian weights would need.
    private func firstStep() -> Double {
        let deviations = samples.indices.map { (samples[$0].variance * factors[$0]).squareRoot() }
        let largest = deviations.max() ?? 0
        guard largest > 0, largest.isFinite else { return 1 }
        if case .signalToNoise(let decibel) = goal { return largest * 2 * pow(10, -decibel / 20) }
        let allowed = allowedBits ?? 0
        var (low, high) = (log2(largest) - 24, log2(largest) + 8)
        for _ in 0..<40 {
            let middle = (low + high) / 2
            let bits = zip(samples, deviations).reduce(0.0) { sum, layer in
                let ratio = 2.07 * layer.1 / exp2(middle)
                return sum + 0.5 * log2(1 + ratio * ratio) * Double(layer.0.job.geometry.count)
            }
            if bits > allowed { low = middle } else { high = middle }
        }
        return exp2(high)
    }

    private func step(of sample: Int) -> Float {
        let step = Float(step / factors[sample].squareRoot())
        return step.isFinite ? max(step, .leastNormalMagnitude) : .greatestFiniteMagnitude
    }

    private mutating func setSteps() {
        for (index, sample) in samples.enumerated() { steps[sample.job.tensor] = step(of: index) }
    }

    /// What each layer costs and gives with a step: reckoned by the small samples, or by large ones that a packer codes.
    private func costs(_ steps: [Float], coded packer: Packer? = nil) async throws -> [LayerCost] {
        let samples = samples
        var costs: [LayerCost] = samples.map { _ in (0, 0) }
        try await runJobs(memory: steps.map { _ in 0 }, limit: threads, budget: .max) { index in
            do {
                guard let packer else { return try samples[index].cost(step: steps[index], isCoded: false) }
                return try LayerSample(
                    packer, samples[index].job, packer.options.effort, size: Self.sampleSizes.large
                ).cost(step: steps[index], isCoded: true)
            } catch let error as MapperError {
                throw samples[index].failure(error)
            }
        } done: {
            costs[$0] = $1
        }
        return costs
    }

    /// Without a goal each layer gets the step that gives it its own bits per weight.
    private mutating func chooseByLayer(_ packer: Packer) async throws {
        var steps = zip(samples, bits).map { Float(($0.variance.squareRoot() * 2.07) * exp2(-Double($1))) }
        steps = steps.map { $0.isFinite && $0 > 0 ? $0 : 1 }
        for round in 0..<6 {
            // Reckoned at first, at the end coded: where that tells something else altogether, a step is no matter of one try.
            let isCoded = round == 5
            let most = isCoded ? 0.25 : 4
            for (index, cost) in try await costs(steps, coded: isCoded ? packer : nil).enumerated() {
                let excess = cost.bits / Double(samples[index].job.geometry.count) - Double(bits[index])
                let next = steps[index] * Float(exp2(max(min(excess, most), -most)))
                steps[index] = next.isFinite && next > 0 ? next : steps[index]
            }
        }
        for (index, sample) in samples.enumerated() { self.steps[sample.job.tensor] = steps[index] }
    }
}

// MARK: - After packing

extension RateControl {
    /// Whether a packed file misses the goal; then the steps are others, with which it is to be packed anew.
    ///
    /// - Throws: `ArchiveError.option` when the goal is not met after several files.
    mutating func misses(_ manifest: Manifest, size: Int) throws -> Bool {
        let packed = manifest.tensors.compactMap(\.packed)
        let weights = manifest.tensors.reduce(0) { $0 + ($1.packed == nil ? 0 : elementCount($1.shape) ?? 0) }
        let layerBytes = packed.reduce(0) { $0 + $1.bytes } + (manifest.parameters?.stored ?? 0)
        guard weights > 0 else { return false }
        // Bits per weight, or as many times 6 dB; what is below 0 must not be, what is above wastes.
        let spare: Double
        var rate = 8 * Double(layerBytes) / Double(weights)
        // The goal and what came of it, as a message says them.
        let words: (goal: String, found: String)
        switch goal {
        case .bitsPerWeight(let bits):
            spare = bits - rate
            words = ("--target-bpw: expected at most \(bits) bits per weight", "\(rounded(rate))")
        case .size(let bytes):
            fixedBytes = size - layerBytes
            spare = 8 * Double(bytes - size) / Double(weights)
            words = ("--target-size: expected at most \(bytes) bytes", "\(size)")
        case .signalToNoise(let decibel):
            let found = ArchiveSummary(manifest, packedBytes: size).signalToNoise
            rate = found / 6.0206
            spare = rate - decibel / 6.0206
            words = ("--min-snr: expected at least \(decibel) dB", "\(rounded(found))")
        case .maximumError, nil: return false
        }
        attempts += 1
        let isError = if case .signalToNoise = goal { true } else { false }
        let few = isError ? Self.attempts.many : Self.attempts.few
        let waste = attempts < few ? 1.0 : attempts < Self.attempts.many ? 4 : .infinity
        if spare >= 0, spare < waste * tolerance { return false }
        let isHopeless = !isError && spare < 0 && 8 * Double(layerBytes) < 2 * Self.leastBits * Double(weights)
        guard attempts < Self.attempts.most, !isHopeless else {
            throw ArchiveError.option("\(words.goal), found \(words.found), at try \(attempts)")
        }
        aim(after: spare, octaves: Self.octaves((isError ? 1 : -1) * (spare - margin), at: rate))
        return true
    }

    /// Chooses the steps of the next file.
    ///
    /// - Parameters:
    ///   - spare: what the last file left of its goal, below 0 where it missed that.
    ///   - octaves: what the step should be doubled by as far as that file tells.
    private mutating func aim(after spare: Double, octaves: Double) {
        let point = (power: log2(step), excess: spare - margin)
        if spare >= 0 { nearest.meeting = point } else { nearest.missing = point }
        if let missing = nearest.missing, let meeting = nearest.meeting {
            // Where planes or classes change, sizes jump: in the end it is the one that is known to meet the goal.
            let share = missing.excess / (missing.excess - meeting.excess)
            let part = attempts + 1 < Self.attempts.many ? min(max(share, 0.15), 0.85) : 1
            step = exp2(missing.power + part * (meeting.power - missing.power))
        } else {
            step *= exp2(max(min(octaves, 2), -2))
        }
        setSteps()
    }
}

extension Packer {
    /// Whether every channel of a layer keeps some of its weights: a goal of less than 1.5 bits, or 9 dB, leaves no bits
    /// for that.
    var keepsChannels: Bool {
        switch options.goal {
        case .bitsPerWeight(let bits): bits >= 1.5
        case .size(let bytes):
            16 * (bytes - bytesBesideLayers) >= 3 * tensors.reduce(0) { $0 + ($1.kept == nil ? $1.record.count : 0) }
        case .signalToNoise(let decibel): decibel >= 9
        case .maximumError, nil: true
        }
    }

    /// Bytes of the packed file that are no layer's: what is kept exactly and the rest of the model's files.
    var bytesBesideLayers: Int {
        let layers = tensors.reduce(0) { $0 + ($1.kept == nil ? $1.record.extent.length : 0) }
        return model.files.reduce(0) { $0 + $1.file.size } - layers + 1024 + 120 * tensors.count
    }
}
