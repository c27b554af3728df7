import Foundation
import ModelFiles
import ModelGraph
import TestSupport
import Testing

@testable import Execution

/// Trained networks, where `scripts/fetch-models` brought them, beside ONNX Runtime.
@Suite(.enabled(if: Engines.hasOpenBLAS && Engines.onnxruntime != nil)) struct TrainedNetworkTests {
    private static let folder: String = {
        if let path = ProcessInfo.processInfo.environment["WCODEC_MODELS"] { return path }
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return tests.deletingLastPathComponent().appending(path: ".models").path
    }()

    /// Those that are there, with sizes of inputs that the model leaves open, and how far integers may be off.
    private static let models: [(path: String, sizes: [String: [Int]], bound: Double)] = [
        ("silero/silero_vad.onnx", ["input": [1, 576], "state": [2, 1, 128]], 0.1),
        ("silero/silero_vad_16k_sequence.onnx", ["input": [3, 576]], 1),
        ("magika/model.onnx", [:], 0.02), ("ocr/ch_PP-OCRv4_rec_infer.onnx", ["x": [1, 3, 48, 96]], 0.3),
    ].filter { FileManager.default.fileExists(atPath: "\(folder)/\($0.0)") }

    private static func value(_ port: NetworkPort, _ sizes: [String: [Int]]) throws -> TensorValue {
        let type = try #require(port.type)
        let shape = sizes[port.name] ?? (port.shape ?? []).map { $0.size ?? 1 }
        let numbers = (0..<shape.reduce(1, *)).map { $0 &* 7919 % 256 }
        let bytes: [UInt8] =
            switch type {
            case .i32: numbers.map(Int32.init).withUnsafeBytes { Array($0) }
            case .i64: numbers.map { Int64(shape.isEmpty ? 16000 : $0) }.withUnsafeBytes { Array($0) }
            default: numbers.map { Float($0) / 256 - 0.5 }.withUnsafeBytes { Array($0) }
            }
        return try #require(TensorValue(type: type, shape: shape, bytes: bytes))
    }

    /// Runs a model by ONNX Runtime.
    private static func run(_ path: String, _ sizes: [String: [Int]]) async throws -> (
        values: [String: TensorValue], outputs: [String: TensorValue]
    ) {
        let peer = try await ONNXRuntime(library: Engines.onnxruntime)
            .load(path, weights: [:], mode: ONNXRuntime.mode, threads: 1)
        var values: [String: TensorValue] = [:]
        for port in peer.inputs { values[port.name] = try value(port, sizes) }
        return (values, try peer.run(values))
    }

    /// The largest difference of two outputs; `nil` where they are not alike.
    private static func difference(_ a: TensorValue?, _ b: TensorValue) -> Double? {
        guard let a, a.shape == b.shape, let a = a.numbers, let b = b.numbers else { return nil }
        return zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }

    @Test(
        .enabled(if: Engines.openvino != nil),
        // It refuses branches of different ranks, as those of silero_vad.onnx.
        arguments: models.filter { $0.path != "silero/silero_vad.onnx" })
    func agreeInOpenVINO(model: (path: String, sizes: [String: [Int]], bound: Double)) async throws {
        let path = "\(Self.folder)/\(model.path)"
        let (values, expected) = try await Self.run(path, model.sizes)
        let found = try await OpenVINO(library: Engines.openvino)
            .load(path, weights: [:], mode: OpenVINO.mode, threads: 1).run(values)
        for (name, value) in expected {
            #expect(try #require(Self.difference(found[name], value), "\(name)") <= 1e-4, "\(name)")
        }
    }

    @Test(arguments: models)
    func agreeInEveryMode(model: (path: String, sizes: [String: [Int]], bound: Double)) async throws {
        let path = "\(Self.folder)/\(model.path)"
        let (values, expected) = try await Self.run(path, model.sizes)
        let target = try await NativeTarget(library: nil)
        for mode in NativeTarget.modes where mode.weights == .plain {
            let network = try target.load(path, weights: [:], mode: mode, threads: 1)
            _ = try network.run(values)
            let found = try network.run(values)
            for (name, value) in expected {
                let largest = try #require(Self.difference(found[name], value), "\(mode) \(name)")
                #expect(largest <= (mode.type == "F32" ? 1e-4 : model.bound), "\(mode) \(name)")
            }
        }
    }
}
