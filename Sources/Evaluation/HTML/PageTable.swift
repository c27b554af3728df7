import WeightArchive

/// A column of figures: a heading, what it means, and the text of a layer's cell.
private struct Column {
    let title: String
    let meaning: String
    /// Columns with the highest number are left out first on narrow windows; 0 never is.
    var priority = 0
    var isNumber = true
    let text: @Sendable (ReportDocument.Layer) -> String
}

private let allColumns = [
    Column(title: "Kind", meaning: "kind of layer", priority: 1, isNumber: false) { $0.kind },
    Column(title: "Shape", meaning: "shape of the tensor", priority: 2, isNumber: false) { dimensions($0.shape) },
    Column(title: "n", meaning: "bits of a bin number") { "\($0.bits)" },
    Column(title: "Codec", meaning: "codec of the streams", priority: 3, isNumber: false) { $0.codec },
    Column(title: "Original", meaning: "bytes in the model", priority: 3) { grouped($0.originalBytes) },
    Column(title: "Packed", meaning: "bytes of streams and quantizer parameters") { grouped($0.packedBytes) },
    Column(title: "Ratio", meaning: "original by packed bytes") { fixed($0.ratio, 2) },
    Column(title: "bpw", meaning: "packed bits per weight") { fixed($0.bitsPerWeight, 3) },
    Column(title: "H", meaning: "order-0 entropy of the bins, bits per weight", priority: 3) { fixed($0.entropy, 3) },
    Column(title: "+H", meaning: "bits per weight that the streams spend above the entropy", priority: 2) {
        fixed($0.aboveEntropy, 3)
    },
    Column(title: "SNR", meaning: "signal-to-noise ratio of the restored weights, dB") { snr($0) },
    Column(title: "+R(D)", meaning: "bits per weight above Shannon's bound for a Gaussian source at this error") {
        $0.aboveRateDistortion.map { fixed($0, 2) } ?? "-"
    },
    Column(title: "Max error", meaning: "largest error of a weight", priority: 2) { significant($0.maxError) },
]

private func snr(_ layer: ReportDocument.Layer) -> String { layer.snr.map { fixed($0, 1) } ?? "exact" }

/// Of a comparison, for each file.
private let comparedColumns = allColumns.filter { ["n", "Packed", "bpw", "SNR"].contains($0.title) }

extension ReportPage {
    /// The layers, one row each.
    var table: String {
        isComparison ? comparisonTable : singleTable
    }

    /// Options of the control that sorts, which narrow windows show instead of headings.
    var columnOptions: String {
        let titles =
            isComparison
            ? ["Layer", "Kind", "Shape"]
                + files.flatMap { file in comparedColumns.map { "\($0.title), \(file.label)" } }
            : ["Layer"] + allColumns.map(\.title)
        return titles.enumerated().map { "<option value=\"\($0)\">\(escaped($1))</option>" }.joined()
    }

    /// Options of the control that chooses a kind of layer.
    var kindOptions: String {
        let kinds = Set(files.flatMap { $0.summary.layers.map(\.kind) }).sorted()
        return kinds.map { "<option>\(escaped($0))</option>" }.joined()
    }

    private var singleTable: String {
        let file = files[0]
        var html = "<table><caption class=\"hidden\">Packed layers of \(escaped(file.label))</caption>\n<thead><tr>"
        html += heading("Layer", "name of the tensor")
        html += allColumns.map { heading($0.title, $0.meaning, $0) }.joined()
        html += "</tr></thead>\n<tbody>\n"
        var parts = [html]
        for (row, match) in rows.enumerated() {
            guard let place = match.places[0] else { continue }
            let layer = file.document.layers[place]
            let cells = allColumns.map { cell($0, $0.text(layer)) }.joined()
            parts.append("<tr>\(rowHeading(row, match))\(cells)</tr>\n")
        }
        return parts.joined() + "</tbody></table>"
    }

    private var comparisonTable: String {
        let lead = allColumns.filter { ["Kind", "Shape"].contains($0.title) }
        var html =
            "<table><caption class=\"hidden\">Packed layers, side by side</caption>\n<thead><tr><td colspan=\"3\"></td>"
        for file in files {
            html +=
                "<th scope=\"colgroup\" colspan=\"\(comparedColumns.count)\" class=\"file\">\(escaped(file.label))</th>"
        }
        html += "</tr><tr>" + heading("Layer", "name of the tensor")
        html += lead.map { heading($0.title, $0.meaning, $0) }.joined()
        for _ in files {
            html += comparedColumns.enumerated().map { heading($1.title, $1.meaning, $1, isFirst: $0 == 0) }.joined()
        }
        var parts = [html + "</tr></thead>\n<tbody>\n"]
        for (row, match) in rows.enumerated() {
            let layers = zip(files, match.places).map { file, place in place.map { file.document.layers[$0] } }
            let any = layers.lazy.compactMap { $0 }.first
            var cells = lead.map { column in cell(column, any.map(column.text) ?? "") }.joined()
            for (file, layer) in zip(files, layers) {
                cells += comparedCells(layer, first: layers[0], file, match.name)
            }
            parts.append("<tr>\(rowHeading(row, match))\(cells)</tr>\n")
        }
        return parts.joined() + "</tbody></table>"
    }

