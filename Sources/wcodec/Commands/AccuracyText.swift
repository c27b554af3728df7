import Evaluation

/// How two networks differ on samples, for people.
struct AccuracyText {
    private let result: AccuracyResult

    init(_ result: AccuracyResult) { self.result = result }

    func lines(width: Int?) -> [String] {
        let metric = result.metric ?? ""
        let against = result.labeled ? "" : " against the original"
        let figures: [(String, Estimate?)] = [
            ("\(metric) before", result.before), ("\(metric) after", result.after), ("loss", result.loss),
            ("agreement of predictions", result.agreement), ("KL divergence of outputs", result.divergence),
            ("cosine of outputs", result.cosine), ("relative error of outputs", result.relativeError),
        ]
        var table = TextTable([
            .init("on \(count(result.samples, "sample"))\(against)", alignsRight: false), .init("value"),
            .init("95 % interval"), .init("by", priority: 1, alignsRight: false),
        ])
        for (name, estimate) in figures {
            guard let estimate else { continue }
            table.add([
                name, text(estimate.value), "\(text(estimate.low)) to \(text(estimate.high))",
                Self.methods[estimate.method] ?? "",
            ])
        }
        return table.lines(width: width)
    }

    private static let methods = [
        Estimate.Method.wilson: "Wilson", .newcombe: "Newcombe", .bootstrap: "bootstrap",
    ]

    private func text(_ value: Double) -> String { significant(value, 4) }
}
