import Evaluation
import ModelGraph

/// An estimate as a person reads it.
struct EstimateText {
    private let document: EstimateDocument
    private let estimate: ResourceEstimate

    init(_ document: EstimateDocument, _ estimate: ResourceEstimate) {
        self.document = document
        self.estimate = estimate
    }

    func lines(width: Int?) -> [String] {
        let type =
            document.type == document.computeType
            ? document.type : "\(document.type), computed in \(document.computeType)"
        var lines = [
            printable("\(document.model): \(count(document.layers.count, "layer"))"),
            "\(grouped(document.multiplyAdds)) multiply-adds a run; floats \(type)", "",
        ]
        lines += layerTable.lines(width: width) + [""] + memoryLines + [""] + targetLines + [""]
        lines += deviceTable.lines(width: width)
        if !document.notes.isEmpty { lines.append("") }
        return lines + document.notes.map(printable)
    }

    private var layerTable: TextTable {
        var table = TextTable([
            .init("layer", alignsRight: false), .init("type", priority: 1, alignsRight: false), .init("weights"),
            .init("activations"), .init("workspace", priority: 2), .init("multiply-adds"), .init("share", priority: 3),
        ])
        for layer in document.layers {
            let share = Double(layer.multiplyAdds ?? 0) / Double(max(document.multiplyAdds, 1)) * 100
            // What is worked out before the first run takes nothing in it.
            if layer.turns == 0 { continue }
            let turns = layer.turns == 1 ? "" : " (\(grouped(layer.turns)) turns)"
            table.add([
                String(repeating: "  ", count: layer.depth) + layer.id + turns, layer.type,
                layer.weightBytes > 0 ? grouped(layer.weightBytes) : "",
                layer.activationBytes.map(grouped) ?? "?",
                layer.workspaceBytes > 0 ? grouped(layer.workspaceBytes) : "",
                layer.multiplyAdds.map { $0 > 0 ? grouped($0) : "" } ?? "?",
                (layer.multiplyAdds ?? 0) > 0 ? "\(fixed(share, 1)) %" : "",
            ])
        }
        return table
    }

    private var memoryLines: [String] {
        let memory = document.memory
        var table = TextTable([
            .init("memory in bytes", alignsRight: false), .init("without reuse"), .init("with reuse"),
        ])
        table.add(["weights", grouped(memory.weightBytes), grouped(memory.weightBytes)])
        table.add(["inputs", grouped(memory.inputBytes), grouped(memory.inputBytes)])
        table.add([
            "activations and workspace", grouped(memory.activationBytes + memory.workspaceBytes),
            grouped(memory.peakActivationBytes),
        ])
        table.add(["in all", grouped(memory.withoutReuse), grouped(memory.withReuse)])
        if let packed = document.packed {
            let saved = memory.weightBytes - packed.weightBytes - packed.largestLayerBytes
            table.add(["weights packed", grouped(packed.weightBytes), grouped(packed.weightBytes)])
            table.add(["largest layer, restored", grouped(packed.largestLayerBytes), grouped(packed.largestLayerBytes)])
            table.add(["in all, weights packed", grouped(memory.withoutReuse - saved), grouped(packed.withReuse)])
        }
        var lines = table.lines(width: nil)
        if let layer = memory.peakLayer { lines.append(printable("most at layer \(layer)")) }
        if let packed = document.packed {
            lines.append(
                printable("\(packed.file): \(size(packed.fileBytes)) on disk, weights \(size(packed.weightBytes))"))
        }
        return lines
    }

    private var targetLines: [String] {
        let target = document.target
        guard let first = target.layers.first else { return ["no target layer: none is above the threshold"] }
        let share = target.multiplyAdds / Double(max(document.multiplyAdds, 1)) * 100
        return [
            printable(
                "\(count(target.layers.count, "target layer")), the heaviest \(first): \(fixed(share, 1)) % of the multiply-adds"
            ),
            "they demand \(grouped(Int(target.multiplyAdds))) multiply-adds and move \(size(Int(min(target.movedBytes, 1e18)))) in each run",
        ]
    }

    private var deviceTable: TextTable {
        let isPacked = document.packed != nil
        var columns: [TextTable.Column] = [.init("device", alignsRight: false), .init("holds it")]
        if isPacked { columns.append(.init("packed")) }
        columns.append(.init("runs a second, at most"))
        var table = TextTable(columns)
        for fit in document.devices {
            var cells = [fit.device, fit.holds ? "yes" : "no"]
            if let packed = fit.holdsPacked { cells.append(packed ? "yes" : "no") }
            cells.append(
                fit.runsPerSecond.map { $0 >= 100 ? grouped(Int(min($0, 1e15))) : significant($0) }
                    ?? (document.target.layers.isEmpty ? "-" : "no \(document.computeType)"))
            table.add(cells)
        }
        return table
    }
}
