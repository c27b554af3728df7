import Execution
import ModelFiles
import TestSupport
import Testing

/// The native target on graphs of one input x and one output y.
enum NativeRun {
    /// Numbers of both signs that seem to follow no rule.
    static func numbers(_ count: Int, seed: Int) -> [Float] {
        (0..<count).map { (index: Int) -> Float in
            let place = (index &* 7919 &+ seed &* 104_729) &* 31 % 1009
            return Float((place + 1009) % 1009 - 504) / 256
        }
    }

    static func tensor(_ name: String, _ shape: [Int], _ numbers: [Float]) -> ONNXTensor {
        ONNXTensor(name, 1, shape, numbers.withUnsafeBytes { Array($0) })
    }

    static func tensor(_ name: String, _ shape: [Int], seed: Int) -> ONNXTensor {
        tensor(name, shape, numbers(shape.reduce(1, *), seed: seed))
    }

    static func value(_ shape: [Int], _ numbers: [Float]) throws -> TensorValue {
        try #require(TensorValue(type: .f32, shape: shape, bytes: numbers.withUnsafeBytes { Array($0) }))
    }

    /// What some nodes make of x in a mode of the target, as "NHWC/I8".
    static func run(
        _ nodes: [ONNXNode], _ weights: [ONNXTensor], _ x: TensorValue, _ mode: String, _ target: NativeTarget,
        version: Int = 17, isPacked: Bool = false, times: Int = 1
    ) throws -> (shape: [Int], numbers: [Double]) {
        let model = ONNXModel(
            ONNXGraph([("x", 1, x.shape.map { "\($0)" })], ["y"], nodes, weights), sets: ["": version])
        let folder = try TemporaryFolder()
        let path = try folder.write(model.bytes, "model.onnx")
        let mode = try RunMode(parsing: "native/\(mode)", preferring: isPacked ? .packed : .plain)
        let network =
            isPacked
            ? try target.load(
                path,
                source: { name in
                    guard let weight = weights.first(where: { $0.name == name }), weight.type == 1 else { return nil }
                    return TensorValue(type: .f32, shape: weight.shape, bytes: weight.data)
                }, mode: mode, threads: 1)
            : try target.load(path, weights: [:], mode: mode, threads: 1)
        for _ in 1..<times { _ = try network.run(["x": x]) }
        let y = try #require(try network.run(["x": x])["y"])
        return (y.shape, try #require(y.numbers))
    }
}
