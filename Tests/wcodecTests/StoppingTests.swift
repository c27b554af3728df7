import Foundation
import TestSupport
import Testing

/// What is left when a run of the program ends early, by a signal or a full disk, and how it goes on.
struct StoppingTests {
    /// Layers that take a while each.
    private static let model = Safetensors(
        (0..<12).map { .weights("layer\($0).weight", [96 + 8 * $0, 160], seed: UInt64($0)) })

    private func folder() async throws -> (TemporaryFolder, undisturbed: [UInt8]) {
        let folder = try TemporaryFolder()
        try folder.write(Self.model.bytes, "model.safetensors")
        let result = try await shell("\(Self.pack) -o whole.wcz", in: folder)
        #expect(result.status == 0)
        let bytes = try fileBytes(folder["whole.wcz"])
        try FileManager.default.removeItem(atPath: folder["whole.wcz"])
        return (folder, bytes)
    }

    private static let pack = "$wcodec pack model.safetensors --as video --codec av1:speed=2 --bits 10 --threads 2"

    /// Starts packing, and sends a signal when the partial file has that size or the program has ended.
    private static func interrupted(_ signal: String, at size: Int) -> String {
        """
        \(pack) & job=$!
        while kill -0 $job 2>/dev/null && [ "$(stat -c %s model.wcz.partial 2>/dev/null || echo 0)" -lt \(size) ]; do
            sleep 0.01
        done
        kill -\(signal) $job; wait $job
        """
    }

    @Test func aKilledPackGoesOn() async throws {
        let (folder, undisturbed) = try await folder()
        for size in [1, 17, 3_000, 20_000, 60_000, 120_000] {
            let result = try await shell(Self.interrupted("KILL", at: size), in: folder)
            #expect(!folder.contents.contains("model.wcz"))
            #expect(result.status == 137, "\(size) \(result.error)")
        }
        let result = try await shell(Self.pack, in: folder)
        #expect(result.status == 0)
        #expect(result.errorLines.count == 1 && result.error.contains("going on from"))
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
        #expect(folder.contents == ["model.safetensors", "model.wcz"])
    }

    @Test(arguments: ["INT", "TERM"])
    func aStoppedPackSaysHowToGoOn(signal: String) async throws {
        let (folder, undisturbed) = try await folder()
        let result = try await shell(Self.interrupted(signal, at: 3_000), in: folder)
        #expect(result.status == 130)
        #expect(result.errorLines.count == 1)
        #expect(result.error.contains("the same command goes on from there (to give up, delete model.wcz.partial)"))
        #expect(folder.contents == ["model.safetensors", "model.wcz.partial"])
        #expect(try await shell("\(Self.pack) -q", in: folder).error.isEmpty)
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
    }

    @Test func aPackThatFilledTheDiskGoesOn() async throws {
        let (folder, undisturbed) = try await folder()
        // A limit on the size of files, in blocks of 512 bytes, is what a full disk is to the program.
        let result = try await shell("trap '' XFSZ; ulimit -f 120; \(Self.pack)", in: folder)
        #expect(result.status == 73)
        #expect(result.errorLines.count == 1)
        #expect(result.error.contains("too large; the same command goes on from"))
        #expect(folder.contents == ["model.safetensors", "model.wcz.partial"])
        #expect(try await shell(Self.pack, in: folder).error.contains("going on from"))
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
        #expect(folder.contents == ["model.safetensors", "model.wcz"])
    }

    @Test func whereNothingIsDoneNothingStays() async throws {
        let folder = try TemporaryFolder()
        try folder.write(Self.model.bytes, "model.safetensors")
        // The archive of a model without layers has nothing to go on from.
        let result = try await shell(
            "trap '' XFSZ; ulimit -f 1; $wcodec pack model.safetensors --exclude .", in: folder)
        #expect(result.status == 73)
        #expect(folder.contents == ["model.safetensors"])
    }

    @Test func aDryRunLeavesAPartialAlone() async throws {
        let (folder, undisturbed) = try await folder()
        _ = try await shell(Self.interrupted("KILL", at: 3_000), in: folder)
        let before = try fileBytes(folder["model.wcz.partial"])
        #expect(try await shell("\(Self.pack) --dry-run", in: folder).status == 0)
        #expect(try fileBytes(folder["model.wcz.partial"]) == before)
        #expect(try await shell(Self.pack, in: folder).status == 0)
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
    }
}
