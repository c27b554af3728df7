import WeightArchive

/// Layers that the map of bytes shows each by itself.
private let mappedLayers = 300

extension ReportPage {
    /// Where the bytes are, and how near the layers come to the bound.
    var charts: String {
        var html = ""
        if !isComparison, let file = files.first, !file.document.layers.isEmpty {
            html += "<section class=\"card wide\"><h2>Bytes by layer</h2>\(byteMap(file))</section>\n"
        }
        if files.contains(where: { $0.document.layers.contains { $0.snr != nil } }) {
            html += "<section class=\"card\"><h2>Bits and what they buy</h2>\(boundChart)</section>\n"
        }
        if !isComparison, let file = files.first {
            html += "<section class=\"card\"><h2>Beside general compressors</h2>\(sizes(file))</section>\n"
        }
        return html
    }

    // MARK: - Bytes by layer

    private func byteMap(_ file: File) -> String {
        struct Cell {
            let title, kind: String
            let bytes: Int
            let row: Int?
        }
        var cells = rows.enumerated().compactMap { row, match -> Cell? in
            match.places[0].map { place in
                let layer = file.document.layers[place]
                return Cell(title: layer.name, kind: layer.kind, bytes: layer.packedBytes, row: row)
            }
        }.sorted { $0.bytes > $1.bytes }
        if cells.count > mappedLayers {
            let others = cells[mappedLayers...]
            cells = Array(cells[..<mappedLayers])
            cells.append(
                Cell(
                    title: "\(grouped(others.count)) smaller layers", kind: "rest",
                    bytes: others.reduce(0) { $0 + $1.bytes }, row: nil))
        }
        let rest = file.document.total.packedBytes - file.document.total.layerPackedBytes
        cells.append(Cell(title: "Everything else", kind: "rest", bytes: rest, row: nil))
        cells = cells.filter { $0.bytes > 0 }.sorted { $0.bytes > $1.bytes }
        let whole = Double(max(file.document.total.packedBytes, 1))
        // The names of layers share beginnings and ends; what differs is worth the room.
        let names = cells.filter { $0.row != nil }.map { Array($0.title) }
        let (prefix, suffix) = (sharedPart(names), sharedPart(names.map { $0.reversed() }))
        var html = ""
        for (cell, area) in zip(cells, treemap(cells.map { Double($0.bytes) }, aspect: 2.8)) {
            let share = fixed(Double(cell.bytes) / whole * 100, 1)
            let row = cell.row.map { " data-row=\"\($0)\"" } ?? ""
            html += "<svg x=\"\(percent(area.x))\" y=\"\(percent(area.y))\" width=\"\(percent(area.width))\" "
            html += "height=\"\(percent(area.height))\" class=\"k-\(kindClass(cell.kind))\"\(row)>"
            html += "<title>\(escaped(cell.title)): \(grouped(cell.bytes)) bytes, \(share) %</title>"
            html += "<rect width=\"100%\" height=\"100%\"/>"
            let isName = cell.row != nil && cell.title.count > prefix + suffix
            let name = isName ? String(cell.title.dropFirst(prefix).dropLast(suffix)) : cell.title
            // In a window of usual width; `small` ones leave a narrow one.
            let lines = MapLabel.lines(name, width: area.width * 1200 - 16, height: area.height * 352 - 26)
            let size = area.width > 0.3 ? "" : " class=\"small\""
            for (number, line) in lines.enumerated() {
                html += "<text x=\"9\" y=\"\(20 + 16 * number)\"\(size)>\(escaped(line))</text>"
            }
            if !lines.isEmpty {
                let place = "x=\"9\" y=\"\(20 + 16 * lines.count)\""
                html += "<text \(place) class=\"sub\(area.width > 0.3 ? "" : " small")\">\(share) %</text>"
            }
            html += "</svg>"
        }
        let largest = cells.prefix(3).map { cell in
            "\(cell.title) \(fixed(Double(cell.bytes) / whole * 100, 1)) %"
        }.joined(separator: ", ")
        let label = escaped(
            "Shares of the packed file, by layer; largest: \(largest). The table below has every layer.")
        let kinds = cells.map(\.kind).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let legend = kinds.map { kind in
            "<li class=\"k-\(kindClass(kind))\">\(escaped(kind == "rest" ? "other" : kind))</li>"
        }.joined()
        return
            "<svg class=\"map\" role=\"img\" aria-label=\"\(label)\">\(html)</svg><ul class=\"legend\">\(legend)</ul>"
    }

    /// A kind that the style sheet has a color for.
    private func kindClass(_ kind: String) -> String {
        ["fc", "conv", "depthwise", "lstm", "gru", "embedding"].contains(kind) ? kind : "rest"
    }

    /// Characters up to the last dot that all names begin with.
    private func sharedPart(_ names: [[Character]]) -> Int {
        guard names.count > 1, var shared = names.first else { return 0 }
        for name in names {
            let same = zip(shared, name).prefix { $0 == $1 }.count
            shared.removeLast(shared.count - same)
        }
        return (shared.lastIndex(of: ".") ?? -1) + 1
    }

