import Codecs
import TestSupport
import Testing
import WeightArchive

/// The same input and options give the same bytes.
struct DeterminismTests {
    @Test(arguments: Medium.allCases, [8, 11])
    func threadsAndPlacesDoNotShow(medium: Medium, bits: Int) async throws {
        let first = try TemporaryFolder()
        let second = try TemporaryFolder()
        var packed: [[UInt8]] = []
        for (folder, name, threads) in [
            (first, "a.wcz", 1), (first, "b.wcz", 1), (first, "c", 2), (second, "d.wcz", 7),
        ] {
            let model = try folder.write(everyKind.bytes, "model.safetensors")
            try await pack(model, to: folder[name]) {
                $0.medium = medium
                $0.bits = bits
                $0.threads = threads
            }
            packed.append(try fileBytes(folder[name]))
        }
        #expect(packed.allSatisfy { $0 == packed[0] })
    }

    @Test(arguments: [1, 2, 7])
    func unpackingDoesNotDependOnThreads(threads: Int) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "model.safetensors")
        try await pack(model, to: folder["m.wcz"])
        try await unpack(folder["m.wcz"], to: folder["one"], threads: 1)
        try await unpack(folder["m.wcz"], to: folder["several"], threads: threads)
        #expect(try fileBytes(folder["one"]) == fileBytes(folder["several"]))
    }
}
