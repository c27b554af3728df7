import Execution
import Foundation
import ModelFiles
import ModelGraph
import TestSupport
import Testing

/// Networks that are run in several modes.
struct PartitionTests {
    private static let modes = [RunMode("a"), RunMode("b"), RunMode("a", layout: "NHWC")]

    /// A graph of layers that take values of earlier ones at random, in the order of their numbers.
    private static func graph(_ count: Int, _ random: inout SystemRandomNumberGenerator) -> Graph {
        let layers = (0..<count).map { index in
            let inputs = (0..<Int.random(in: 1...3, using: &random)).map { _ -> String in
                let source = Int.random(in: -2..<max(index, 1), using: &random)
                return source == -2 ? "x" : source == -1 ? "w" : index == 0 ? "x" : "y\(source)"
            }
            return Layer(identifier: "n\(index)", type: "Sum", inputs: inputs, outputs: ["y\(index)"])
        }
        return Graph(
            inputs: ["x"], outputs: ["y\(count - 1)", "y0"], weights: [Weight(value: "w", name: "w")], layers: layers,
            values: [:])
    }

    @Test func segmentsRunEachLayerOnceAfterWhatItTakes() {
        var random = SystemRandomNumberGenerator()
        for count in 1...40 {
            let graph = Self.graph(count, &random)
            let modes = graph.layers.map { _ in Self.modes.randomElement(using: &random) ?? Self.modes[0] }
            let segments = Partition(graph, modes: modes).segments
            #expect(segments.flatMap(\.layers).sorted() == Array(graph.layers.indices))
            var known: Set = ["x"]
            for segment in segments {
                #expect(
                    segment.layers.allSatisfy { modes[$0] == segment.mode } && segment.layers == segment.layers.sorted()
                )
                #expect(known.isSuperset(of: segment.inputs) && Set(segment.inputs).count == segment.inputs.count)
                var inside = Set(segment.inputs).union(segment.weights)
                for layer in segment.layers.map({ graph.layers[$0] }) {
                    #expect(inside.isSuperset(of: layer.inputs))
                    inside.formUnion(layer.outputs)
                }
                #expect(inside.isSuperset(of: segment.outputs) && Set(segment.weights).isSubset(of: ["w"]))
                known.formUnion(segment.outputs)
            }
            #expect(known.isSuperset(of: graph.outputs))
            // Nothing is handed on that nobody takes.
            #expect(known.isSubset(of: Set(segments.flatMap(\.inputs) + graph.outputs + ["x"])))
            #expect(zip(segments, segments.dropFirst()).allSatisfy { $0.mode != $1.mode })
        }
    }

    @Test func layersOfAModeAreGatheredAcrossBranches() {
        func layer(_ name: String, _ inputs: [String]) -> Layer {
            Layer(identifier: name, type: "Sum", inputs: inputs, outputs: [name])
        }
        let graph = Graph(
            inputs: ["x"], outputs: ["e"], weights: [],
            layers: [
                layer("a", ["x"]), layer("b", ["x"]), layer("c", ["a"]), layer("d", ["b"]), layer("e", ["c", "d"]),
            ],
            values: [:])
        let (a, b) = (Self.modes[0], Self.modes[1])
        let segments = Partition(graph, modes: [a, b, a, b, a]).segments
        #expect(segments.map(\.layers) == [[0, 2], [1, 3], [4]])
        #expect(segments.map(\.outputs) == [["c"], ["d"], ["e"]])
    }

    /// A model with a convolution, a branch, a constant and a function.
    private static func model() -> ONNXModel {
        func tensor(_ name: String, _ shape: [Int]) -> ONNXTensor {
            let list = (0..<shape.reduce(1, *)).map { Float(($0 * 7 + shape.count) % 23 - 11) / 8 }
            return ONNXTensor(name, 1, shape, list.withUnsafeBytes { Array($0) })
        }
        return ONNXModel(
            ONNXGraph(
                [("x", 1, ["batch", "2", "5", "5"])], ["y", "r"],
                [
                    ONNXNode("Conv", ["x", "w"], ["a"], ["pads": .ints([1, 1, 1, 1])]),
                    ONNXNode("Constant", [], ["k"], ["value": .tensor(tensor("k", [1]))]),
                    ONNXNode("Mul", ["a", "k"], ["m"]), ONNXNode("Relu", ["m"], ["r"]),
                    ONNXNode("Twice", ["r"], ["t"], domain: "own"),
                    ONNXNode("Add", ["t", "m"], ["s"]), ONNXNode("Conv", ["s", "v"], ["y"]),
                ],
                [tensor("w", [3, 2, 3, 3]), tensor("v", [2, 3, 1, 1])]),
            sets: ["": 17, "own": 1],
            functions: [
                .init(
                    name: "Twice", domain: "own", inputs: ["i"], outputs: ["o"],
                    nodes: [ONNXNode("Add", ["i", "i"], ["o"])])
            ])
    }

    private static func input() throws -> [String: TensorValue] {
        let list = (0..<100).map { Float($0 % 13) - 6 }
        return [
            "x": try #require(TensorValue(type: .f32, shape: [2, 2, 5, 5], bytes: list.withUnsafeBytes { Array($0) }))
        ]
    }

    @Test(.enabled(if: Engines.hasOpenBLAS)) func dividedNetworksGiveWhatWholeOnesDo() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model().bytes, "model.onnx")
        let means = RunPlan.Means(targets: ["native": try await NativeTarget(library: nil)], threads: 1)
        let expected = try RunPlan.all(NativeTarget.mode).load(path, by: means).run(try Self.input())
        let network = try RunPlan.network(path)
        let packed = RunMode("native", weights: .packed)
        for number in 0..<1 << network.graph.layers.count {
            let modes = network.graph.layers.indices.map { number >> $0 & 1 == 0 ? NativeTarget.mode : packed }
            let divided = try RunPlan.each(network, modes).load(path, by: means)
            #expect(divided.inputs.map(\.text) == ["F32 batchx2x5x5"])
            #expect(try divided.run(try Self.input()) == expected, "\(modes)")
        }
    }

    @Test(.enabled(if: Engines.hasOpenBLAS && Engines.onnxruntime != nil)) func targetsHandValuesToEachOther()
        async throws
    {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model().bytes, "model.onnx")
        let runtime = try await ONNXRuntime(library: Engines.onnxruntime)
        let means = RunPlan.Means(
            targets: ["native": try await NativeTarget(library: nil), "onnxruntime": runtime], threads: 1)
        let expected = try RunPlan.all(ONNXRuntime.mode).load(path, by: means).run(try Self.input())
        // What it does not name falls back to the default target.
        let configuration = TargetConfiguration(targets: [.init(name: "native", operators: ["Conv", "Relu"])])
        let plan = try RunPlan(configuration, of: path, weights: .packed)
        #expect(
            plan.modes.map(\.description).sorted() == ["native/NCHW/F32/packed", "onnxruntime/blocked/F32/plain"])
        let found = try plan.load(path, by: means).run(try Self.input())
        for (name, value) in expected {
            let pairs = zip(try #require(value.numbers), try #require(found[name]?.numbers))
            #expect(value.shape == found[name]?.shape && pairs.allSatisfy { abs($0 - $1) < 1e-4 }, "\(name)")
        }
    }

    @Test func aTargetMayBeThereTwiceInOtherModes() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model().bytes, "model.onnx")
        let configuration = TargetConfiguration(targets: [
            .init(name: "native", operators: ["Conv"], type: "I8", layout: "NHWC"),
            .init(name: "native", operators: ["*"]),
        ])
        guard case .each(let network, let modes) = try RunPlan(configuration, of: path, weights: .plain) else {
            Issue.record("expected a mode for each layer")
            return
        }
        for (layer, mode) in zip(network.graph.layers, modes) where layer.graphs.isEmpty {
            let expected = layer.type == "Conv" ? "native/NHWC/I8/plain" : "native/NCHW/F32/plain"
            #expect(mode.description == expected, "\(layer.type)")
        }
        #expect(Set(modes).count == 2)
    }

    @Test func aModelHoldsItsRunModes() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model().bytes, "model.onnx")
        #expect(try RunModeMap(of: path) == nil && RunPlan(heldBy: path) == nil)
        let network = try RunPlan.network(path)
        let modes = network.graph.layers.indices.map { RunMode("native", weights: $0 % 2 == 0 ? .plain : .packed) }
        let map = RunModeMap(network.graph, modes)
        let (once, twice) = (folder["once.onnx"], folder["twice.onnx"])
        try map.write(path, to: once)
        guard case .each(let held, modes)? = try RunPlan(heldBy: once) else {
            Issue.record("expected the modes")
            return
        }
        #expect(held.graph.layers == network.graph.layers)
        // Another map takes its place, and the model stays one that everything reads.
        let other = network.graph.layers.map { _ in NativeTarget.mode }
        try RunModeMap(network.graph, other).write(once, to: twice)
        #expect(try RunPlan(heldBy: twice)?.modes == [NativeTarget.mode])
        let size = try Data(contentsOf: URL(filePath: path)).count
        let held2 = try Data(contentsOf: URL(filePath: twice))
        #expect(held2.prefix(size) == Data(Self.model().bytes) && held2.count < size + 400)
    }

    @Test func mapsThatDoNotFitAreRefusedInOneLine() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model().bytes, "model.onnx")
        let cases = [
            ("{", "other text"), (#"{"format":"wcodec-run-modes","version":2,"modes":[],"layers":{}}"#, "other text"),
            (#"{"format":"wcodec-run-modes","version":1,"modes":["native"],"layers":{"a":1}}"#, "other text"),
            (#"{"format":"wcodec-run-modes","version":1,"modes":["abacus"],"layers":{"a":0}}"#, "abacus"),
            (#"{"format":"wcodec-run-modes","version":1,"modes":["native"],"layers":{"a":0}}"#, "a mode for node"),
        ]
        for (number, (text, words)) in cases.enumerated() {
            let other = folder["\(number).onnx"]
            try ONNXMetadata.write(text, for: RunModeMap.key, to: try MappedFile(path), as: other)
            let error = #expect(throws: ExecutionError.self) { try RunPlan(heldBy: other) }
            let line = error?.description ?? ""
            #expect(line.contains(words) && !line.contains("\n"), "\(line)")
        }
    }

    @Test func valuesOfUnknownTypeAreNoBorder() throws {
        let folder = try TemporaryFolder()
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["2"])], ["y"],
                [ONNXNode("Mystery", ["x"], ["m"], domain: "own"), ONNXNode("Relu", ["m"], ["y"])]),
            sets: ["": 17, "own": 1])
        let path = try folder.write(model.bytes, "model.onnx")
        let plan = RunPlan.each(try RunPlan.network(path), [RunMode("a"), RunMode("b")])
        let error = #expect(throws: ExecutionError.self) {
            try plan.load(path, by: RunPlan.Means(targets: [:], threads: 1))
        }
        #expect(error?.description.contains("\"m\", whose type is not known") == true, "\(error?.description ?? "")")
    }
}
