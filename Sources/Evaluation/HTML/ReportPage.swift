import WeightArchive

/// What the page is made of.
struct ReportPage: Sendable {
    /// A packed file.
    struct File: Sendable {
        let label, path: String
        let summary: ArchiveSummary
        let document: ReportDocument
        let looks: [LayerLook]
        let metric: Verification.Metric?
    }

    let files: [File]
    let rows: [LayerMatch]
    let plan: PicturePlan

    var isComparison: Bool { files.count > 1 }

    /// The page, style sheet and script in it.
    func html() throws -> String {
        let css = text(PackageResources.report_css)
        let script = text(PackageResources.report_js)
        let data = try scriptJSON(PageData(self))
        let title = escaped(files.map(\.label).joined(separator: ", "))
        return filled(text(PackageResources.report_html)) { part in
            switch part {
            // A packed file comes from anywhere: nothing in it may run or load anything.
            case "policy":
                "default-src 'none'; style-src 'sha256-\(contentHash(css))'; script-src 'sha256-\(contentHash(script))'; "
                    + "img-src data:; base-uri 'none'; form-action 'none'"
            case "title": title
            case "css": css
            case "script": script
            case "kind": isComparison ? "comparison" : "single"
            case "headline": isComparison ? comparisonHeadline : singleHeadline
            case "charts": charts
            case "kinds": kindOptions
            case "columns": columnOptions
            case "table": table
            case "kept": kept
            case "data": data
            case "pictures": pictures
            default: ""
            }
        }
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    /// Full pictures, one after the other in elements that the browser does not look into before they are wanted.
    private var pictures: String {
        var parts: [String] = []
        for (row, match) in rows.enumerated() {
            for (file, place) in match.places.enumerated() {
                guard let place else { continue }
                let look = files[file].looks[place]
                for (number, picture) in (look.full.isEmpty ? look.previews : look.full).enumerated() {
                    let data = base64(picture.png)
                    parts.append("<script type=\"text/plain\" id=\"p\(row)-\(file)-\(number)\">\(data)</script>\n")
                }
            }
        }
        return parts.joined()
    }
}

/// What the page's script needs to know beside what the table says.
private struct PageData: Encodable {
    struct File: Encodable {
        let label, command, medium: String
    }

    struct Picture: Encodable {
        let w, h: Int
    }

    struct Layer: Encodable {
        let dtype, codec: String
        let aliases, entries: [String]
        /// Entries that hold the layer, of which `entries` are the first; frames, their size.
        let entryCount: Int
        let pictureCount, pictureWidth, pictureHeight: Int
        let isFull: Bool
        let pictures: [Picture]
        /// Command that writes the full picture.
        let command: String
        let parameters, weights: String
        let bits: Double
        let bound: Double?
        let bins: String
        let binsPerColumn: Int
        let binPeak: String
        let histogram: String
        let low, high, smallest, largest: String
        /// Share of the weights beyond the histogram's ends.
        let beyond: String?
        let ranges: String?
    }

    let files: [File]
    let layers: [[Layer?]]

    init(_ page: ReportPage) {
        files = page.files.map {
            File(label: printable($0.label), command: shellWord($0.path), medium: $0.summary.medium)
        }
        layers = page.rows.map { match in
            zip(page.files, match.places).map { file, place in
                place.map { Self.layer(file, $0) }
            }
        }
    }

    private static func layer(_ file: ReportPage.File, _ place: Int) -> Layer {
        let layer = file.document.layers[place]
        let look = file.looks[place]
        let histogram = look.histograms.weights
        let shown = look.full.isEmpty ? look.previews : look.full
        let outside = histogram.below + histogram.above
        let peak = look.histograms.bins.max() ?? 0
        return Layer(
            dtype: printable(layer.dtype), codec: printable(layer.codec), aliases: layer.aliases.map(printable),
            entries: layer.entries.prefix(4).map(printable), entryCount: layer.entries.count,
            pictureCount: look.pictureCount, pictureWidth: look.pictureSize.width,
            pictureHeight: look.pictureSize.height,
            isFull: shown.first.map { $0.width == look.pictureSize.width } ?? false,
            pictures: shown.map { Picture(w: $0.width, h: $0.height) },
            command: "wcodec inspect \(shellWord(file.path)) --image \(shellWord(layer.name)) -o layer.png",
            parameters: grouped(layer.parameterBytes), weights: grouped(layer.weights),
            bits: (layer.bitsPerWeight * 1000).rounded() / 1000,
            bound: layer.aboveRateDistortion.map { ((layer.bitsPerWeight - $0) * 1000).rounded() / 1000 },
            bins: heights(look.histograms.bins), binsPerColumn: look.histograms.binsPerColumn,
            binPeak: fixed(Double(peak) / Double(max(layer.weights, 1)) * 100, 2),
            histogram: heights(histogram.columns), low: significant(histogram.low),
            high: significant(histogram.high), smallest: significant(histogram.smallest),
            largest: significant(histogram.largest),
            beyond: outside > 0 ? fixed(Double(outside) / Double(max(layer.weights, 1)) * 100, 2) : nil,
            ranges: look.ranges.map { ranges in
                ranges.count == 1
                    ? "one, \(significant(ranges.widest)) wide"
                    : "\(grouped(ranges.count)), \(significant(ranges.narrowest)) to \(significant(ranges.widest)) wide "
                        + "(median \(significant(ranges.median)))"
            })
    }

    /// Heights of columns, the highest 63.
    private static func heights(_ columns: [Int]) -> String {
        let highest = Double(max(columns.max() ?? 0, 1))
        return digits64(columns.map { Int((Double($0) / highest * 63).rounded(.up)) })
    }
}
