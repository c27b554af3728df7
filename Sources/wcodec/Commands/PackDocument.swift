import Evaluation
import WeightArchive
import WeightMapper

/// What packing gave, as JSON: the report of the packed file, and how precisions were adjusted.
struct PackDocument: Encodable {
    /// What one model of a series changed of a layer's precisions.
    private struct Adjusted: Encodable {
        let model: String
        let layer: String?
        let precisions, raised, lowered: Int
        let changes: [Change]
    }

    private struct Change: Encodable {
        let group: Int?
        /// Exponents s or scales f.
        let old: Double?
        let new: Double
        /// What of the data decided, and the bound that it reached or stayed below.
        let because: String
        let measure: Double
        let bound: Double?
    }

    private enum CodingKeys: String, CodingKey {
        case adjustments
    }

    private let report: ReportDocument
    private let adjustments: [Adjusted]

    init(_ result: PackResult) {
        report = ReportDocument(result.summary)
        adjustments = result.adjustments.map { adjustment in
            Adjusted(
                model: adjustment.model, layer: adjustment.layer, precisions: adjustment.groups,
                raised: adjustment.raised, lowered: adjustment.lowered,
                changes: adjustment.changes.map { change in
                    let (because, measure, bound): (String, Double, Double?) =
                        switch change.reason {
                        case .first(let measure): ("first", measure, nil)
                        case .up(let measure, let bound): ("up", measure, bound)
                        case .down(let measure, let bound): ("down", measure, bound)
                        }
                    return Change(
                        group: change.group, old: change.old?.number, new: change.new.number, because: because,
                        measure: measure, bound: bound)
                })
        }
    }

    func encode(to encoder: any Encoder) throws {
        try report.encode(to: encoder)
        guard !adjustments.isEmpty else { return }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(adjustments, forKey: .adjustments)
    }
}

extension Precision {
    /// s or f.
    fileprivate var number: Double {
        switch self {
        case .exponent(let s): Double(s)
        case .scale(let f): f
        }
    }
}

/// Prints how precisions were adjusted along a series, a line for each model and layer; nothing for a model alone.
func printAdjustments(_ adjustments: [SeriesAdjustment]) {
    guard !adjustments.isEmpty else { return }
    let later = adjustments.filter { $0.raised + $0.lowered > 0 }
    guard !later.isEmpty else { return print("  no precision had to be adjusted along the series") }
    var table = TextTable([
        .init("model", priority: 1, alignsRight: false), .init("layer", alignsRight: false), .init("up"), .init("down"),
        .init("of"), .init("precision", alignsRight: false), .init("since", priority: 2, alignsRight: false),
    ])
    for adjustment in later {
        let change = adjustment.changes.first { $0.old != nil }
        table.add([
            adjustment.model, adjustment.layer ?? "all", grouped(adjustment.raised), grouped(adjustment.lowered),
            grouped(adjustment.groups), change.map(precisions) ?? "", change.map(reason) ?? "",
        ])
    }
    for line in table.lines(width: terminalWidth()) { print(line) }
}

/// The first change's precisions.
private func precisions(_ change: Adjustment) -> String {
    "\(change.old.map { "\($0) -> " } ?? "")\(change.new)"
}

private func reason(_ change: Adjustment) -> String {
    switch change.reason {
    case .first(let measure): "\(significant(measure))"
    case .up(let measure, let bound): "\(significant(measure)) >= \(significant(bound))"
    case .down(let measure, let bound): "\(significant(measure)) < \(significant(bound))"
    }
}
