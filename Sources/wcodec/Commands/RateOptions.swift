import ArgumentParser
import Codecs
import FoundationEssentials
import WeightArchive
import WeightMapper

/// What weights become, as `--as` takes it.
enum MediumChoice: String, ExpressibleByArgument, CaseIterable {
    case image, video, audio, auto

    /// `nil` for whatever is smallest.
    var medium: Medium? { Medium(rawValue: rawValue) }
}

/// Options that say how small or how exact the packed file is to be.
struct RateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "uniform: equal intervals. fixed, scaled: k * 2^s or k * f, with k of --bits bits. trellis: the least error for the "
                + "bits, with 4 to 256 states. (default: uniform; trellis with a goal)", valueName: "name[:states=n]"))
    var quantizer: String?

    @Flag(help: "Every bit comes back, of float8 to float64: nothing is rounded.")
    var lossless = false

    @Option(
        help: ArgumentHelp(
            "As --lossless, but only what differs from another model: the one that this was tuned from, or an earlier checkpoint. "
                + "Restoring needs it again.", valueName: "base"), completion: .file())
    var delta: String?

    /// Whether every bit is to come back.
    var isLossless: Bool { lossless || delta != nil }

    @Option(
        help: ArgumentHelp(
            "When s and f change from model to model: up, down or both, as up+down-step; -step for one step at a time, "
                + "-distribution to go by it instead of the largest weight. (default: up+down)", valueName: "rules"))
    var strategy: String?

    @Option(help: ArgumentHelp("How hard to try, 1 to 9: see docs/effort.md.", valueName: "n"))
    var effort = Effort.standard.level

    @Option(help: ArgumentHelp("Goal: bits per weight of the packed layers, at most.", valueName: "bits"))
    var targetBpw: Double?

    @Option(help: ArgumentHelp("Goal: size of the packed file, at most, as 20MB or 1.5GiB.", valueName: "size"))
    var targetSize: String?

    @Option(help: ArgumentHelp("Goal: signal-to-noise ratio over all weights, at least.", valueName: "dB"))
    var minSnr: Double?

    @Option(help: ArgumentHelp("Goal: no weight is off by more.", valueName: "error"))
    var maxError: Double?

    @Option(help: ArgumentHelp("Goal: 0 to 100, for 10 to 50 dB.", valueName: "q"))
    var quality: Double?

    @Option(
        help: ArgumentHelp(
            "How much errors of a layer count when a goal shares bits: size, in inverse proportion to its variance, which suits "
                + "transformers and can ruin EfficientNet-like networks at 2 to 3 bits; or a file with {\"regex\": factor, …}. "
                + "(default: every weight's squared error the same)",
            valueName: "size|file.json"))
    var importance: String?

    @Option(name: .customLong("weights-by"), help: .hidden)
    var weightsBy: String?

    func validate() throws {
        _ = try goal()
        _ = try trellisStates()
        if isLossless, try quantizer != nil || goal() != nil {
            throw ValidationError(
                "--lossless and --delta: expected without --quantizer and goals, which say how much is lost")
        }
        _ = try fixedPoint()
        guard importance == nil || weightsBy == nil else {
            throw ValidationError("--importance: expected without --weights-by, its former name")
        }
        guard (1...9).contains(effort) else { throw ValidationError("--effort: expected 1 to 9, found \(effort)") }
    }

    /// Sets what these options say.
    ///
    /// - Parameter range: what of a layer is to have a precision of its own.
    func apply(to options: inout PackOptions, range: RangeChoice) throws {
        options.goal = try goal()
        let states = try trellisStates()
        let isTrellis = quantizer.map { $0.hasPrefix("trellis") } ?? (options.goal != nil)
        options.quantizer = isLossless ? .exact : isTrellis ? .trellis : .uniform
        if var choice = try fixedPoint() {
            choice.scope = range.precision
            options.quantizer = .fixedPoint(choice)
        }
        options.effort = try Effort(effort, states: states)
        switch importance ?? weightsBy {
        case nil: options.measure = .total
        case "size": options.measure = .size
        case .some(let path): options.measure = .importance(try factors(path))
        }
    }

    /// Whether the quantizer has what is to have a range or precision of its own.
    func validate(_ range: RangeChoice) throws {
        guard range.uniform == nil, try fixedPoint() == nil else { return }
        throw ValidationError(
            "--range \(range.defaultValueDescription): expected --quantizer fixed or scaled with it, found neither")
    }

    private func goal() throws -> Goal? {
        var goals: [Goal] = []
        if let targetBpw {
            guard targetBpw > 0, targetBpw <= 32 else {
                throw ValidationError("--target-bpw: expected bits per weight above 0, at most 32, found \(targetBpw)")
            }
            goals.append(.bitsPerWeight(targetBpw))
        }
        if let targetSize { goals.append(.size(try bytes(targetSize))) }
        if let minSnr {
            guard minSnr > 0, minSnr <= 120 else {
                throw ValidationError("--min-snr: expected dB above 0, at most 120, found \(minSnr)")
            }
            goals.append(.signalToNoise(minSnr))
        }
        if let maxError {
            guard maxError > 0, maxError.isFinite, Float(maxError) >= .leastNormalMagnitude else {
                throw ValidationError("--max-error: expected an error above 0, found \(maxError)")
            }
            goals.append(.maximumError(maxError))
        }
        if let quality {
            guard (0...100).contains(quality) else {
                throw ValidationError("--quality: expected 0 to 100, found \(quality)")
            }
            goals.append(.signalToNoise(10 + 0.4 * quality))
        }
        guard goals.count <= 1 else {
            throw ValidationError(
                "expected one of --target-bpw, --target-size, --min-snr, --max-error and --quality, found \(goals.count)"
            )
        }
        if !goals.isEmpty, let quantizer, !quantizer.hasPrefix("trellis") {
            throw ValidationError("--quantizer \(quantizer): expected --bits to say how exact, found a goal")
        }
        return goals.first
    }

    /// The settings of a fixed-point quantizer; `nil` for another.
    private func fixedPoint() throws -> FixedPointChoice? {
        let kinds = ["fixed": PrecisionKind.exponent, "scaled": .scale]
        guard let kind = quantizer.flatMap({ kinds[$0] }) else {
            guard strategy == nil else {
                throw ValidationError("--strategy: expected --quantizer fixed or scaled with it, found neither")
            }
            return nil
        }
        let name = strategy ?? "up+down"
        guard let strategy = AdjustmentStrategy(name) else {
            throw ValidationError(
                "--strategy: expected up, down or both with '+', each with -step, -distribution or -distribution-step, "
                    + "found '\(name)'")
        }
        return FixedPointChoice(kind, strategy: strategy)
    }

    private func trellisStates() throws -> Int? {
        guard let quantizer, !["uniform", "fixed", "scaled", "trellis"].contains(quantizer) else { return nil }
        let parts = quantizer.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[0] == "trellis:states", let states = Int(parts[1]),
            Trellis.stateCounts.contains(states)
        else {
            throw ValidationError(
                "--quantizer: expected uniform, fixed, scaled, trellis or trellis:states=n with n one of \(Trellis.knownStates), found '\(quantizer)'"
            )
        }
        return states
    }

    private func bytes(_ text: String) throws -> Int {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let units = [
            "": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 1024, "MIB": 1_048_576, "GIB": 1_073_741_824,
        ]
        guard let number = Double(digits), let unit = units[text.dropFirst(digits.count).uppercased()],
            number * unit >= 1, number * unit < 1e18
        else { throw ValidationError("--target-size: expected a size as 500KB, 20MB or 1.5GiB, found '\(text)'") }
        return Int(number * unit)
    }

    private func factors(_ path: String) throws -> [(pattern: String, factor: Double)] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ArchiveError.io(path: path, reason: "cannot be read")
        }
        guard let factors = try? JSONDecoder().decode([String: Double].self, from: data),
            factors.values.allSatisfy({ $0 > 0 && $0.isFinite })
        else {
            throw ArchiveError.io(
                path: path, reason: "expected an object of patterns with factors above 0, found another")
        }
        // The longest pattern last: it is the most particular.
        return factors.sorted { ($0.key.count, $0.key) < ($1.key.count, $1.key) }.map { ($0.key, $0.value) }
    }
}