    /// Cells of one file in a comparison, with the differences from the first.
    private func comparedCells(
        _ layer: ReportDocument.Layer?, first: ReportDocument.Layer?, _ file: File, _ name: String
    ) -> String {
        comparedColumns.enumerated().map { index, column in
            guard let layer else {
                let isKept = index == 0 && file.document.kept.contains { $0.name == name }
                return cell(column, isKept ? "kept" : "-", isFirst: index == 0, file: file.label)
            }
            var difference = ""
            if let first, file.label != files[0].label || file.path != files[0].path {
                if column.title == "Packed", first.packedBytes > 0, layer.packedBytes != first.packedBytes {
                    let change = Double(layer.packedBytes - first.packedBytes) / Double(first.packedBytes)
                    difference = "\(change > 0 ? "+" : "")\(fixed(change * 100, 1)) %"
                } else if column.title == "SNR", let a = layer.snr, let b = first.snr, fixed(a - b, 1) != "0.0" {
                    difference = "\(a > b ? "+" : "")\(fixed(a - b, 1))"
                }
            }
            return cell(column, column.text(layer), isFirst: index == 0, file: file.label, difference)
        }.joined()
    }

    private func heading(_ title: String, _ meaning: String, _ column: Column? = nil, isFirst: Bool = false) -> String {
        let classes = self.classes(column, isFirst: isFirst)
        return
            "<th scope=\"col\" aria-sort=\"none\" title=\"\(meaning)\"\(classes)><button type=\"button\">\(title)</button></th>"
    }

    private func classes(_ column: Column?, isFirst: Bool) -> String {
        guard let column else { return "" }
        let names = [
            column.isNumber ? "n" : "", column.priority > 0 ? "p\(column.priority)" : "", isFirst ? "first" : "",
        ].filter { !$0.isEmpty }
        return names.isEmpty ? "" : " class=\"\(names.joined(separator: " "))\""
    }

    private func cell(
        _ column: Column, _ text: String, isFirst: Bool = false, file: String? = nil, _ difference: String = ""
    ) -> String {
        let label = isFirst ? file.map { "\($0), \(column.title) =" } ?? column.title : column.title
        let addition = difference.isEmpty ? "" : " <small>\(difference)</small>"
        return "<td\(classes(column, isFirst: isFirst)) data-l=\"\(escaped(label))\">\(escaped(text))\(addition)</td>"
    }

    /// Name of a layer, a button that opens it, with its first preview.
    private func rowHeading(_ row: Int, _ match: LayerMatch) -> String {
        let look = zip(files, match.places).lazy.compactMap { file, place in place.map { file.looks[$0] } }.first
        var image = ""
        if let preview = look?.previews.first {
            let data = base64(preview.png)
            image = "<img alt=\"\" loading=\"lazy\" src=\"data:image/png;base64,\(data)\">"
        }
        // Long names break at their dots.
        let name = escaped(match.name).replacing(".", with: ".<wbr>")
        return
            "<th scope=\"row\"><button type=\"button\" data-row=\"\(row)\">\(image)<span>\(name)</span></button></th>"
    }

    /// The tensors that were kept, by reason.
    var kept: String {
        files.map { file in
            let kept = file.document.kept
            let total = file.document.keptTotal
            guard total.count > 0 else { return "" }
            let title = isComparison ? " in \(escaped(file.label))" : ""
            var html = "<section class=\"card\"><h2>Kept exactly\(title)</h2>\n"
            html +=
                "<p>\(count(total.count, "tensor")), \(size(total.bytes)): these come back bit for bit.</p>\n<ul class=\"reasons\">"
            let reasons = Dictionary(grouping: kept, by: \.reason)
            for (reason, tensors) in reasons.sorted(by: { ($0.value.count, $1.key) > ($1.value.count, $0.key) }) {
                let sum = tensors.reduce(0) { $0 + $1.bytes }
                html +=
                    "<li><strong>\(escaped(explanation(reason)))</strong> \(count(tensors.count, "tensor")), \(size(sum))</li>"
            }
            if let rest = file.document.unlisted {
                html +=
                    "<li><strong>Too small to be listed</strong> \(count(rest.count, "tensor")), \(size(rest.bytes))</li>"
            }
            let which = file.document.unlisted == nil ? "All" : "The listed"
            html += "</ul>\n<details><summary>\(which) \(grouped(kept.count))</summary>"
            html += "<div class=\"scroll\" tabindex=\"0\" "
            html +=
                "role=\"region\" aria-label=\"Tensors kept exactly\(title)\"><table>\n<thead><tr><th scope=\"col\">Tensor</th>"
            html += "<th scope=\"col\">Type</th><th scope=\"col\">Shape</th><th scope=\"col\" class=\"n\">Bytes</th>"
            html += "<th scope=\"col\">Why</th></tr></thead>\n<tbody>"
            for tensor in kept {
                html += "<tr><th scope=\"row\">\(escaped(tensor.name))</th><td>\(escaped(tensor.dtype))</td>"
                html += "<td>\(dimensions(tensor.shape))</td><td class=\"n\">\(grouped(tensor.bytes))</td>"
                html += "<td>\(escaped(tensor.reason))</td></tr>\n"
            }
            return html + "</tbody></table></div></details></section>\n"
        }.joined()
    }

    private func explanation(_ reason: String) -> String {
        switch reason {
        case "vector": "Vectors, as biases and norms"
        case "small": "Too few elements to be layers"
        case "type": "Not floating-point"
        case "optimizer": "Optimizer state"
        case "excluded": "Excluded by name"
        case "nonfinite": "NaN, infinities or too large numbers in them"
        case "view": "Views of other tensors"
        default: reason
        }
    }
}
