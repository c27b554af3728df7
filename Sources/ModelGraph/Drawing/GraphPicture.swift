import ModelFiles

/// What a picture of a network shows of a graph: boxes for its inputs, layers and outputs, and arrows between them.
struct GraphPicture {
    struct Box {
        enum Kind {
            case input
            case output
            case layer(String)
        }

        let kind: Kind
        /// Lines of text, the first one stands out.
        let lines: [String]
        /// All of what it is, for a pointer that rests on it.
        let title: String
    }

    struct Arrow: Hashable {
        let from: Int
        let to: Int
        /// The value that flows.
        let label: String
    }

    /// Whose graph it is: empty for the main one, else the layer and the graph's name.
    let title: String
    private(set) var boxes: [Box] = []
    private(set) var arrows: [Arrow] = []

    /// The pictures of a network's graphs, each nested one after the one around it.
    static func all(of network: Network) -> [GraphPicture] {
        var pictures: [GraphPicture] = []
        func add(_ graph: Graph, _ title: String) {
            pictures.append(GraphPicture(graph, title: title))
            for layer in graph.layers {
                for (name, inner) in layer.orderedGraphs { add(inner, "\(layer.identifier): \(name)") }
            }
        }
        add(network.graph, "")
        return pictures
    }

    private init(_ graph: Graph, title: String) {
        self.title = title
        var givers: [String: Int] = [:]
        for name in graph.inputs {
            givers[name] = boxes.count
            let text = Self.text(graph.values[name])
            boxes.append(Box(kind: .input, lines: [name, text], title: "input \(name) \(text)"))
        }
        for layer in graph.layers {
            let output = layer.outputs.first { !$0.isEmpty }
            let text = Self.text(output.flatMap { graph.values[$0] })
            let place = boxes.count
            boxes.append(
                Box(
                    kind: .layer(layer.type), lines: [layer.fullType, layer.identifier, text],
                    title: "\(layer.identifier): \(layer.fullType) \(text)"))
            for name in layer.reads {
                if let giver = givers[name] {
                    arrows.append(Arrow(from: giver, to: place, label: "\(name) \(Self.text(graph.values[name]))"))
                }
            }
            for name in layer.outputs where !name.isEmpty { givers[name] = place }
        }
        for name in graph.outputs {
            let text = Self.text(graph.values[name])
            if let giver = givers[name] { arrows.append(Arrow(from: giver, to: boxes.count, label: "\(name) \(text)")) }
            boxes.append(Box(kind: .output, lines: [name, text], title: "output \(name) \(text)"))
        }
    }

    private static func text(_ value: Value?) -> String {
        [value?.shape?.text ?? "?", value?.type?.rawValue].compactMap(\.self).joined(separator: " ")
    }
}
