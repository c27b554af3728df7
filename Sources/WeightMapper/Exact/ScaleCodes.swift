/// How much smaller the weights of each row and column of a tensor are than those of the largest, in quarters of a binade.
///
/// Rows are runs of `columnCount` words that follow each other in memory. The word in row i and column j has the scale
/// `rows[i] + columns[j]`: scale / 4 binades, rounded down, are taken out of its exponent, and scale mod 4 is its class. A run
/// holds the symbols of class 0 first, then those of classes 1, 2 and 3, each in memory order. So the symbols that one
/// Huffman code covers come from weights whose scales agree within 2^(1/4), and binades of one row meet those of others.
struct ScaleCodes: Hashable, Sendable {
    /// Length of a row.
    let columnCount: Int
    /// A code for each row; empty when all are 0.
    let rows: [UInt8]
    /// A code for each column; empty when all are 0.
    let columns: [UInt8]

    /// Classes of scales, and so steps of a binade.
    static let classCount = 4
    /// Longest rows that have scales: a row is worked on at a time.
    static let longestRow = 1 << 20

    /// No scales: all words are of one class.
    static func none(count: Int) -> ScaleCodes { ScaleCodes(columnCount: max(count, 1), rows: [], columns: []) }

    /// Whether the symbols lie in memory order.
    var isTrivial: Bool { rows.isEmpty && columns.isEmpty }

    /// The bytes that a packed file stores: which codes there are, and them.
    var serialized: [UInt8] {
        var bytes: [UInt8] = [(rows.isEmpty ? 0 : 1) | (columns.isEmpty ? 0 : 2)]
        guard !isTrivial else { return bytes }
        bytes.append(number: columnCount)
        return bytes + rows + columns
    }

    /// Reads what `serialized` wrote, for a tensor of `count` words.
    ///
    /// - Throws: `MapperError.parameters` when the rows do not fill the tensor, or bytes are missing.
    init(parsing bytes: inout ParameterReader, count: Int) throws(MapperError) {
        let kinds = try bytes.number("kinds of scales", in: 0...3)
        guard kinds > 0 else {
            self = .none(count: count)
            return
        }
        let columnCount = try bytes.number("the length of a row", in: 1...max(min(count, Self.longestRow), 1))
        guard count % columnCount == 0 else {
            throw .parameters(expected: "rows that fill \(count) weights", found: "rows of \(columnCount)")
        }
        self.init(
            columnCount: columnCount,
            rows: kinds & 1 != 0 ? try bytes.bytes(count / columnCount) : [],
            columns: kinds & 2 != 0 ? try bytes.bytes(columnCount) : [])
    }

    init(columnCount: Int, rows: [UInt8], columns: [UInt8]) {
        self.columnCount = columnCount
        self.rows = rows
        self.columns = columns
    }
}

/// Where the symbols of one row after the other lie in the run.
///
/// The columns of a row that are of one class follow each other there, wherever the row's own scale puts them.
struct SymbolOrder {
    /// Columns, ordered by class; empty where they are of one class.
    let columns: [Int32]
    /// The place of each column in `columns`.
    let places: [Int32]
    /// First of each class in `columns`, and the end of the last.
    let columnStarts: [Int]
    /// Next free place of each class in the run.
    private var next: [Int]

    init(_ scales: ScaleCodes, count: Int) {
        let classes = ScaleCodes.classCount
        var columns: [Int32] = []
        var starts = [0]
        for kind in 0..<classes {
            if scales.columns.isEmpty {
                starts.append(scales.columnCount)
            } else {
                for (column, code) in scales.columns.enumerated() where Int(code) % classes == kind {
                    columns.append(Int32(truncatingIfNeeded: column))
                }
                starts.append(columns.count)
            }
        }
        var rowCounts = [Int](repeating: 0, count: classes)
        if scales.rows.isEmpty {
            rowCounts[0] = count / scales.columnCount
        } else {
            for code in scales.rows { rowCounts[Int(code) % classes] += 1 }
        }
        var next = [0]
        for kind in 0..<classes - 1 {
            let size = (0..<classes).reduce(0) { sum, column in
                sum + rowCounts[(kind + classes - column) % classes] * (starts[column + 1] - starts[column])
            }
            next.append(next[kind] + size)
        }
        var places = [Int32](repeating: 0, count: columns.count)
        for (place, column) in columns.enumerated() { places[Int(column)] = Int32(truncatingIfNeeded: place) }
        self.columns = columns
        self.places = places
        columnStarts = starts
        self.next = next
    }

    /// Places of the next row's symbols: for each class of columns the first of its own.
    ///
    /// - Parameter length: symbols of the row, where all columns are of one class.
    mutating func advance(rowCode: UInt8, length: Int) -> InlineArray<4, Int> {
        var places = InlineArray<4, Int>(repeating: 0)
        for kind in 0..<ScaleCodes.classCount {
            let target = (Int(rowCode) + kind) % ScaleCodes.classCount
            places[kind] = next[target]
            let size = columnStarts[kind + 1] - columnStarts[kind]
            next[target] += columns.isEmpty ? (kind == 0 ? length : 0) : size
        }
        return places
    }
}

/// What scales take out of exponents, in steps of the high part, for rows of each class.
struct ScaleShifts {
    private let stepBits: Int
    /// For each class of rows what each column adds; empty where no column has a code.
    let columns: [[UInt16]]

    init(_ scales: ScaleCodes, stepBits: Int) {
        self.stepBits = stepBits
        columns =
            scales.columns.isEmpty
            ? []
            : (0..<ScaleCodes.classCount).map { row in
                scales.columns.map { UInt16((Int($0) + row) / ScaleCodes.classCount) << UInt16(stepBits) }
            }
    }

    /// Steps that a row's own scale takes out.
    func row(_ code: UInt8) -> UInt16 { UInt16(Int(code) / ScaleCodes.classCount) << UInt16(stepBits) }
}
