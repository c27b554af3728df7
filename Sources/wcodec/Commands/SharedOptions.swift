import ArgumentParser
import Codecs
import FoundationEssentials
import Glibc
import WeightArchive
import WeightMapper

extension Medium: ExpressibleByArgument {}
extension Reconstruction: ExpressibleByArgument {}
extension NonFinitePolicy: ExpressibleByArgument {}

/// Options of every command that works for a while.
struct RunOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Jobs at the same time; packed and restored files do not depend on it.", valueName: "n"))
    var threads: Int = ProcessInfo.processInfo.activeProcessorCount

    @Flag(name: .shortAndLong, help: "Print nothing but errors.")
    var quiet = false

    func validate() throws {
        guard (1...1024).contains(threads) else {
            throw ValidationError("--threads: expected 1 to 1024, found \(threads)")
        }
    }
}

/// Options that say how tensors become bins and pictures.
struct MappingOptions: ParsableArguments {
    @Option(
        name: .customLong("bits"),
        help: ArgumentHelp(
            "Bits per weight, 1 to 16, or 'regex=n' for the tensors it matches; may be repeated. (default: 8, and more for "
                + "layers whose outliers would drown their other weights)", valueName: "n | regex=n"))
    var bits: [String] = []

    @Option(
        help: ArgumentHelp(
            "What has a range or precision of its own: the layer, or each channel (output channel, gate row or embedding row); "
                + "with fixed and scaled also each group of k inputs, or the model.",
            valueName: "layer|channel|group:k|model"))
    var range = RangeChoice.scope(.channel)

    @Option(
        help:
            "Where in its interval a bin's weights are put back: its middle, or the stored mean. (default: middle; of a lossy codec the mean of what it decodes, where that pays)"
    )
    var reconstruct: Reconstruction?

    @Option(
        help: ArgumentHelp(
            "Kind of the layers a pattern matches: fc, conv, depthwise, lstm, gru or embedding; may be repeated.",
            valueName: "regex=kind"))
    var kind: [String] = []

    @Option(
        help: ArgumentHelp(
            "Pack tensors although they are small, vectors or optimizer state; may be repeated.", valueName: "regex"))
    var include: [String] = []

    @Option(
        help: ArgumentHelp(
            "Keep tensors exactly as they are; may be repeated, and wins over --include.", valueName: "regex"))
    var exclude: [String] = []

    @Option(
        help: ArgumentHelp(
            "What to do with tensors that hold NaN, infinities or numbers too large to be quantized: refuse the model, or keep "
                + "them exactly."))
    var nonfinite: NonFinitePolicy = .error

    @Option(
        help: ArgumentHelp(
            "Describes the tensors of a raw file: a JSON array of {name, dtype, shape, kind}.", valueName: "layers.json"
        ))
    var layout: String?

    // While arguments are parsed, so that the usage shown with a mistake is that of the command.
    func validate() throws { _ = try packOptions() }

    /// The options as the packer takes them.
    func packOptions() throws -> PackOptions {
        var options = PackOptions()
        options.range = range.uniform ?? .layer
        options.reconstruction = reconstruct
        options.include = include
        options.exclude = exclude
        options.nonFinite = nonfinite
        for text in bits {
            let (pattern, value) = split(text)
            guard let bits = Int(value), (1...16).contains(bits) else {
                throw ValidationError("--bits: expected 1 to 16 or 'regex=n', found '\(text)'")
            }
            if let pattern { options.bitsByName.append((pattern, bits)) } else { options.bits = bits }
        }
        for text in kind {
            let (pattern, value) = split(text)
            guard let pattern, let kind = LayerKind(rawValue: value) else {
                let kinds = LayerKind.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--kind: expected 'regex=kind' with a kind of \(kinds), found '\(text)'")
            }
            options.kindsByName.append((pattern, kind))
        }
        return options
    }

    /// `regex=value` at its last equals sign, which a regular expression may hold too.
    private func split(_ text: String) -> (pattern: String?, value: String) {
        guard let equals = text.lastIndex(of: "=") else { return (nil, text) }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
}

/// What has a range or precision of its own, as `--range` takes it.
enum RangeChoice: ExpressibleByArgument {
    case model
    case scope(PrecisionScope)

    init?(argument: String) {
        guard argument != "model" else { self = .model; return }
        guard let scope = PrecisionScope(argument) else { return nil }
        self = .scope(scope)
    }

    var defaultValueDescription: String {
        if case .scope(let scope) = self { scope.description } else { "model" }
    }

    /// For a uniform quantizer; `nil` for what it does not have.
    var uniform: RangeScope? {
        if case .scope(let scope) = self { RangeScope(rawValue: scope.description) } else { nil }
    }

    /// For a fixed-point quantizer; `nil` for the model.
    var precision: PrecisionScope? {
        if case .scope(let scope) = self { scope } else { nil }
    }
}

/// The path of a folder with its own name at the end: without slashes there, `.` and `..` resolved; `nil` for the root.
func folderPath(_ path: String) -> String? {
    guard let end = path.lastIndex(where: { $0 != "/" }) else { return nil }
    let path = String(path[...end])
    guard [".", ".."].contains(path.split(separator: "/").last) else { return path }
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return resolved.pointee != 0 && resolved[1] == 0 ? nil : String(cString: resolved)
}

/// Where a name is free: `name.ext`, else `name.restored.ext`; a folder's `name.restored`, whatever dots it holds.
func freePath(_ path: String, isFolder: Bool = false) -> String {
    guard access(path, F_OK) == 0 else { return path }
    if isFolder { return "\(path).restored" }
    let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    let name = path.dropFirst(folder.count)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "\(path).restored" }
    return "\(folder)\(name[..<dot]).restored\(name[dot...])"
}

/// A path with the last extension of its name replaced.
func replacingExtension(_ path: String, with ext: String) -> String {
    let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    let name = path.dropFirst(folder.count)
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "\(path).\(ext)" }
    return "\(folder)\(name[..<dot]).\(ext)"
}
