import ArgumentParser
import Codecs

struct CodecsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codecs",
        abstract: "Lists the codecs, what they take and whether this machine has them.")

    @Flag(help: "Print the table as JSON.")
    var json = false

    @Flag(name: .shortAndLong, help: "Show each codec's parameters too.")
    var verbose = false

    func run() async throws {
        try await reportingErrors {
            if json { return try printJSON(CodecRegistry.all.map(CodecDocument.init)) }
            var table = TextTable([
                .init("codec", alignsRight: false), .init("medium", alignsRight: false),
                .init("lossless", alignsRight: false),
                .init("bits"), .init("largest frame", priority: 3), .init("here", alignsRight: false),
                .init("license", priority: 2, alignsRight: false), .init("summary", priority: 1, alignsRight: false),
            ])
            for entry in CodecRegistry.all {
                let codec = entry.description
                table.add([
                    codec.name, codec.medium.rawValue, losslessness(codec),
                    "\(codec.bitDepths.lowerBound)-\(codec.bitDepths.upperBound)",
                    "\(codec.maximumWidth)x\(codec.maximumHeight)", entry.unavailable == nil ? "yes" : "no",
                    codec.licenseNote ?? "", codec.summary,
                ])
            }
            for line in table.lines(width: terminalWidth()) { print(line) }
            for entry in CodecRegistry.all {
                if let reason = entry.unavailable { print("\(entry.description.name): \(reason)") }
                guard verbose else { continue }
                for parameter in entry.description.parameters {
                    let fallback = parameter.defaultValue.map { ", default \($0)" } ?? ""
                    print(
                        "\(entry.description.name):\(parameter.name)=\(parameter.values)\(fallback)  \(parameter.meaning)"
                    )
                }
            }
        }
    }
}

/// Whether bins come back exactly, and what changes that.
private func losslessness(_ codec: CodecDescription) -> String {
    guard codec.isLossless else { return "no" }
    return codec.parameters.contains { $0.name == "qp" } ? "without qp" : "yes"
}

/// A codec as JSON.
private struct CodecDocument: Encodable {
    struct Parameter: Encodable {
        let name, values, meaning: String
        let defaultValue: String?
    }

    let name, medium, summary: String
    let lossless: Bool
    let bits: [Int]
    let maximumWidth, maximumHeight: Int
    let available: Bool
    let unavailable, license: String?
    let parameters: [Parameter]

    init(_ entry: CodecRegistry.Entry) {
        let codec = entry.description
        name = codec.name
        medium = codec.medium.rawValue
        summary = codec.summary
        lossless = codec.isLossless
        bits = [codec.bitDepths.lowerBound, codec.bitDepths.upperBound]
        maximumWidth = codec.maximumWidth
        maximumHeight = codec.maximumHeight
        available = entry.unavailable == nil
        unavailable = entry.unavailable
        license = codec.licenseNote
        parameters = codec.parameters.map {
            Parameter(name: $0.name, values: "\($0.values)", meaning: $0.meaning, defaultValue: $0.defaultValue)
        }
    }
}