    // MARK: - Bits against the bound

    /// Layers by bits per weight and SNR, beside Shannon's bound for a Gaussian source.
    private var boundChart: String {
        struct Dot {
            let row, file: Int
            let layer: ReportDocument.Layer
            let snr: Double
        }
        let dots = rows.enumerated().flatMap { row, match in
            match.places.enumerated().compactMap { file, place -> Dot? in
                guard let place else { return nil }
                let layer = files[file].document.layers[place]
                return layer.snr.map { Dot(row: row, file: file, layer: layer, snr: $0) }
            }
        }
        let bits = max((dots.map(\.layer.bitsPerWeight).max() ?? 1).rounded(.up) + 1, 2)
        let top = max(((dots.map(\.snr).max() ?? 1) / 10).rounded(.up) * 10, 10)
        func x(_ value: Double) -> String { percent(min(value / bits, 1)) }
        func y(_ value: Double) -> String { percent(1 - min(max(value / top, 0), 1)) }
        var html = ""
        for tick in stride(from: 0, through: Int(bits), by: bits > 10 ? 4 : 2) {
            html += "<line x1=\"\(x(Double(tick)))\" x2=\"\(x(Double(tick)))\" y1=\"0\" y2=\"100%\" class=\"grid\"/>"
            html += "<text x=\"\(x(Double(tick)))\" y=\"100%\" dy=\"18\" class=\"tick middle\">\(tick)</text>"
        }
        for tick in stride(from: 0, through: Int(top), by: top > 60 ? 20 : 10) {
            html += "<line x1=\"0\" x2=\"100%\" y1=\"\(y(Double(tick)))\" y2=\"\(y(Double(tick)))\" class=\"grid\"/>"
            html += "<text x=\"0\" dx=\"-8\" y=\"\(y(Double(tick)))\" dy=\"4\" class=\"tick end\">\(tick)</text>"
        }
        let reach = min(bits, top / decibelsPerBit)
        html += "<line x1=\"0\" y1=\"100%\" x2=\"\(x(reach))\" y2=\"\(y(reach * decibelsPerBit))\" class=\"bound\"/>"
        for dot in dots {
            let kind = isComparison ? "f\(dot.file % 6)" : "k-\(kindClass(dot.layer.kind))"
            let title =
                "\(dot.layer.name): \(fixed(dot.layer.bitsPerWeight, 3)) bits per weight, \(fixed(dot.snr, 1)) dB"
            html += "<circle cx=\"\(x(dot.layer.bitsPerWeight))\" cy=\"\(y(dot.snr))\" r=\"5\" class=\"\(kind)\" "
            html += "data-row=\"\(dot.row)\"><title>\(escaped(title))</title></circle>"
        }
        let above = dots.compactMap(\.layer.aboveRateDistortion).sorted()
        let median =
            switch above.isEmpty ? nil : above[above.count / 2] {
            case nil: ""
            case .some(let excess) where excess >= 0:
                " Half of the layers lie within \(fixed(excess, 2)) bits of the bound."
            case .some(let excess):
                " Half of the layers take \(fixed(-excess, 2)) bits less than that, or still fewer: their weights are spread otherwise, or "
                    + "foreseen from others."
            }
        let legend =
            isComparison
            ? "<ul class=\"legend\">"
                + files.enumerated().map { "<li class=\"f\($0 % 6)\">\(escaped($1.label))</li>" }.joined() + "</ul>"
            : ""
        return """
            <div class="plot"><span class="axis">SNR, dB</span><svg role="img" aria-label="Layers by bits per weight and \
            signal-to-noise ratio.\(median)">\(html)</svg><span class="axis x">bits per weight</span></div>\(legend)
            <p class="note">The line is Shannon's bound for independent Gaussian weights: no code of these has fewer bits at that error, \
            6.02 dB a bit.\(median)</p>
            """
    }
}

/// A layer's name in a rectangle of the map.
enum MapLabel {
    /// Width of a character and height of a line, in pixels.
    private static let character = 7.8
    private static let line = 16.0

    /// The lines of a name, broken at dots; the last ones where there is no room for all, none where not even for a few
    /// characters.
    static func lines(_ name: String, width: Double, height: Double) -> [String] {
        let columns = Int(width / character)
        let rows = Int(height / line)
        guard columns >= 5, rows >= 1 else { return [] }
        var lines: [String] = []
        for part in name.split(separator: ".").map(String.init) {
            if let last = lines.last, last.count + 1 + part.count <= columns {
                lines[lines.count - 1] += "." + part
            } else {
                lines.append(part.count <= columns ? part : part.prefix(columns - 1) + "…")
            }
        }
        return lines.count <= rows
            ? lines : ["…" + lines[lines.count - rows].prefix(columns - 1)] + lines.suffix(rows - 1)
    }
}

/// 20 log10 2.
private let decibelsPerBit = 6.020599913279624
