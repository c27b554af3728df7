import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// Models whose files lie in subfolders.
struct FolderTests {
    private static let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]

    /// A packed model of an index and two shards, which go by other names.
    private func packed(_ names: [String], in folder: TemporaryFolder, damage: Bool = false) async throws -> String {
        try await pack(modelFixture("sharded/model.safetensors.index.json"), to: folder["m.wcz"]) { $0.include = [""] }
        var archive = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        var text = String(decoding: try #require(archive["manifest.json"]), as: UTF8.self)
        for (shard, name) in zip(Self.shards, names) {
            text = text.replacingOccurrences(of: "\"\(shard)\"", with: "\"\(name)\"")
            let entry = archive.entries.firstIndex { $0.name == "skeleton/\(shard)" }
            archive.entries[try #require(entry)].name = "skeleton/\(name)"
        }
        archive["manifest.json"] = Array(text.utf8)
        if damage {
            let name = try #require(archive.entries.last).name
            var bytes = try #require(archive[name])
            bytes[0] ^= 1
            archive[name] = bytes
        }
        return try folder.write(archive.packed, "m.wcz")
    }

    @Test func subfoldersAreMade() async throws {
        let folder = try TemporaryFolder()
        let wcz = try await packed(["sub/deep/x", "sub/y"], in: folder)
        try await unpack(wcz, to: folder["out/"])
        #expect(
            folder.contents == [
                "m.wcz", "out", "out/model.safetensors.index.json", "out/sub", "out/sub/deep", "out/sub/deep/x",
                "out/sub/y",
            ])
        try await pack(modelFixture("sharded/model.safetensors.index.json"), to: folder["n.wcz"]) { $0.include = [""] }
        try await unpack(folder["n.wcz"], to: folder["plain"])
        for (name, shard) in zip(["sub/deep/x", "sub/y"], Self.shards) {
            #expect(try fileBytes(folder["out/\(name)"]) == fileBytes(folder["plain/\(shard)"]))
        }
    }

    @Test(arguments: [["e\u{301}/x", "\u{e9}/x"], ["a/x", "A/x"]])
    func namesThatOnlySomeSystemsTellApartStayApart(names: [String]) async throws {
        let folder = try TemporaryFolder()
        try await unpack(try await packed(names, in: folder), to: folder["out"])
        #expect(folder.contents.filter { $0.hasSuffix("/x") }.count == 2)
    }

    @Test func aFailedUnpackLeavesNoFolder() async throws {
        let folder = try TemporaryFolder()
        let wcz = try await packed(["sub/deep/x", "sub/y"], in: folder, damage: true)
        let error = try #require(await expectedError { try await unpack(wcz, to: folder["out"]) })
        #expect(error.contains("sub/y") && error.contains("hash"))
        #expect(folder.contents == ["m.wcz"])
        // Into an existing folder, whose own content stays.
        try folder.write([1], try folder.makeFolder("out/sub").dropFirst(folder.path.count + 1) + "/mine")
        #expect(await expectedError { try await unpack(wcz, to: folder["out"], force: true) } != nil)
        #expect(folder.contents == ["m.wcz", "out", "out/sub", "out/sub/mine"])
    }

    @Test(arguments: [false, true])
    func whatIsInTheWayOfASubfolderIsAnError(isLink: Bool) async throws {
        let folder = try TemporaryFolder()
        let wcz = try await packed(["first/x", "sub/y"], in: folder)
        let elsewhere = try folder.makeFolder("elsewhere")
        _ = try folder.makeFolder("out")
        if isLink {
            try FileManager.default.createSymbolicLink(atPath: folder["out/sub"], withDestinationPath: elsewhere)
        } else {
            try folder.write([1], "out/sub")
        }
        let before = folder.contents
        let error = try #require(await expectedError { try await unpack(wcz, to: folder["out"], force: true) })
        #expect(error.contains("out/sub") && error.contains("folder"))
        #expect(folder.contents == before)
    }

    @Test func filesOfAFolderAreReplacedOnRequest() async throws {
        let folder = try TemporaryFolder()
        let wcz = try await packed(["sub/x", "sub/y"], in: folder)
        try await unpack(wcz, to: folder["out"])
        let before = try fileBytes(folder["out/sub/x"])
        try folder.write([1], "out/sub/x")
        let error = try #require(await expectedError { try await unpack(wcz, to: folder["out"]) })
        #expect(error.contains("exists"))
        try await unpack(wcz, to: folder["out"], force: true)
        #expect(try fileBytes(folder["out/sub/x"]) == before)
        #expect(folder.contents.filter { $0.hasPrefix("out/sub/") } == ["out/sub/x", "out/sub/y"])
    }
}
