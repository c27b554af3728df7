import Foundation
import TestSupport
import Testing

/// Folders and conversions on the command line.
struct DirectoryUseTests {
    /// A folder with the model folder `hub.v1`.
    private func hub() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        _ = try folder.makeFolder("hub.v1/sub")
        try folder.write(sample.bytes, "hub.v1/model.safetensors")
        try folder.write(Array("{}".utf8), "hub.v1/sub/config.json")
        return folder
    }

    @Test(arguments: ["hub.v1", "hub.v1/", "./hub.v1//"])
    func aFolderIsPackedBesideItself(path: String) async throws {
        let folder = try hub()
        let packed = try await wcodec("pack", path, in: folder)
        #expect(packed.status == 0 && packed.error.isEmpty && packed.output.contains("directory"))
        #expect(folder.contents.contains("hub.v1.wcz"))
        #expect(try await wcodec("unpack", "hub.v1.wcz", in: folder).status == 0)
        #expect(
            folder.contents.filter { $0.hasPrefix("hub.v1.restored") } == [
                "hub.v1.restored", "hub.v1.restored/model.safetensors", "hub.v1.restored/sub",
                "hub.v1.restored/sub/config.json",
            ])
        let verified = try await wcodec(
            "verify", path, "hub.v1.wcz", "--eval", "test -f {}/sub/config.json && echo 1", in: folder)
        #expect(verified.status == 0 && verified.error.isEmpty)
        #expect(try await wcodec("report", "hub.v1.wcz", "--original", path, in: folder).status == 0)
        let inspected = try await wcodec("inspect", path, in: folder)
        #expect(inspected.status == 0 && inspected.output.contains("first.weight"))
        let plan = try await wcodec("pack", path, "--dry-run", in: folder)
        #expect(plan.status == 0 && plan.output.contains("kept: vector"))
    }

    @Test func theWorkingFolderIsPackedBesideItself() async throws {
        let folder = try hub()
        let packed = try await shell("cd hub.v1 && $wcodec pack .", in: folder)
        #expect(packed.status == 0 && folder.contents.contains("hub.v1.wcz"))
    }

    @Test func whatIsLeftOutIsSaid() async throws {
        let folder = try hub()
        _ = try folder.makeFolder("hub.v1/.git")
        let packed = try await wcodec("pack", "hub.v1", in: folder)
        #expect(packed.status == 0 && packed.errorLines.count == 1 && packed.error.contains(".git"))
        #expect(try await wcodec("pack", "hub.v1", "--force", "-q", in: folder).error.isEmpty)
    }

    @Test(arguments: ["safetensors", "npz"])
    func conversionsAreNamedLikeThePackedFile(format: String) async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await wcodec("unpack", "model.wcz", "--to", format, in: folder)
        let name = format == "npz" ? "model.npz" : "model.restored.safetensors"
        #expect(result.status == 0 && result.error.isEmpty && result.output.contains("\(name) (\(format), 3 tensors"))
        #expect(folder.contents == [name, "model.safetensors", "model.wcz"].sorted())
        #expect(try fileBytes(folder["model.safetensors"]) == sample.bytes)
        let again = try await wcodec("unpack", "model.wcz", "--to", format, "-o", name, in: folder)
        #expect(again.status == 73 && again.error.contains("--force"))
        let wrong = try await wcodec("unpack", "model.wcz", "--to", "onnx", in: folder)
        #expect(wrong.status == 64 && wrong.error.contains("npz"))
    }
}
