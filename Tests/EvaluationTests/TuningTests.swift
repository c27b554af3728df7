import Execution
import Foundation
import ModelFiles
import ModelGraph
import TestSupport
import Testing

@testable import Evaluation

/// The native target, but slow on some operators, wrong, or refusing them.
private struct ChangedTarget: ExecutionTarget {
    static let name = "changed"
    static let modes = [RunMode(name)]

    let native: NativeTarget
    /// Seconds that each layer of a type takes longer.
    var delays: [String: Double] = [:]
    var factor: Float = 1
    var refused: String?

    init(library: String?) async throws(ExecutionError) { native = try await NativeTarget(library: nil) }

    init(_ delays: [String: Double] = [:], factor: Float = 1, refused: String? = nil) async throws {
        native = try await NativeTarget(library: nil)
        (self.delays, self.factor, self.refused) = (delays, factor, refused)
    }

    var description: String { "changed" }

    func load(
        _ path: String, weights: [String: TensorValue], mode: RunMode, threads: Int
    ) throws(ExecutionError) -> any LoadedNetwork {
        let layers = try RunPlan.network(path).graph.layers
        if let refused, layers.contains(where: { $0.type == refused }) {
            throw .model(path: path, engine: "changed", reason: "no \(refused)")
        }
        return Changed(
            network: try native.load(path, weights: weights, mode: NativeTarget.mode, threads: 1),
            delay: layers.reduce(0) { $0 + (delays[$1.type] ?? 0) }, factor: factor)
    }

    private struct Changed: LoadedNetwork {
        let network: any LoadedNetwork
        let delay: Double
        let factor: Float

        var inputs: [NetworkPort] { network.inputs }
        var outputs: [NetworkPort] { network.outputs }
        var loadTime: Duration { network.loadTime }

        func run(_ values: [String: TensorValue]) throws(ExecutionError) -> [String: TensorValue] {
            Thread.sleep(forTimeInterval: delay)
            return try network.run(values).mapValues { value in
                let numbers = (value.numbers ?? []).flatMap { littleEndian((Float($0) * factor).bitPattern) }
                return TensorValue(type: .f32, shape: value.shape, bytes: numbers) ?? value
            }
        }
    }
}

/// Run modes found by measuring.
struct TuningTests {
    private static let path = Engines.model("convolutions")

    private func data(_ count: Int) throws -> DataSet {
        try DataSet(path: "data", count: count, hasLabels: false, joins: true) { (index) throws(DataError) in
            let numbers: [Float] = (0..<192).map { place in Float((place * 7 + index * 13) % 23 - 11) }
            let bytes = numbers.flatMap { littleEndian($0.bitPattern) }
            let value = TensorValue(type: .f32, shape: [1, 3, 8, 8], bytes: bytes)
            return Sample(inputs: ["x": value].compactMapValues { $0 }, label: nil)
        }
    }

    private func tune(
        _ targets: [String: ChangedTarget], modes: [String], _ options: RunModeTuner.Options
    ) async throws -> TuningResult {
        var options = options
        options.passes = 5
        let tuner = try RunModeTuner(
            Self.path, try RunPlan.network(Self.path), modes: modes.map { RunMode($0) },
            by: RunPlan.Means(targets: targets, threads: 1), on: try data(3), samples: 1, batch: 1, options)
        return try await tuner.run()
    }

    @Test func layersAreFoundInConnectionOrder() throws {
        let layers = try RunPlan.network(Self.path).tunableLayers()
        #expect(layers.map(\.identifier) == ["first", "second", "last"])
        #expect(layers.map(\.kind) == ["conv", "conv", "fc"])
        #expect(layers.map(\.inputChannels) == [3, 16, 64] && layers.map(\.kernels) == [16, 64, 32])
        // The activation goes with its convolution.
        #expect(layers.map(\.layers) == [[0, 1], [2], [5]])
    }

    @Test func theClaimsSayWhichLayersAreTriedHow() throws {
        let layers = try RunPlan.network(Self.path).tunableLayers()
        func names(_ selection: LayerSelection) -> [[String]] {
            [selection.together.map(\.identifier), selection.alone.map(\.identifier)]
        }
        #expect(names(LayerSelection(layers, first: 2)) == [["first", "second"], []])
        #expect(names(LayerSelection(layers, first: 9)) == [["first", "second", "last"], []])
        let second = LayerSelection(layers, second: 2, inputChannels: nil, kernels: 64)
        #expect(names(second) == [["first"], ["second"]])
        let either = LayerSelection(layers, second: 3, inputChannels: 64, kernels: 16)
        #expect(names(either) == [["second"], ["first", "last"]])
        #expect(names(LayerSelection(layers, second: 1, inputChannels: 16, kernels: 32)) == [["first"], []])
        #expect([1, 2, 3, 4, 8, 9, 64, 65].map(RunModeTuner.defaultCount) == [1, 6, 3, 3, 2, 1, 1, 1])
        let (a, b) = (RunMode("a"), RunMode("b"))
        #expect(RunModeTuner.choices([a, b], 2) == [[a, a], [a, b], [b, a], [b, b]])
        #expect(RunModeTuner.choices([a, b], 0) == [[]])
    }

