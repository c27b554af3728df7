import Execution
import FoundationEssentials
import ModelFiles

extension DataSet {
    /// Samples of a folder: its files as labels.csv lists them, or all of them by name.
    static func folder(_ path: String, for port: NetworkPort, _ scaling: PictureScaling) throws(DataError) -> DataSet {
        let list = "\(path)/labels.csv"
        let entries: [(file: String, label: [Double]?)]
        if FileManager.default.fileExists(atPath: list) {
            entries = try LabelList(list).entries.map { ($0.file, $0.label) }
        } else {
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
                throw .unreadable(path: path, reason: "its files cannot be listed")
            }
            entries = names.filter { !$0.hasPrefix(".") }.sorted().map { ($0, nil) }
        }
        let files = entries
        return try DataSet(path: path, count: files.count, hasLabels: files.first?.label != nil, joins: true) {
            (index) throws(DataError) in
            let (file, label) = files[index]
            let value = try InputFile("\(path)/\(file)").value(for: port, scaling: scaling)
            return Sample(inputs: [port.name: value], label: label)
        }
    }
}

/// A `labels.csv`: a line `file,label` for each sample, the label one number or several with spaces between.
struct LabelList {
    private(set) var entries: [(file: String, label: [Double])] = []

    /// Largest list that is read, in bytes.
    private static let largest = 1 << 28

    init(_ path: String) throws(DataError) {
        let file = try readingData { () throws(ModelFileError) in try MappedFile(path) }
        guard file.size <= Self.largest else {
            throw .file(path: path, part: "size", expected: "at most \(Self.largest) bytes", found: "\(file.size)")
        }
        let text = file.withAllBytes { String(decoding: $0, as: UTF8.self) }
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            if line.allSatisfy(\.isWhitespace) { continue }
            guard let comma = line.lastIndex(of: ",") else {
                throw .file(path: path, part: "line \(number + 1)", expected: "file,label", found: "no comma")
            }
            var name = line[..<comma].drop(while: \.isWhitespace)
            if name.count > 1, name.first == "\"", name.last == "\"" { name = name.dropFirst().dropLast() }
            let parts = line[line.index(after: comma)...].split(whereSeparator: \.isWhitespace)
            let label = parts.compactMap { Double($0) }
            guard label.count == parts.count, !label.isEmpty else {
                // The first line may name the columns.
                if number == 0 { continue }
                throw .file(
                    path: path, part: "line \(number + 1)", expected: "file,label with a number as label",
                    found: String(line))
            }
            guard isBelow(name) else {
                throw .file(
                    path: path, part: "line \(number + 1)", expected: "a file in the folder", found: String(name))
            }
            entries.append((String(name), label))
        }
    }

    /// Whether a name leads to a place in the folder.
    private func isBelow(_ name: Substring) -> Bool {
        !name.isEmpty && !name.hasPrefix("/") && !name.utf8.contains(0) && !name.split(separator: "/").contains("..")
    }
}
