/// Places boxes in rows so that arrows point downwards, and near to what they are connected with.
///
/// Rows by the longest path, places for long arrows to pass through each row, then a few sweeps that sort each row by the mean
/// of its neighbors: Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981.
struct LayeredLayout {
    /// A place in a row: a box, or a point that an arrow passes through.
    private struct Cell {
        let width: Double
        var center = 0.0
        var up: [Int] = []
        var down: [Int] = []
    }

    static let boxWidth = 168.0
    static let boxHeight = 52.0
    static let gap = 22.0
    static let rowHeight = 92.0
    private static let passage = 14.0

    /// Centers of the boxes.
    private(set) var centers: [(x: Double, y: Double)] = []
    /// For each arrow the points that it passes through, the ends left out.
    private(set) var bends: [[(x: Double, y: Double)]] = []
    private(set) var width = 0.0
    private(set) var height = 0.0

    private var cells: [Cell] = []
    private var rows: [[Int]] = []

    /// More points than this are not placed: their arrows go straight.
    private static let mostPoints = 1 << 15

    init(_ picture: GraphPicture) {
        var depths = [Int](repeating: 0, count: picture.boxes.count)
        // Boxes come after those that arrows lead to them from.
        for arrow in picture.arrows.sorted(by: { $0.to < $1.to }) {
            depths[arrow.to] = max(depths[arrow.to], depths[arrow.from] + 1)
        }
        // What nothing leads to stands right above what it leads to first.
        let inner = Set(picture.arrows.map(\.to))
        var first: [Int: Int] = [:]
        for arrow in picture.arrows where !inner.contains(arrow.from) {
            first[arrow.from] = min(first[arrow.from] ?? .max, depths[arrow.to])
        }
        for (box, depth) in first { depths[box] = depth - 1 }
        rows = Array(repeating: [], count: (depths.max() ?? 0) + 1)
        for (index, depth) in depths.enumerated() {
            cells.append(Cell(width: Self.boxWidth))
            rows[depth].append(index)
        }
        var paths: [[Int]] = []
        for arrow in picture.arrows {
            var path = [arrow.from]
            for depth in (depths[arrow.from] + 1)..<max(depths[arrow.to], depths[arrow.from] + 1)
            where cells.count < Self.mostPoints {
                rows[depth].append(cells.count)
                path.append(cells.count)
                cells.append(Cell(width: Self.passage))
            }
            path.append(arrow.to)
            for (above, below) in zip(path, path.dropFirst()) {
                cells[above].down.append(below)
                cells[below].up.append(above)
            }
            paths.append(path)
        }
        place()
        let left = cells.indices.map { cells[$0].center - cells[$0].width / 2 }.min() ?? 0
        width = (cells.indices.map { cells[$0].center + cells[$0].width / 2 }.max() ?? 0) - left
        height = Double(rows.count) * Self.rowHeight - (Self.rowHeight - Self.boxHeight)
        var y = [Double](repeating: 0, count: cells.count)
        for (depth, row) in rows.enumerated() {
            for cell in row { y[cell] = Double(depth) * Self.rowHeight + Self.boxHeight / 2 }
        }
        centers = picture.boxes.indices.map { (cells[$0].center - left, y[$0]) }
        bends = paths.map { $0.dropFirst().dropLast().map { (cells[$0].center - left, y[$0]) } }
    }

    private mutating func place() {
        for row in rows.indices { spread(row) }
        for sweep in 0..<8 {
            let isDownwards = sweep.isMultiple(of: 2)
            for row in isDownwards ? Array(rows.indices) : rows.indices.reversed() {
                let wanted = rows[row].map { cell in
                    let neighbors = isDownwards ? cells[cell].up : cells[cell].down
                    return neighbors.isEmpty
                        ? cells[cell].center
                        : neighbors.reduce(0) { $0 + cells[$1].center } / Double(neighbors.count)
                }
                let order = rows[row].indices.sorted { (wanted[$0], $0) < (wanted[$1], $1) }
                rows[row] = order.map { rows[row][$0] }
                settle(row, order.map { wanted[$0] })
            }
        }
    }

    /// Puts the cells of a row side by side around 0.
    private mutating func spread(_ row: Int) {
        let total = rows[row].reduce(0) { $0 + cells[$1].width + Self.gap }
        var x = -total / 2
        for cell in rows[row] {
            cells[cell].center = x + cells[cell].width / 2
            x += cells[cell].width + Self.gap
        }
    }

    /// Puts the cells of a row as near to where they are wanted as their widths allow: those that touch move together to their
    /// mean.
    private mutating func settle(_ row: Int, _ wanted: [Double]) {
        var offset = 0.0
        var offsets: [Double] = []
        for cell in rows[row] {
            offsets.append(offset + cells[cell].width / 2)
            offset += cells[cell].width + Self.gap
        }
        var groups: [(mean: Double, count: Int)] = []
        for (index, x) in wanted.enumerated() {
            groups.append((x - offsets[index], 1))
            while groups.count > 1, groups[groups.count - 2].mean > groups[groups.count - 1].mean {
                let last = groups.removeLast()
                let before = groups.removeLast()
                let count = before.count + last.count
                let mean = (before.mean * Double(before.count) + last.mean * Double(last.count)) / Double(count)
                groups.append((mean, count))
            }
        }
        var index = 0
        for group in groups {
            for _ in 0..<group.count {
                cells[rows[row][index]].center = group.mean + offsets[index]
                index += 1
            }
        }
    }
}
