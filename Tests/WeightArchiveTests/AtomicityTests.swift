import Foundation
import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// Outputs appear whole or not at all, and inputs stay.
struct AtomicityTests {
    private static func modelWithNaN() -> [UInt8] {
        var values = [Float](repeating: 0.5, count: 1024)
        values[777] = .nan
        return Safetensors([.weights("good", [64, 64], seed: 1), .init("bad", [32, 32], values)]).bytes
    }

    @Test func aFailedPackLeavesNothing() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.modelWithNaN(), "m.safetensors")
        let error = try #require(await expectedError { try await pack(model, to: folder["m.wcz"]) })
        #expect(error.contains("bad") && error.contains("777") && error.contains("nan"))
        #expect(folder.contents == ["m.safetensors"])
    }

    @Test func aFailedPackKeepsTheOldOutput() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.modelWithNaN(), "m.safetensors")
        try folder.write([1, 2, 3], "m.wcz")
        #expect(await expectedError { try await pack(model, to: folder["m.wcz"]) { $0.force = true } } != nil)
        #expect(try fileBytes(folder["m.wcz"]) == [1, 2, 3])
        #expect(folder.contents == ["m.safetensors", "m.wcz"])
    }

    @Test func anExistingOutputIsReplacedOnRequestOnly() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        try folder.write([1, 2, 3], "m.wcz")
        try folder.write([4, 5], "restored")
        let error = try #require(await expectedError { try await pack(model, to: folder["m.wcz"]) })
        #expect(error.contains("m.wcz") && error.contains("exists") && error.contains("--force"))
        #expect(try fileBytes(folder["m.wcz"]) == [1, 2, 3])
        try await pack(model, to: folder["m.wcz"]) { $0.force = true }
        #expect(await expectedError { try await unpack(folder["m.wcz"], to: folder["restored"]) } != nil)
        #expect(try fileBytes(folder["restored"]) == [4, 5])
        try await unpack(folder["m.wcz"], to: folder["restored"], force: true)
        #expect(try fileBytes(folder["restored"]).count == smallModel.bytes.count)
        #expect(folder.contents == ["m.safetensors", "m.wcz", "restored"])
    }

    @Test(arguments: ["nofolder/m.wcz", "file/m.wcz", ".", "", "full/.."])
    func aPlaceThatCannotBeWrittenIsAnError(name: String) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        try folder.write([1], "file")
        _ = try folder.makeFolder("full")
        for force in [false, true] {
            let error = await expectedError { try await pack(model, to: folder[name]) { $0.force = force } }
            #expect(error?.contains(folder.path) == true)
        }
        #expect(folder.contents == ["file", "full", "m.safetensors"])
        try await pack(model, to: folder["m.wcz"])
        for force in [false, true] {
            let error = await expectedError { try await unpack(folder["m.wcz"], to: folder[name], force: force) }
            #expect(error?.contains(folder.path) == true)
        }
        #expect(folder.contents == ["file", "full", "m.safetensors", "m.wcz"])
    }

    @Test func longNamesAreNoProblem() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        for name in [String(repeating: "é", count: 125) + ".wcz", String(repeating: "n", count: 255)] {
            try await pack(model, to: folder[name])
            #expect(folder.contents.contains(name))
        }
    }

    @Test(arguments: ["m.safetensors", "link", "hardlink", "sub/../m.safetensors"])
    func theModelIsNeverReplacedByItsPackedFile(name: String) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        _ = try folder.makeFolder("sub")
        try FileManager.default.createSymbolicLink(atPath: folder["link"], withDestinationPath: "m.safetensors")
        try FileManager.default.linkItem(atPath: model, toPath: folder["hardlink"])
        let error = await expectedError { try await pack(model, to: folder[name]) { $0.force = true } }
        #expect(error?.contains("than the input") == true)
        #expect(try fileBytes(model) == smallModel.bytes)
        #expect(folder.contents == ["hardlink", "link", "m.safetensors", "sub"])
    }

    @Test func aShardIsNeverReplacedByThePackedFile() async throws {
        let folder = try TemporaryFolder()
        for name in [
            "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        ] {
            try folder.write(try fileBytes(modelFixture("sharded/\(name)")), name)
        }
        let before = folder.contents
        let error = await expectedError {
            try await pack(folder["model.safetensors.index.json"], to: folder["model-00002-of-00002.safetensors"]) {
                $0.include = [""]
                $0.force = true
            }
        }
        #expect(error?.contains("model-00002-of-00002.safetensors") == true)
        #expect(folder.contents == before)
        #expect(try fileBytes(folder[before[1]]) == fileBytes(modelFixture("sharded/\(before[1])")))
    }

    @Test func thePackedFileIsNeverReplacedByItsModel() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"])
        let before = try fileBytes(folder["m.wcz"])
        let error = await expectedError { try await unpack(folder["m.wcz"], to: folder["m.wcz"], force: true) }
        #expect(error?.contains("m.wcz") == true)
        #expect(try fileBytes(folder["m.wcz"]) == before)
        #expect(folder.contents == ["m.safetensors", "m.wcz"])
    }

    @Test func aCancelledPackLeavesNothing() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "m.safetensors")
        let packer = try Packer(try ModelFiles.open(model), PackOptions())
        let path = folder["m.wcz"]
        let task = Task {
            // Cancelled at the first progress, in the middle of the work.
            try await packer.pack(to: path) { _ in withUnsafeCurrentTask { $0?.cancel() } }
        }
        await #expect(throws: ArchiveError.cancelled) { try await task.value }
        #expect(folder.contents == ["m.safetensors"])
    }

    @Test(arguments: [false, true])
    func aCancelledUnpackLeavesNothing(inShards: Bool) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "m.safetensors")
        try await pack(inShards ? modelFixture("sharded/model.safetensors.index.json") : model, to: folder["m.wcz"]) {
            $0.include = inShards ? [""] : []
        }
        let unpacker = Unpacker(try PackedModel(folder["m.wcz"]))
        let path = folder["restored"]
        let task = Task {
            try await unpacker.unpack(to: path, threads: 1, force: false) { _ in withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        await #expect(throws: ArchiveError.cancelled) { try await task.value }
        #expect(folder.contents == ["m.safetensors", "m.wcz"])
    }

    @Test func aFailedUnpackOfShardsLeavesNothing() async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture("sharded/model.safetensors.index.json"), to: folder["m.wcz"]) { $0.include = [""] }
        // A skeleton with another byte in an archive whose own hash is right.
        var zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        let skeleton = try #require(zip.entries.last { $0.name.hasPrefix("skeleton/") })
        var changed = skeleton.bytes
        changed[changed.count / 2] ^= 1
        zip[skeleton.name] = changed
        try folder.write(zip.packed, "m.wcz")
        let error = try #require(await expectedError { try await unpack(folder["m.wcz"], to: folder["restored"]) })
        #expect(error.contains(skeleton.name) && error.contains("hash"))
        #expect(folder.contents == ["m.wcz"])
    }

    @Test func anExistingFolderIsWrittenIntoOnRequestOnly() async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture("sharded/model.safetensors.index.json"), to: folder["m.wcz"]) { $0.include = [""] }
        let target = try folder.makeFolder("restored")
        try folder.write([1], "restored/mine")
        let error = try #require(await expectedError { try await unpack(folder["m.wcz"], to: target) })
        #expect(error.contains("restored") && error.contains("exists"))
        #expect(folder.contents == ["m.wcz", "restored", "restored/mine"])
        try await unpack(folder["m.wcz"], to: target, force: true)
        #expect(folder.contents.count == 6)
        #expect(try fileBytes(folder["restored/mine"]) == [1])
    }
}
