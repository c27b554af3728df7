import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// ONNX models through the packed file and back.
struct ONNXTests {
    /// The largest tensors of each are packed unasked.
    private static let packed = onnxFixtures.filter { $0 != "onnx/dtypes.onnx" }

    private func restoredPath(_ model: ModelFile, _ folder: TemporaryFolder) -> String {
        model.files.count == 1 ? folder["restored.onnx"] : folder["restored.onnx/\(model.files[0].name)"]
    }

    @Test(arguments: onnxFixtures, Medium.allCases)
    func everyByteButThePackedWeightsComesBack(file: String, medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let original = try ModelFiles.open(modelFixture(file))
        let result = try await pack(modelFixture(file), to: folder["m.wcz"]) { $0.medium = medium }
        #expect(result.summary.layers.isEmpty == !Self.packed.contains(file))
        try await unpack(folder["m.wcz"], to: folder["restored.onnx"])
        try expectFaithful(original, restoredPath(original, folder), PackedModel(folder["m.wcz"]))
    }

    @Test(
        .enabled(if: ONNXLibrary.isInstalled, "needs Python with onnx and onnxruntime"),
        arguments: onnxFixtures, [true, false])
    func whatComesBackIsAModelToTheLibraries(file: String, isPacked: Bool) async throws {
        let folder = try TemporaryFolder()
        let original = try ModelFiles.open(modelFixture(file))
        try await pack(modelFixture(file), to: folder["m.wcz"]) {
            $0.bits = 8
            if !isPacked { $0.exclude = [""] }
        }
        try await unpack(folder["m.wcz"], to: folder["restored.onnx"])
        let complaint = try ONNXLibrary.compare(
            modelFixture(file), restoredPath(original, folder), isLossless: !isPacked)
        #expect(complaint == nil)
    }

    @Test func biasesOfRecurrentLayersStayAsTheyAre() throws {
        let planned = try Packer(ModelFiles.open(modelFixture("onnx/operators.onnx")), PackOptions()).plan
        for name in ["lstm.b", "gru.b", "rnn.b", "gemm.bias"] {
            #expect(planned.first { $0.name == name }?.kept == .vector)
        }
    }

    @Test func kindsThatTheGraphSaysReachThePackedFile() async throws {
        let folder = try TemporaryFolder()
        let result = try await pack(modelFixture("onnx/operators.onnx"), to: folder["m.wcz"]) { $0.include = [""] }
        let kinds = Dictionary(uniqueKeysWithValues: result.summary.layers.map { ($0.name, $0.kind) })
        #expect(kinds["matmul"] == "fc" && kinds["table"] == "embedding" && kinds["transpose"] == "conv")
        #expect(kinds["lstm.torch.w"] == "lstm" && kinds["gru.r"] == "gru" && kinds["depthwise"] == "depthwise")
    }
}

/// Python with the onnx and onnxruntime packages, which `./test` installs.
private enum ONNXLibrary {
    static let isInstalled = Python.has("onnx, onnxruntime")

    /// What `compare.py` has to say against a restored model; nil for nothing.
    static func compare(_ original: String, _ restored: String, isLossless: Bool) throws -> String? {
        let arguments = [modelFixture("onnx/compare.py"), original, restored] + (isLossless ? ["--lossless"] : [])
        let result = try Python.run(arguments)
        return result.status == 0 ? nil : result.output
    }
}
