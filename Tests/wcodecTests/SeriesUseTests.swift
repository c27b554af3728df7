import Foundation
import TestSupport
import Testing

/// Several models on the command line.
struct SeriesUseTests {
    /// A folder with checkpoints `step1.safetensors` and so on, each a little further than the one before.
    static func run(of count: Int) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for step in 1...count {
            let model = Safetensors([
                .weights("first.weight", [48, 40], seed: UInt64(step)), .weights("first.bias", [48], seed: 2),
            ])
            try folder.write(model.bytes, "step\(step).safetensors")
        }
        return folder
    }

    @Test func severalModelsArePackedTogether() async throws {
        let folder = try Self.run(of: 3)
        let models = ["step1.safetensors", "step2.safetensors", "step3.safetensors"]
        let packed = try await wcodec("pack", models[0], models[1], models[2], "-o", "run.wcz", in: folder)
        #expect(
            packed.status == 0 && packed.error.isEmpty
                && packed.output.hasPrefix("3 models (model directory) -> run.wcz"))
        #expect(packed.output.contains("3 layers"))
        #expect(try await wcodec("unpack", "run.wcz", in: folder).status == 0)
        #expect(folder.contents.filter { $0.hasPrefix("run/") } == models.map { "run/\($0)" })
        for model in models {
            #expect(try fileBytes(folder["run/\(model)"]).count == fileBytes(folder[model]).count)
        }
        // The folder that they lie in is the same model, apart from the packed file.
        _ = try await shell("mkdir all && mv step*.safetensors all/", in: folder)
        let verified = try await wcodec("verify", "all", "run.wcz", in: folder)
        #expect(verified.status == 0, "\(verified.error)")
    }

    @Test func mistakesAreNamed() async throws {
        let folder = try Self.run(of: 2)
        let nameless = try await wcodec("pack", "step1.safetensors", "step2.safetensors", in: folder)
        #expect(nameless.status == 64 && nameless.error.contains("-o FILE"))
        let twice = try await wcodec("pack", "step1.safetensors", "./step1.safetensors", "-o", "run.wcz", in: folder)
        #expect(twice.status != 0 && twice.errorLines.count == 1 && twice.error.contains("a second time"))
        #expect(!folder.contents.contains("run.wcz"))
    }
}
