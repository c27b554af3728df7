import TestSupport
import Testing

@testable import Execution

/// Networks run by OpenVINO.
@Suite(.enabled(if: Engines.openvino != nil)) struct OpenVINOTests {
    private func load(_ name: String, weights: [String: TensorValue] = [:]) async throws -> any LoadedNetwork {
        let target = try await OpenVINO(library: Engines.openvino)
        return try target.load(Engines.model(name), weights: weights, mode: OpenVINO.mode, threads: 1)
    }

    @Test func valuesGoInAndOutByName() async throws {
        let network = try await load("lookup")
        #expect(network.inputs.map(\.name) == ["ids", "scale"] && network.outputs.map(\.name) == ["vectors", "same"])
        let results = try network.run(["ids": .integers([3], [2, 0, 2]), "scale": .floats([], [10])])
        #expect(results["vectors"] == .floats([3, 2], [50, 60, 10, 20, 50, 60]))
        #expect(results["same"] == .integers([3], [2, 0, 2]))
        // The request is used again, with other sizes.
        let one = try network.run(["ids": .integers([1], [1]), "scale": .floats([], [2])])
        #expect(one["vectors"] == .floats([1, 2], [6, 8]))
    }

    @Test func scalarsAndInputsThatCountForNothingAreTaken() async throws {
        let network = try await load("scalar")
        #expect(network.inputs.map(\.name) == ["x", "unused"])
        let results = try network.run(["x": .floats([2], [3, 4]), "unused": .floats([1], [0])])
        #expect(results["sum"] == .floats([], [7]))
        #expect(throws: ExecutionError.self) { try network.run(["x": .floats([2], [3, 4])]) }
    }

    @Test func weightsTakeThePlaceOfTheModelsByName() async throws {
        let input = ["x": TensorValue.floats([1, 4], [1, 0, 0, 1])]
        let changed = try await load("linear", weights: ["b": .floats([3], [0, 0, 1])])
        #expect(try changed.run(input)["y"] == .floats([1, 3], [9, 11, 14]))
        await #expect(throws: ExecutionError.self) { try await load("linear", weights: ["b": .floats([1], [0])]) }
    }

    @Test func mistakesAreSaidInOneLine() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write([1, 2, 3], "broken.onnx")
        let target = try await OpenVINO(library: Engines.openvino)
        let error = #expect(throws: ExecutionError.self) {
            try target.load(path, weights: [:], mode: OpenVINO.mode, threads: 1)
        }
        let text = try #require(error?.description)
        #expect(text.contains("broken.onnx") && !text.contains("\n"), "\(text)")
        let network = try await load("linear")
        #expect(throws: ExecutionError.self) { try network.run(["x": .floats([1, 3], [0, 0, 0])]) }
    }
}
