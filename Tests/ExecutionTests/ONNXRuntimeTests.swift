import ModelFiles
import ModelGraph
import TestSupport
import Testing

@testable import Execution

/// Networks run by ONNX Runtime.
@Suite(.enabled(if: Engines.onnxruntime != nil)) struct ONNXRuntimeTests {
    private func load(
        _ name: String, weights: [String: TensorValue] = [:]
    ) async throws -> any LoadedNetwork {
        let target = try await ONNXRuntime(library: Engines.onnxruntime)
        return try target.load(Engines.model(name), weights: weights, mode: ONNXRuntime.mode, threads: 1)
    }

    @Test func portsSayWhatAModelDeclares() async throws {
        let network = try await load("lookup")
        #expect(
            network.inputs == [
                NetworkPort(name: "ids", type: .i64, shape: [.symbol("count")]),
                NetworkPort(name: "scale", type: .f32, shape: []),
            ])
        #expect(network.outputs.map(\.text) == ["F32 countx2", "I64 count"])
        #expect(network.loadTime > .zero)
    }

    @Test func valuesGoInAndOutByName() async throws {
        let network = try await load("lookup")
        let results = try network.run(["ids": .integers([3], [2, 0, 2]), "scale": .floats([], [10])])
        #expect(results["vectors"] == .floats([3, 2], [50, 60, 10, 20, 50, 60]))
        #expect(results["same"] == .integers([3], [2, 0, 2]))
        let none = try network.run(["ids": .integers([0], []), "scale": .floats([], [10])])
        #expect(none["vectors"]?.shape == [0, 2])
    }

    @Test func weightsTakeThePlaceOfTheModelsByName() async throws {
        let input = ["x": TensorValue.floats([1, 4], [1, 0, 0, 1])]
        #expect(try await load("linear").run(input)["y"] == .floats([1, 3], [109, 211, 313]))
        let changed = try await load("linear", weights: ["b": .floats([3], [0, 0, 1])])
        #expect(try changed.run(input)["y"] == .floats([1, 3], [9, 11, 14]))
    }

    @Test(arguments: [
        ("nosuch", TensorValue.floats([3], [0, 0, 0]), "an initializer"),
        ("b", .floats([4], [0, 0, 0, 0]), "expected F32 3, found F32 4"),
        ("b", .integers([3], [0, 0, 0]), "expected F32 3, found I64 3"), ("x", .floats([1, 4], [0, 0, 0, 0]), "none"),
    ])
    func weightsThatTheModelDoesNotHaveAreRefused(name: String, value: TensorValue, words: String) async throws {
        let error = await #expect(throws: ExecutionError.self) { try await load("linear", weights: [name: value]) }
        let text = try #require(error?.description)
        #expect(text.contains("linear.onnx") && text.contains("\"\(name)\"") && text.contains(words), "\(text)")
    }

    @Test(
        arguments: [
            ([:], "expected F32 batchx4, found no value"), (["x": .floats([4], [0, 0, 0, 0])], "found F32 4"),
            (["x": .floats([1, 3], [0, 0, 0])], "found F32 1x3"),
            (["x": .integers([1, 4], [0, 0, 0, 0])], "found I64 1x4"),
            (["x": .floats([1, 4], [0, 0, 0, 0]), "z": .floats([], [0])], "\"z\""),
        ] as [([String: TensorValue], String)])
    func valuesThatDoNotFitAreRefused(values: [String: TensorValue], words: String) async throws {
        let network = try await load("linear")
        let error = #expect(throws: ExecutionError.self) { try network.run(values) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test func whatTheEngineRefusesIsSaidInOneLine() async throws {
        let folder = try TemporaryFolder()
        let target = try await ONNXRuntime(library: Engines.onnxruntime)
        let path = try folder.write([1, 2, 3], "broken.onnx")
        for path in [path, folder["missing.onnx"]] {
            let error = #expect(throws: ExecutionError.self) {
                try target.load(path, weights: [:], mode: ONNXRuntime.mode, threads: 1)
            }
            let text = try #require(error?.description)
            #expect(text.contains(path) && !text.contains("\n"), "\(text)")
        }
        let network = try await load("lookup")
        let error = #expect(throws: ExecutionError.self) {
            try network.run(["ids": .integers([1], [7]), "scale": .floats([], [1])])
        }
        #expect(error?.description.contains("lookup.onnx") == true)
    }

    @Test func runsOfSeveralThreadsAtOnceDoNotMix() async throws {
        let network = try await load("linear")
        let sums = try await withThrowingTaskGroup(of: Bool.self) { tasks in
            for number in 0..<50 {
                tasks.addTask {
                    let result = try network.run(["x": .floats([1, 4], [Float(number), 0, 0, 0])])
                    return result["y"] == .floats([1, 3], [100, 200 + Float(number), 300 + 2 * Float(number)])
                }
            }
            return try await tasks.reduce(into: [Bool]()) { $0.append($1) }
        }
        #expect(sums.count == 50 && sums.allSatisfy { $0 })
    }
}

/// Finding the library.
struct ONNXRuntimeLibraryTests {
    @Test func otherLibrariesAndMissingOnesAreSaidWithAdvice() async throws {
        for path in ["libc.so.6", "/nonexistent/libonnxruntime.so"] {
            let error = await #expect(throws: ExecutionError.self) { try await ONNXRuntime(library: path) }
            let text = try #require(error?.description)
            #expect(text.contains(path) && text.contains("pip install onnxruntime"), "\(text)")
        }
    }

    @Test func targetsAreFoundByName() throws {
        #expect(try ExecutionTargets.named("onnxruntime") == ONNXRuntime.self)
        #expect(throws: ExecutionError.self) { try ExecutionTargets.named("abacus") }
    }

    @Test func aRunModeIsTheFirstThatBeginsWithItsText() throws {
        for target in ExecutionTargets.all {
            #expect(try RunMode(parsing: target.name) == target.mode)
            #expect(
                target.modes.allSatisfy { $0.target == target.name } && Set(target.modes).count == target.modes.count)
            for mode in target.modes { #expect(try RunMode(parsing: mode.description) == mode) }
        }
        #expect(try RunMode(parsing: "onnxruntime/nchw").description == "onnxruntime/NCHW/F32/plain")
        #expect(try RunMode(parsing: "native", preferring: .packed).weights == .packed)
        #expect(try RunMode(parsing: "native/NCHW/F32/plain", preferring: .packed).weights == .plain)
        #expect(try RunMode(parsing: "onnxruntime", preferring: .packed).weights == .plain)
        for text in ["onnxruntime/NHWC", "native/NCHW/F32/plain/more", "native/", "native//F32"] {
            #expect(throws: ExecutionError.self) { try RunMode(parsing: text) }
        }
    }
}
