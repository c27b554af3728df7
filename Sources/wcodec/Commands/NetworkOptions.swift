import ArgumentParser
import ModelFiles
import ModelGraph
import WeightArchive
import WeightMapper

/// Options that say where a network comes from and what sizes its inputs have.
struct NetworkOptions: ParsableArguments {
    @Option(
        name: .customLong("shape"),
        help: ArgumentHelp(
            "Sizes of an input, as 'input=1x3x224x224'; may be repeated, and binds the sizes that the model leaves open.",
            valueName: "input=sizes"))
    var shapes: [String] = []

    @Option(
        help: ArgumentHelp(
            "Ask a running application instead: an HTTP GET that answers with the graph's JSON.", valueName: "url"))
    var fromUrl: String?

    @Option(
        help: ArgumentHelp("Take the graph's JSON from what a shell command prints instead.", valueName: "command"))
    var fromCommand: String?

    func validate() throws { _ = try sizes() }

    /// What is said where the network comes from, but for a file.
    var request: NetworkRequest? { fromUrl.map { .url($0) } ?? fromCommand.map { .command($0) } }

    /// Refuses none and several places where the network comes from.
    func validate(model: String?) throws {
        let given = [model, fromUrl, fromCommand].compactMap(\.self).count
        guard given == 1 else {
            throw ValidationError(
                "expected a model, --from-url or --from-command, found \(given == 0 ? "none" : "several")")
        }
    }

    /// Reads the network and works out its shapes.
    ///
    /// - Parameters:
    ///   - model: its file, when it comes from one.
    ///   - isBound: whether open sizes are to be bound: the first one of each input is 1 then, others are refused.
    func network(_ model: String?, isBound: Bool) async throws -> Network {
        var network: Network
        if let request {
            network = try await request.network()
        } else {
            network = try Network.open(model ?? "", kinds: layerKind)
        }
        var shapes = try sizes()
        if isBound {
            let (bound, notes) = try network.bindingBatch(shapes)
            shapes = bound
            network.notes += notes
        }
        return try network.inferringShapes(shapes)
    }

    /// The kind and convention that packing would give a tensor.
    private func layerKind(_ record: TensorRecord, _ shapes: [String: [Int]]) -> (kind: String, convention: String)? {
        if record.kindHint == "vector" || isOptimizerState(record.name) { return nil }
        let guess = LayerClassifier(shapes: shapes).classify(record.name, record.shape)
        return (record.kindHint ?? guess.kind.rawValue, record.conventionHint ?? guess.convention.rawValue)
    }

    private func sizes() throws -> [String: [Int]] { try inputSizes(shapes) }
}

/// Sizes of inputs, as `--shape` gives them.
///
/// - Throws: `ValidationError`.
func inputSizes(_ shapes: [String]) throws -> [String: [Int]] {
    func mistake(_ text: String) -> ValidationError {
        ValidationError("--shape: expected 'input=sizes' such as 'x=1x3x224x224', found '\(text)'")
    }
    var result: [String: [Int]] = [:]
    for text in shapes {
        guard let equals = text.lastIndex(of: "=") else { throw mistake(text) }
        let name = String(text[..<equals])
        let list = text[text.index(after: equals)...]
        let parts = list == "scalar" ? [] : list.split(separator: "x", omittingEmptySubsequences: false)
        let sizes = parts.compactMap { part in Int(part).flatMap { $0 < 0 ? nil : $0 } }
        guard !name.isEmpty, sizes.count == parts.count else { throw mistake(text) }
        guard result.updateValue(sizes, forKey: name) == nil else {
            throw ValidationError("--shape: expected each input once, found '\(name)' twice")
        }
    }
    return result
}
