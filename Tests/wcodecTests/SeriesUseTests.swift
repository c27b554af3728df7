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

    @Test func adjustmentsAreReported() async throws {
        let folder = try TemporaryFolder()
        for (step, scale) in [Float(0.1), 0.1, 0.9].enumerated() {
            let model = Safetensors([.weights("first.weight", [48, 40], scale: scale, seed: 1)])
            try folder.write(model.bytes, "step\(step).safetensors")
        }
        let models = (0...2).map { "step\($0).safetensors" }
        let arguments = ["--quantizer", "fixed", "--range", "layer", "-o", "run.wcz"]
        let table = try await shell("$wcodec pack \((models + arguments).joined(separator: " "))", in: folder)
        #expect(table.status == 0 && table.error.isEmpty)
        let line = try #require(table.output.split(separator: "\n").last)
        #expect(line.hasPrefix("step2.safetensors  first.weight") && line.contains("s = -7 -> s = -3"), "\(line)")
        let json = try await shell(
            "$wcodec pack --json --force \((models + arguments).joined(separator: " "))", in: folder)
        let document = try #require(json.json as? [String: Any])
        #expect((document["layers"] as? [Any])?.count == 3)
        let adjustments = try #require(document["adjustments"] as? [[String: Any]])
        #expect(adjustments.map { $0["model"] as? String } == [models[0], models[2]])
        let change = try #require((adjustments[1]["changes"] as? [[String: Any]])?.first)
        #expect(change["old"] as? Int == -7 && change["new"] as? Int == -3 && change["because"] as? String == "up")
        let calm = try await shell(
            "$wcodec pack --force \((models.prefix(2) + arguments).joined(separator: " "))", in: folder)
        #expect(calm.output.contains("no precision had to be adjusted"))
        // A model alone has no series.
        let alone = try await wcodec("pack", models[0], "--quantizer", "scaled", "--range", "group:32", in: folder)
        #expect(alone.status == 0 && !alone.output.contains("adjusted"))
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
