import Evaluation
import Glibc

/// A table for people: columns aligned, and on a narrow terminal the least important ones left out.
struct TextTable {
    /// A column and how much it matters.
    struct Column {
        let title: String
        /// Columns with the highest number are left out first; 0 never is.
        let priority: Int
        let alignsRight: Bool

        init(_ title: String, priority: Int = 0, alignsRight: Bool = true) {
            self.title = title
            self.priority = priority
            self.alignsRight = alignsRight
        }
    }

    let columns: [Column]
    private(set) var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ cells: [String]) {
        precondition(cells.count == columns.count)
        rows.append(cells.map(printable))
    }

    /// The lines of the table, none longer than `width` where leaving out columns and shortening the first can help.
    func lines(width: Int?) -> [String] {
        let widths = columns.indices.map { column in
            rows.reduce(columns[column].title.count) { max($0, $1[column].count) }
        }
        var shown = Array(columns.indices)
        func total() -> Int { shown.reduce(0) { $0 + widths[$1] + 2 } - 2 }
        // A name longer than any screen takes its own row out of line, not every row.
        var first = min(widths[0], 64)
        if let width {
            // A first column of 24 characters still tells layers apart.
            while total() - max(widths[0] - 24, 0) > width,
                let least = shown.filter({ columns[$0].priority > 0 }).max(by: {
                    columns[$0].priority < columns[$1].priority
                })
            {
                shown.removeAll { $0 == least }
            }
            first = min(widths[0], max(width - (total() - widths[0]), 12))
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for column in shown {
                let limit = column == 0 ? first : widths[column]
                let cell = width == nil ? cells[column] : shorten(cells[column], to: limit)
                let padding = String(repeating: " ", count: max(limit - cell.count, 0))
                text +=
                    (column == shown.first ? "" : "  ")
                    + (columns[column].alignsRight ? padding + cell : cell + padding)
            }
            while text.last == " " { text.removeLast() }
            return text
        }
        var result = [line(columns.map(\.title))] + rows.map(line)
        let hidden = columns.indices.filter { !shown.contains($0) }.map { columns[$0].title }
        if !hidden.isEmpty { result.append("(a wider terminal shows also: \(hidden.joined(separator: ", ")))") }
        return result
    }

    /// Keeps the end of a long name, which tells more than its beginning.
    private func shorten(_ text: String, to limit: Int) -> String {
        text.count <= limit ? text : "…" + text.suffix(max(limit - 1, 0))
    }
}

/// Width of the terminal that standard output goes to; `nil` in a pipe or a file, where nothing is left out.
func terminalWidth() -> Int? {
    guard isatty(STDOUT_FILENO) == 1 else { return nil }
    var window = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0 else { return 80 }
    return Int(window.ws_col)
}
