import TestSupport
import Testing

@testable import WeightArchive

/// What lies around the layers: the manifest, kept tensors, the rest of the model's file.
struct SurroundingsTests {
    /// Integers of few values, which are kept, as those of a network that is quantized already.
    private func integers(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed)
        return (0..<count).map { _ in UInt8(bitPattern: Int8(max(min(6 * generator.normal(), 127), -127))) }
    }

    @Test func theyAreDeflatedWithoutAGoalToo() async throws {
        let folder = try TemporaryFolder()
        let tensors = (0..<12).map {
            Safetensors.Tensor("layer.\($0).weight", "I8", [64, 256], integers(64 * 256, seed: UInt64($0)))
        }
        let model = Safetensors(tensors).bytes
        let size = try await pack(try folder.write(model, "m.safetensors"), to: folder["m.wcz"]) { _ in }.packedBytes
        #expect(size <= model.withUnsafeBytes { deflatedSize($0) } + 1024)
    }

    @Test func whatDeflateDoesNotShortenIsStored() async throws {
        let folder = try TemporaryFolder()
        var generator = SeededGenerator(4)
        let noise = (0..<1 << 18).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let model = Safetensors([.init("noise", "U8", [512, 512], noise)]).bytes
        let size = try await pack(try folder.write(model, "m.safetensors"), to: folder["m.wcz"]) { _ in }.packedBytes
        #expect(size <= model.count + 1024)
    }
}
