import ModelFiles

extension Network {
    /// The network as a picture, the graphs within its layers below the main one.
    ///
    /// It is plain SVG 1.1 without scripts; what is too long for a box shows when the pointer rests on it.
    public func svg() -> String {
        let margin = 24.0
        var body = ""
        var width = 0.0
        var y = margin
        for picture in GraphPicture.all(of: self) where !picture.boxes.isEmpty {
            if !picture.title.isEmpty {
                body +=
                    "<text class=\"title\" x=\"\(number(margin))\" y=\"\(number(y + 18))\">\(escaped(picture.title))</text>\n"
                width = max(width, Double(min(picture.title.count, 120)) * 7.5)
                y += 34
            }
            let layout = LayeredLayout(picture)
            body += "<g transform=\"translate(\(number(margin)),\(number(y)))\">\n"
            body += Self.arrows(picture, layout) + Self.boxes(picture, layout) + "</g>\n"
            width = max(width, layout.width)
            y += layout.height + margin * 2
        }
        let (w, h) = (number(width + 2 * margin), number(y - margin))
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(w)" height="\(h)" viewBox="0 0 \(w) \(h)" font-family="sans-serif">
            <style>
            text { text-anchor: middle; font-size: 10px; fill: #455a64; }
            .type { font-size: 12px; font-weight: bold; fill: #263238; }
            .title { text-anchor: start; font-size: 14px; font-weight: bold; fill: #263238; }
            rect { stroke: #78909c; }
            path { fill: none; stroke: #90a4ae; }
            </style>
            <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
            <path d="M0,0 L8,4 L0,8 z" style="fill: #90a4ae; stroke: none"/></marker></defs>
            <rect width="\(w)" height="\(h)" style="fill: #fff; stroke: none"/>
            \(body)</svg>

            """
    }

    private static func boxes(_ picture: GraphPicture, _ layout: LayeredLayout) -> String {
        var text = ""
        for (box, center) in zip(picture.boxes, layout.centers) {
            let (x, y) = (center.x - LayeredLayout.boxWidth / 2, center.y - LayeredLayout.boxHeight / 2)
            text += "<g><title>\(escaped(box.title))</title><rect x=\"\(number(x))\" y=\"\(number(y))\" "
            text +=
                "width=\"\(number(LayeredLayout.boxWidth))\" height=\"\(number(LayeredLayout.boxHeight))\" rx=\"6\" "
            text += "fill=\"\(Palette.fill(box.kind))\"/>"
            let step = LayeredLayout.boxHeight / Double(box.lines.count + 1)
            for (index, line) in box.lines.enumerated() {
                let style = index == 0 ? " class=\"type\"" : ""
                text += "<text\(style) x=\"\(number(center.x))\" y=\"\(number(y + step * Double(index + 1) + 4))\">"
                text += "\(escaped(shortened(line, index == 0 ? 22 : 26)))</text>"
            }
            text += "</g>\n"
        }
        return text
    }

    private static func arrows(_ picture: GraphPicture, _ layout: LayeredLayout) -> String {
        var text = ""
        for (arrow, bends) in zip(picture.arrows, layout.bends) {
            let half = LayeredLayout.boxHeight / 2
            let (from, to) = (layout.centers[arrow.from], layout.centers[arrow.to])
            let points = [(x: from.x, y: from.y + half)] + bends + [(x: to.x, y: to.y - half)]
            var path = "M\(number(points[0].x)),\(number(points[0].y))"
            for (a, b) in zip(points, points.dropFirst()) {
                let middle = (a.y + b.y) / 2
                path +=
                    " C\(number(a.x)),\(number(middle)) \(number(b.x)),\(number(middle)) \(number(b.x)),\(number(b.y))"
            }
            text += "<path d=\"\(path)\" marker-end=\"url(#tip)\"><title>\(escaped(arrow.label))</title></path>\n"
        }
        return text
    }
}

/// The end of a name that is too long: exporters repeat the beginning.
private func shortened(_ text: String, _ limit: Int) -> String {
    text.count <= limit ? text : "…" + text.suffix(limit - 1)
}

/// A coordinate with one digit after the point at most.
private func number(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    let sign = tenths < 0 ? "-" : ""
    let (whole, rest) = tenths.magnitude.quotientAndRemainder(dividingBy: 10)
    return rest == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(rest)"
}

private func escaped(_ text: String) -> String {
    shown(text).replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
        .replacing("\"", with: "&quot;")
}
