import Glibc
import WeightArchive

extension ReportPage {
    /// The ratio, and what it cost, of one packed file.
    var singleHeadline: String {
        let file = files[0]
        let total = file.document.total
        let share = Double(total.packedBytes) / Double(max(total.originalBytes, 1))
        let change = comparedSizes(total.originalBytes, total.packedBytes)
        var html = """
            <p class="ratio"><strong>\(change.factor)×</strong> \(change.word)</p>
            <p class="what">\(escaped(fileNames(file))) (\(escaped(file.document.source))) as \
            \(escaped(file.document.medium)): \(escaped(file.document.quantizer)).</p>
            <div class="sizes">
            \(bar("Model", size(total.originalBytes), 1, "before"))
            \(bar("Packed", size(total.packedBytes), share, "after"))
            </div>
            <dl class="tiles">
            """
        html += tile("Bits per weight", total.bitsPerWeight.map { fixed($0, 2) } ?? "-", "streams and parameters")
        html += tile("Signal to noise", total.snr.map { "\(fixed($0, 1)) dB" } ?? "exact", "of the restored weights")
        html += tile("Relative error", relativeError(total.snr), "root mean square, by the weights' spread")
        html += tile(
            "Packed", count(file.document.layers.count, "layer"), count(total.weights, "weight"))
        let kept = file.document.keptTotal
        html += tile("Kept exactly", count(kept.count, "tensor"), size(kept.bytes))
        if let metric = file.metric { html += lossTile(metric) }
        return html + "</dl>"
    }

    /// Files side by side.
    var comparisonHeadline: String {
        let smallest = files.map(\.document.total.packedBytes).min()
        let exactest = files.map { $0.document.total.snr ?? .infinity }.max()
        let largest = files.map(\.document.total.originalBytes).max() ?? 1
        var html =
            "<p class=\"what\">\(count(files.count, "packed file")) of one model, \(size(largest)).</p>\n<div class=\"files\">"
        for (index, file) in files.enumerated() {
            let total = file.document.total
            var badges = ""
            if total.packedBytes == smallest { badges += "<span class=\"badge\">smallest</span>" }
            if (total.snr ?? .infinity) == exactest { badges += "<span class=\"badge\">most exact</span>" }
            let change = comparedSizes(total.originalBytes, total.packedBytes)
            html += """
                <article class="file f\(index % 6)"><h2>\(escaped(file.label))</h2>
                <p class="ratio"><strong>\(change.factor)×</strong> \(change.word) \(badges)</p>
                \(bar("Packed", size(total.packedBytes), Double(total.packedBytes) / Double(max(largest, 1)), "after"))
                <p class="how">\(escaped(file.document.medium)), \(escaped(file.document.quantizer))</p>
                <dl class="tiles">
                """
            html += tile("Bits per weight", total.bitsPerWeight.map { fixed($0, 2) } ?? "-", nil)
            html += tile("Signal to noise", total.snr.map { "\(fixed($0, 1)) dB" } ?? "exact", nil)
            html += tile("Relative error", relativeError(total.snr), nil)
            html += tile("Layers", grouped(file.document.layers.count), nil)
            if let metric = file.metric { html += lossTile(metric) }
            html += "</dl></article>\n"
        }
        return html + "</div>"
    }

    private func fileNames(_ file: File) -> String {
        let names = file.document.files
        return names.prefix(2).joined(separator: ", ") + (names.count > 2 ? " and \(names.count - 2) more" : "")
    }

    /// Root of error energy by signal energy: the same as the SNR, in percent.
    private func relativeError(_ snr: Double?) -> String {
        guard let snr else { return "0 %" }
        return "\(significant(100 * pow(10, -snr / 20))) %"
    }

    private func tile(_ title: String, _ value: String, _ note: String?) -> String {
        let note = note.map { "<dd class=\"note\">\(escaped($0))</dd>" } ?? ""
        return "<div><dt>\(escaped(title))</dt><dd>\(escaped(value))</dd>\(note)</div>\n"
    }

    private func lossTile(_ metric: Verification.Metric) -> String {
        let relative = metric.before == 0 ? "" : " (\(fixed(metric.relativeLoss * 100, 3)) %)"
        return tile(
            "Loss of the metric", significant(metric.loss) + relative,
            "\(significant(metric.before, 5)) before, \(significant(metric.after, 5)) after")
    }

    private func bar(_ title: String, _ value: String, _ share: Double, _ kind: String) -> String {
        """
        <div class="bar \(kind)"><span>\(escaped(title))</span><svg aria-hidden="true"><rect width="100%" height="100%" \
        class="rail"/><rect width="\(percent(min(share, 1)))" height="100%"/></svg><b>\(escaped(value))</b></div>
        """
    }

    /// Sizes of the same things elsewhere, as bars.
    func sizes(_ file: File) -> String {
        guard let comparison = file.document.comparison else { return "" }
        let total = file.document.total
        var html = ""
        func group(_ title: String, _ bars: [(String, Int?)], of whole: Int) {
            html += "<h3>\(title)</h3><div class=\"sizes\">"
            for (index, (name, bytes)) in bars.enumerated() {
                guard let bytes else { continue }
                let ratio = fixed(Double(whole) / Double(max(bytes, 1)), 2)
                let share = Double(bytes) / Double(max(whole, bytes, 1))
                html += bar(name, "\(size(bytes)) · \(ratio)×", share, index == 0 ? "after" : "before")
            }
            html += "</div>"
        }
        group(
            "The file",
            [
                ("Packed", total.packedBytes), ("zip of the model", comparison.zipOriginal),
                ("zstd of the model", comparison.zstdOriginal), ("Model", total.originalBytes),
            ], of: total.originalBytes)
        if total.layerOriginalBytes > 0 {
            group(
                "The layers",
                [
                    ("Packed", total.layerPackedBytes), ("Bins through zip", comparison.zipBins),
                    ("Bins through zstd", comparison.zstdBins), ("Bins, n bits each", comparison.plainBins),
                    ("Original weights", total.layerOriginalBytes),
                ], of: total.layerOriginalBytes)
        }
        return html
    }
}
