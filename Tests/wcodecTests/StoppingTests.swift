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

    /// Starts packing, and sends a signal when a layer is done.
    private static func interrupted(_ signal: String) -> String {
        """
        \(pack) & job=$!
        while [ -e /proc/$job/exe ] && [ "$(stat -c %s model.wcz.partial 2>/dev/null || echo 0)" -lt 3000 ]; do
            sleep 0.01
        done
        kill -\(signal) $job; wait $job
        """
    }

    @Test func aKilledPackGoesOn() async throws {
        let (folder, undisturbed) = try await folder()
        #expect(try await shell(Self.interrupted("KILL"), in: folder).status == 128 + 9)
        #expect(folder.contents == ["model.safetensors", "model.wcz.partial"])
        let result = try await shell(Self.pack, in: folder)
        #expect(result.status == 0)
        #expect(result.errorLines.count == 1 && result.error.contains("going on from"))
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
        #expect(folder.contents == ["model.safetensors", "model.wcz"])
    }

    @Test func aPackThatIsKilledAtAnyTimeGoesOn() async throws {
        let (folder, undisturbed) = try await folder()
        var delay = SeededGenerator(7)
        for _ in 0..<6 {
            let seconds = Double.random(in: 0.02...0.6, using: &delay)
            _ = try await shell("\(Self.pack) & sleep \(seconds); kill -KILL $!; wait $!", in: folder)
        }
        _ = try await shell("[ -e model.wcz ] || \(Self.pack)", in: folder)
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
        // It may be killed when the output has its name already, but not the partial removed.
        #expect(folder.contents.filter { $0 != "model.wcz.partial" } == ["model.safetensors", "model.wcz"])
    }

    @Test(arguments: ["INT", "TERM"])
    func aStoppedPackSaysHowToGoOn(signal: String) async throws {
        let (folder, undisturbed) = try await folder()
        let result = try await shell(Self.interrupted(signal), in: folder)
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
        _ = try await shell(Self.interrupted("KILL"), in: folder)
        let before = try fileBytes(folder["model.wcz.partial"])
        #expect(try await shell("\(Self.pack) --dry-run", in: folder).status == 0)
        #expect(try fileBytes(folder["model.wcz.partial"]) == before)
        #expect(try await shell(Self.pack, in: folder).status == 0)
        #expect(try fileBytes(folder["model.wcz"]) == undisturbed)
    }
}
