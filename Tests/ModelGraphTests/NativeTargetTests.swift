import Execution
import Foundation
import ModelFiles
import ModelGraph
import Synchronization
import TestSupport
import Testing

/// The native target on graphs made by hand.
@Suite(.enabled(if: Engines.hasOpenBLAS)) struct NativeTargetTests {
    private static func numbers(_ count: Int, seed: Int) -> [Float] {
        (0..<count).map { Float(($0 * 7 + seed * 13) % 23 - 11) / 8 }
    }

    private static func tensor(_ name: String, _ shape: [Int], seed: Int, positive: Bool = false) -> ONNXTensor {
        let list = numbers(shape.reduce(1, *), seed: seed).map { positive ? abs($0) + 0.5 : $0 }
        return ONNXTensor(name, 1, shape, list.withUnsafeBytes { Array($0) })
    }

    private static func value(_ shape: [Int]) throws -> TensorValue {
        let list = numbers(shape.reduce(1, *), seed: 5)
        return try #require(TensorValue(type: .f32, shape: shape, bytes: list.withUnsafeBytes { Array($0) }))
    }

    private static let normalized = ONNXModel(
        ONNXGraph(
            [("x", 1, ["1", "4", "6", "6"])], ["y"],
            [
                ONNXNode("Conv", ["x", "w"], ["a"], ["pads": .ints([1, 1, 1, 1]), "group": .int(2)]),
                ONNXNode("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"], ["epsilon": .float(0.01)]),
                ONNXNode("Relu", ["n"], ["r"]), ONNXNode("Flatten", ["r"], ["f"]),
                ONNXNode("MatMul", ["f", "u"], ["p"]), ONNXNode("Add", ["p", "c"], ["q"]),
                ONNXNode("Sigmoid", ["q"], ["y"]),
            ],
            [
                tensor("w", [6, 2, 3, 3], seed: 1), tensor("s", [6], seed: 2), tensor("b", [6], seed: 3),
                tensor("m", [6], seed: 4), tensor("v", [6], seed: 5, positive: true), tensor("u", [216, 5], seed: 6),
                tensor("c", [5], seed: 7),
            ]))

    private func run(_ model: ONNXModel, _ target: NativeTarget, times: Int = 1) throws -> [Double] {
        let folder = try TemporaryFolder()
        let network = try target.load(
            try folder.write(model.bytes, "model.onnx"), weights: [:], mode: NativeTarget.mode, threads: 1)
        var result: [Double] = []
        for _ in 0..<times {
            result = try #require(try network.run(["x": try Self.value([1, 4, 6, 6])])["y"]?.numbers)
        }
        return result
    }

    @Test func fusedLayersGiveTheSame() async throws {
        var target = try await NativeTarget(library: nil)
        let fused = try run(Self.normalized, target)
        #expect(try run(Self.normalized, target, times: 2) == fused)
        target.configuration = TargetConfiguration(targets: [.init(name: "native", operators: ["*"])])
        let plain = try run(Self.normalized, target)
        #expect(plain.count == 5)
        #expect(zip(fused, plain).allSatisfy { abs($0 - $1) < 1e-5 })
        #expect(Set(plain).count > 1)
    }

    @Test func asksForEachWeightWhenItsLayerRuns() async throws {
        let target = try await NativeTarget(library: nil)
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.normalized.bytes, "model.onnx")
        let asked = Mutex<[String]>([])
        let doubled = Self.numbers(216 * 5, seed: 6).map { 2 * $0 }
        let network = try target.load(
            path,
            source: { name in
                asked.withLock { $0.append(name) }
                guard name == "u" else { return nil }
                return TensorValue(type: .f32, shape: [216, 5], bytes: doubled.withUnsafeBytes { Array($0) })
            }, mode: RunMode(NativeTarget.name, weights: .packed), threads: 1)
        #expect(asked.withLock { $0 }.isEmpty)
        let found = try #require(try network.run(["x": try Self.value([1, 4, 6, 6])])["y"]?.numbers)
        #expect(asked.withLock { $0 }.contains("u"))
        #expect(found != (try run(Self.normalized, target)))
    }

    @Test func namesTheFirstLayerThatItDoesNotCompute() async throws {
        let target = try await NativeTarget(library: nil)
        let model = ONNXModel(
            ONNXGraph([("x", 1, ["1", "4", "6", "6"])], ["y"], [ONNXNode("RoiAlign", ["x"], ["y"], name: "align")]))
        let error = #expect(throws: ExecutionError.self) { try run(model, target) }
        #expect(
            error?.description.hasSuffix(
                "native refuses it: expected an operator that it computes, found RoiAlign (node \"align\")") == true)
    }

    @Test(arguments: [
        ([1 << 40, 1 << 20], "sizes that fit in memory"), ([-5, 3], "sizes that fit in memory"),
    ])
    func refusesSizesThatNoMemoryHolds(shape: [Int], expected: String) async throws {
        let target = try await NativeTarget(library: nil)
        let model = ONNXModel(
            ONNXGraph(
                [("x", 1, ["1", "4", "6", "6"])], ["y"],
                [ONNXNode("ConstantOfShape", ["s"], ["y"], name: "fill")], [ONNXTensor("s", integers: shape)]))
        let error = #expect(throws: ExecutionError.self) { try run(model, target) }
        #expect(error?.description.contains("node \"fill\": expected \(expected)") == true)
    }
}
