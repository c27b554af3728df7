/// Which memory is in use as the layers of a graph run one after another.
struct Liveness {
    private struct Buffer {
        let bytes: Int
        /// The last layer that needs it.
        var last: Int
        /// Memory that is not the graph's own is never written over.
        let isOwn: Bool
    }

    private let graph: Graph
    private let type: NumericType?
    /// The last layer that takes each value; beyond all layers for what the graph hands out.
    private var lastReads: [String: Int] = [:]
    private var buffers: [Buffer] = []
    private var places: [String: Int] = [:]
    private var ends: [[Int]]
    /// Bytes in use.
    private(set) var live = 0

    /// Nothing has run yet.
    ///
    /// - Parameter ownsInputs: whether the graph's inputs count.
    init(_ graph: Graph, type: NumericType?, ownsInputs: Bool) {
        self.graph = graph
        self.type = type
        for (index, layer) in graph.layers.enumerated() {
            for name in layer.reads { lastReads[name] = index }
        }
        for name in graph.outputs { lastReads[name] = graph.layers.count }
        ends = Array(repeating: [], count: graph.layers.count + 1)
        for name in graph.inputs {
            let bytes = graph.values[name]?.bytes(as: type) ?? 0
            add(name, bytes: ownsInputs ? bytes : 0, from: 0, isOwn: ownsInputs)
        }
    }

    /// Puts the outputs of a layer into memory.
    ///
    /// - Returns: the bytes of those that have memory of their own, in-place ones too.
    mutating func give(_ index: Int, _ layer: Layer, _ buffer: Operator.Buffer) -> Int {
        var given = 0
        for (place, name) in layer.outputs.enumerated() where !name.isEmpty {
            let bytes = graph.values[name]?.bytes(as: type) ?? 0
            let last = max(lastReads[name] ?? index, index)
            if place == 0, let shared = shared(index, layer, buffer, bytes) {
                places[name] = shared
                if last > buffers[shared].last { buffers[shared].last = last }
                if buffer == .inPlace { given = saturatingSum(given, bytes) }
                continue
            }
            if place == 0, buffer == .view, layer.inputs.first.map({ places[$0] == nil }) ?? false {
                // A view of a weight, or of what a graph around holds.
                add(name, bytes: 0, from: index, isOwn: false)
                continue
            }
            add(name, bytes: bytes, from: index, isOwn: true)
            given = saturatingSum(given, bytes)
        }
        return given
    }

    /// The memory that a layer's first output has in common with an input.
    private func shared(_ index: Int, _ layer: Layer, _ buffer: Operator.Buffer, _ bytes: Int) -> Int? {
        switch buffer {
        case .own: return nil
        case .view: return layer.inputs.first.flatMap { places[$0] }
        case .inPlace:
            return layer.inputs.lazy.compactMap { places[$0] }.first {
                buffers[$0].isOwn && buffers[$0].last == index && buffers[$0].bytes == bytes
            }
        }
    }

    private mutating func add(_ name: String, bytes: Int, from index: Int, isOwn: Bool) {
        let last = max(lastReads[name] ?? index, index)
        places[name] = buffers.count
        ends[last].append(buffers.count)
        buffers.append(Buffer(bytes: bytes, last: last, isOwn: isOwn))
        live = saturatingSum(live, bytes)
    }

    /// Gives back what no layer after this one needs.
    mutating func release(after index: Int) {
        for buffer in ends[index] {
            if buffers[buffer].last > index {
                ends[buffers[buffer].last].append(buffer)
            } else {
                live -= buffers[buffer].bytes
            }
        }
        ends[index] = []
    }
}

/// The sum, or the largest number when it is beyond.
func saturatingSum(_ a: Int, _ b: Int) -> Int {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
}
