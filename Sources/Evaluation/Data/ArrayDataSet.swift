import Execution
import ModelFiles
import ModelGraph

extension DataSet {
    /// Samples of an array archive, or of one array.
    ///
    /// Either each array has a row for each sample, or each sample has arrays of its own, `name/0`, `name/1`, …
    static func arrays(
        _ file: ArrayFile, labels: String?, for ports: [NetworkPort]
    ) throws(DataError) -> DataSet {
        let names = file.isSingle ? [:] : try arrayNames(of: ports, in: file)
        if file.isSingle {
            guard ports.count == 1, let name = file.only else {
                throw .file(
                    path: file.path, part: "content",
                    expected: "an archive (.npz) with arrays "
                        + ports.map(\.name).joined(separator: ", "), found: "one array")
            }
            return try rows(
                file, [ports[0].name: name], labels: try labels.map { (path) throws(DataError) in try LabelFile(path) },
                ports)
        }
        let ownLabels = ports.contains { $0.name == labelName } ? nil : labelName
        if names.values.contains(where: { file.header($0) == nil }) {
            return try numbered(file, names, labels: ownLabels, ports)
        }
        var answers = try labels.map { (path) throws(DataError) in try LabelFile(path) }
        if answers == nil, let ownLabels, file.header(ownLabels) != nil {
            answers = try LabelFile(file, name: ownLabels)
        }
        return try rows(file, names, labels: answers, ports)
    }

    /// What an archive calls the labels, and the input of a network that has one.
    private static let labelName = "y"
    private static let inputName = "x"

    /// The array, or what its numbered arrays begin with, for each input.
    private static func arrayNames(of ports: [NetworkPort], in file: ArrayFile) throws(DataError) -> [String: String] {
        var names: [String: String] = [:]
        func has(_ name: String) -> Bool { file.header(name) != nil || file.header("\(name)/0") != nil }
        for port in ports {
            if has(port.name) {
                names[port.name] = port.name
            } else if ports.count == 1, has(inputName) {
                names[port.name] = inputName
            } else {
                let found = file.names.prefix(8).joined(separator: ", ")
                throw .file(
                    path: file.path, part: "arrays",
                    expected: "\(port.name)\(ports.count == 1 ? " or \(inputName)" : "")"
                        + " for an input (\(port.text))",
                    found: found.isEmpty ? file.notes.first ?? "none" : found)
            }
        }
        return names
    }

    /// One row of each array for each sample; scalars are for all.
    private static func rows(
        _ file: ArrayFile, _ names: [String: String], labels: LabelFile?, _ ports: [NetworkPort]
    ) throws(DataError) -> DataSet {
        var shared: [String: TensorValue] = [:]
        var columns: [(port: NetworkPort, name: String, whole: TensorValue?, isBatch: Bool)] = []
        var count: (number: Int, name: String)?
        for port in ports {
            guard let name = names[port.name], let (type, shape) = file.header(name) else { continue }
            func mismatch() -> DataError {
                .input(
                    path: file.path, input: port.name, expected: "samples for \(port.text)",
                    found: (TensorValue.byteCount(type, shape) == nil) ? "\(type)" : "\(type) \(dimensions(shape))")
            }
            guard type == port.type else { throw mismatch() }
            guard let rows = shape.first else {
                shared[port.name] = try file.value(name)
                continue
            }
            if let count, count.number != rows {
                throw .file(
                    path: file.path, part: "array \(quoted(name))",
                    expected: "\(count.number) rows, as \(quoted(count.name)) has", found: "\(rows)")
            }
            count = (rows, name)
            // A network without a batch dimension takes each row as it is.
            let isBatch = port.shape.map { $0.count == shape.count } ?? true
            let row = isBatch ? [port.shape?.first?.size ?? 1] + shape.dropFirst() : Array(shape.dropFirst())
            guard port.accepts(row) else { throw mismatch() }
            // Rows that are not in one piece: the array is brought into order once.
            let whole = rows > 0 && file.row(0, of: name) == nil ? try file.value(name) : nil
            columns.append((port, name, whole, isBatch))
        }
        let total = count?.number ?? 0
        if let labels, labels.count != total {
            throw .file(
                path: labels.path, part: "labels", expected: "\(total), one for each sample", found: "\(labels.count)")
        }
        let sources = columns
        return try DataSet(
            path: file.path, count: total, hasLabels: labels != nil, joins: columns.allSatisfy(\.isBatch),
            shared: shared
        ) { (index) throws(DataError) in
            var inputs: [String: TensorValue] = [:]
            for (port, name, whole, isBatch) in sources {
                guard let row = whole.map({ $0.row(index) }) ?? file.row(index, of: name),
                    let value = isBatch ? row : row.reshaped(Array(row.shape.dropFirst()))
                else { throw .file(path: file.path, part: "array \(quoted(name))", expected: "rows", found: "none") }
                inputs[port.name] = value
            }
            return Sample(inputs: inputs, label: try labels?.label(index))
        }
    }

    /// Arrays of its own for each sample; those without a number are for all.
    private static func numbered(
        _ file: ArrayFile, _ names: [String: String], labels: String?, _ ports: [NetworkPort]
    ) throws(DataError) -> DataSet {
        var shared: [String: TensorValue] = [:]
        var own: [(port: NetworkPort, name: String)] = []
        for port in ports {
            guard let name = names[port.name] else { continue }
            if file.header(name) != nil { shared[port.name] = try file.value(name) } else { own.append((port, name)) }
        }
        func count(_ name: String) -> Int {
            var number = 0
            while file.header("\(name)/\(number)") != nil { number += 1 }
            return number
        }
        let total = own.first.map { count($0.name) } ?? 0
        let answers = labels.flatMap { count($0) > 0 ? $0 : nil }
        for name in own.map(\.name) + [answers].compactMap(\.self) where count(name) != total {
            throw .file(
                path: file.path, part: "arrays \(quoted("\(name)/0")), …",
                expected: "\(total), as of \(quoted(own[0].name))", found: "\(count(name))")
        }
        let sources = own
        return try DataSet(path: file.path, count: total, hasLabels: answers != nil, joins: false, shared: shared) {
            (index) throws(DataError) in
            var inputs: [String: TensorValue] = [:]
            for (port, name) in sources {
                let value = try file.value("\(name)/\(index)")
                guard value.type == port.type, port.accepts(value.shape) else {
                    throw .input(
                        path: file.path, input: "\(name)/\(index)", expected: port.text, found: value.text)
                }
                inputs[port.name] = value
            }
            let label = try answers.map { (name) throws(DataError) in try file.value("\(name)/\(index)") }
            if let label, label.numbers == nil {
                throw .file(path: file.path, part: "labels", expected: "numbers", found: label.text)
            }
            return Sample(inputs: inputs, label: label?.numbers)
        }
    }
}