    @Test(.enabled(if: Engines.hasOpenBLAS)) func theFastestCombinationIsChosen() async throws {
        let targets = [
            "quick at conv": try await ChangedTarget(["Gemm": 0.02]),
            "quick at fc": try await ChangedTarget(["Conv": 0.02]),
        ]
        var options = RunModeTuner.Options()
        options.selection = { LayerSelection($0, first: 3) }
        let result = try await tune(targets, modes: ["quick at conv", "quick at fc"], options)
        #expect(result.bestSingle.modes == [RunMode("quick at conv")] && result.combinations.count == 8)
        #expect(result.winner.modes.map(\.target) == ["quick at conv", "quick at conv", "quick at fc"])
        #expect(result.modes.map(\.target) == Array(repeating: "quick at conv", count: 5) + ["quick at fc"])
        #expect(result.gain > 0.5 && result.gain < 1 && result.gainNoise < result.gain && result.winner.error == 0)
    }

    @Test(.enabled(if: Engines.hasOpenBLAS)) func layersThatMeetTheConditionAreTimedAlone() async throws {
        let targets = [
            "even": try await ChangedTarget(["Conv": 0.01]),
            "quick at conv": try await ChangedTarget(["Gemm": 0.05, "Flatten": 0.05]),
        ]
        var options = RunModeTuner.Options()
        options.selection = { LayerSelection($0, second: 2, inputChannels: nil, kernels: 64) }
        let result = try await tune(targets, modes: ["even", "quick at conv"], options)
        #expect(result.alone.map(\.layer.identifier) == ["second"])
        #expect(result.alone.first?.trials.map(\.modes) == [[RunMode("quick at conv")], [RunMode("even")]])
        #expect(result.combinations.count == 2 && result.designated == RunMode("even"))
        #expect(result.modes.map(\.target) == Array(repeating: "quick at conv", count: 3) + ["even", "even", "even"])
    }

    @Test(.enabled(if: Engines.hasOpenBLAS)) func modesThatFailOrGiveOthersOutputsAreNotChosen() async throws {
        let targets = [
            "slow": try await ChangedTarget(["Conv": 0.01]), "wrong": try await ChangedTarget(factor: 1.01),
            "refusing": try await ChangedTarget(refused: "Gemm"),
        ]
        let result = try await tune(targets, modes: ["slow", "wrong", "refusing"], RunModeTuner.Options())
        #expect(result.reference == RunMode("slow") && result.winner.modes == [RunMode("slow")] && result.gain == 0)
        #expect(result.singles.map { $0.refusal != nil } == [false, true, true])
        #expect(abs((result.singles[1].error ?? 0) - 0.01) < 1e-4 && result.singles[2].refusal == "changed: no Gemm")
        var options = RunModeTuner.Options()
        options.tolerance = 0.1
        let tolerant = try await tune(targets, modes: ["slow", "wrong"], options)
        #expect(tolerant.winner.modes == [RunMode("wrong")])
        await #expect(throws: ExecutionError.self) { try await tune(targets, modes: ["refusing"], options) }
        options.selection = { LayerSelection($0, first: 3) }
        options.designated = RunMode("slow")
        let designated = try await tune(targets, modes: ["slow", "wrong"], options)
        #expect(designated.designated == RunMode("slow"))
    }

    @Test func timesAreMediansWithTheirNoise() {
        let timing = RunTiming([3, 1, 2, 100, 2])
        #expect(timing.median == 2 && timing.passes == 5)
        #expect(abs(timing.noise - 1.4826 * 1.2533 / 5.0.squareRoot()) < 1e-9)
        #expect(RunTiming([1, 2]).median == 1.5)
        let steady = (0..<20).map { 1 + Double($0 % 3) / 10 }
        #expect(RunTiming.isFaster(steady))
        #expect(!RunTiming.isFaster(steady.map(-)) && !RunTiming.isFaster(Array(steady.prefix(5))))
        #expect(!RunTiming.isFaster((0..<20).map { $0 % 3 == 0 ? -1 : 1 }))
    }

    @Test func outputsAreComparedOneByOne() throws {
        func value(_ numbers: [Float]) -> TensorValue? {
            TensorValue(type: .f32, shape: [numbers.count], bytes: numbers.flatMap { littleEndian($0.bitPattern) })
        }
        let expected = try ["a": #require(value([3, 4])), "b": #require(value([1]))]
        func error(_ changed: [String: [Float]]) throws -> Double {
            let found = try expected.merging(changed.mapValues { try #require(value($0)) }) { $1 }
            return TestData.error([expected, found], against: [expected, expected])
        }
        #expect(try error([:]) == 0 && error(["a": [3, 4.5]]) == 0.1 && error(["a": [3, 4], "b": [2]]) == 1)
        #expect(try error(["a": [3]]) == .infinity && error(["b": [.nan]]) == .infinity)
        #expect(TestData.error([[:]], against: [expected]) == .infinity)
    }
}
