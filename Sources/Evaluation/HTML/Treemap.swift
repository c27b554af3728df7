/// A rectangle as shares of the area it lies in.
struct ShareRectangle: Sendable, Equatable {
    var x, y, width, height: Double
}

/// Divides an area into rectangles in proportion to `weights`, as near to squares as their order allows: squarified treemaps
/// (Bruls, Huizing and van Wijk, 2000).
///
/// - Parameters:
///   - weights: positive, largest first.
///   - aspect: width by height of the area.
/// - Returns: a rectangle for each weight, in shares of the area's sides.
func treemap(_ weights: [Double], aspect: Double) -> [ShareRectangle] {
    let total = weights.reduce(0, +)
    guard total > 0 else { return [] }
    // In an area of aspect x 1, whose surface the weights share.
    let areas = weights.map { $0 / total * aspect }
    var free = ShareRectangle(x: 0, y: 0, width: aspect, height: 1)
    var result: [ShareRectangle] = []
    var start = 0
    while start < areas.count {
        let side = min(free.width, free.height)
        var end = start
        var sum = 0.0
        var worst = Double.infinity
        while end < areas.count {
            let next = sum + areas[end]
            // The longest and the shortest of the row are its first and its last.
            let ratio = max(side * side * areas[start] / (next * next), next * next / (side * side * areas[end]))
            guard ratio <= worst else { break }
            (worst, sum, end) = (ratio, next, end + 1)
        }
        end = max(end, start + 1)
        sum = areas[start..<end].reduce(0, +)
        let thickness = side > 0 ? sum / side : 0
        var along = 0.0
        for area in areas[start..<end] {
            let length = thickness > 0 ? area / thickness : 0
            result.append(
                free.width >= free.height
                    ? ShareRectangle(x: free.x, y: free.y + along, width: thickness, height: length)
                    : ShareRectangle(x: free.x + along, y: free.y, width: length, height: thickness))
            along += length
        }
        if free.width >= free.height {
            free.x += thickness
            free.width = max(free.width - thickness, 0)
        } else {
            free.y += thickness
            free.height = max(free.height - thickness, 0)
        }
        start = end
    }
    return result.map {
        ShareRectangle(x: $0.x / aspect, y: $0.y, width: $0.width / aspect, height: $0.height)
    }
}
