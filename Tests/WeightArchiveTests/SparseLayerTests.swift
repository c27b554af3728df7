import ModelFiles
import TestSupport
import Testing
import WeightArchive
import WeightMapper

/// Layers most of whose weights are alike.
struct SparseLayerTests {
    enum Pruning: CaseIterable {
        /// All but the largest hundredth, as by a threshold.
        case threshold
        /// Half of the weights, anywhere.
        case halfAtRandom
        /// All of them.
        case everything
    }

    private func model(_ pruning: Pruning) -> Safetensors {
        var generator = SeededGenerator(16)
        let values = (0..<512 * 512).map { _ -> Float in
            let value = generator.normal()
            switch pruning {
            case .threshold: return abs(value) > 2.58 ? value : 0
            case .halfAtRandom: return Bool.random(using: &generator) ? value : 0
            case .everything: return 0
            }
        }
        return Safetensors([.init("w", [512, 512], values)])
    }

    @Test(arguments: Pruning.allCases)
    func theDefaultIsNoLargerThanWhatIsMoreExactOrLess(pruning: Pruning) async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(model(pruning).bytes, "m.safetensors")
        let byDefault = try await pack(path, to: folder["default.wcz"]) { _ in }.packedBytes
        let lossless = try await pack(path, to: folder["lossless.wcz"]) { $0.quantizer = .exact }.packedBytes
        let eightBits = try await pack(path, to: folder["eight.wcz"]) { $0.bits = 8 }.packedBytes
        #expect(byDefault <= min(lossless, eightBits) + 1024)
        // What was pruned stays so.
        try await unpack(folder["default.wcz"], to: folder["restored"])
        let (original, restored) = (try ModelFiles.open(path), try ModelFiles.open(folder["restored"]))
        var (before, after) = ([Float](repeating: 1, count: 512 * 512), [Float](repeating: 1, count: 512 * 512))
        TensorWeights<Float>(original, original.tensors[0]).read(0..<before.count, into: &before)
        TensorWeights<Float>(restored, restored.tensors[0]).read(0..<after.count, into: &after)
        #expect(zip(before, after).allSatisfy { $0 != 0 || $1 == 0 })
    }
}
