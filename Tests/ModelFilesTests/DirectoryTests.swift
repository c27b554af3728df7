import Foundation
import ModelFiles
import Testing

/// Folders in the layout of a model hub.
struct DirectoryTests {
    private static let shards = [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    ]

    /// A folder `model` with these files, fixtures by name or text.
    private func folder(_ files: [(name: String, fixture: String?)]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: "\(folder.path)/model", withIntermediateDirectories: false)
        for (name, fixture) in files {
            let path = "\(folder.path)/model/\(name)"
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try folder.write(fixture.map { try Fixtures.bytes($0) } ?? Array(name.utf8), "model/\(name)")
        }
        return folder
    }

    private func expectTensors(_ model: ModelFile, _ fixture: String, prefix: String = "") throws {
        for expected in try #require(Fixtures.all[fixture]) {
            let found = try #require(model.tensors.first { $0.name == prefix + expected.name }, "\(expected.name)")
            #expect(found.shape == expected.shape && found.dtype.rawValue == expected.dtype)
            if let values = expected.values { #expect(hex(model.values(of: found)) == values) }
        }
    }

    @Test(arguments: ["model", "model/", "model//"])
    func oneModelKeepsItsNames(path: String) throws {
        let folder = try folder([
            ("config.json", nil), ("deep/er/tokenizer.json", nil), ("weights.any", "single.safetensors"),
            ("empty", nil),
        ])
        try folder.write([], "model/empty")
        let model = try ModelFiles.open("\(folder.path)/\(path)")
        #expect(model.format == .directory && model.notes.isEmpty)
        #expect(model.files.map(\.name) == ["config.json", "deep/er/tokenizer.json", "empty", "weights.any"])
        #expect(model.tensors.allSatisfy { $0.extent.file == 3 })
        try expectTensors(model, "single.safetensors")
    }

    @Test func tensorsOfSeveralModelsBeginWithTheirFile() throws {
        let folder = try folder([
            ("a/x.pt", "zip_module.pt"), ("b.pt", "legacy_module.pt"), ("c.safetensors", "single.safetensors"),
        ])
        let model = try ModelFiles.open("\(folder.path)/model")
        try expectTensors(model, "zip_module.pt", prefix: "a/x.pt:")
        try expectTensors(model, "legacy_module.pt", prefix: "b.pt:")
        try expectTensors(model, "single.safetensors", prefix: "c.safetensors:")
        #expect(Set(model.checksums.map(\.covered.file)) == [0])
        let alone = try ModelFiles.open(Fixtures.path("zip_module.pt"))
        #expect(model.checksums.map(\.fields) == alone.checksums.map(\.fields))
    }

    @Test func shardsAreReadThroughTheirIndex() throws {
        let folder = try folder(Self.shards.map { ("sub/\($0)", "sharded/\($0)") })
        let model = try ModelFiles.open("\(folder.path)/model")
        try expectTensors(model, "sharded/model.safetensors.index.json")
        #expect(model.tensors.count == Fixtures.all["sharded/model.safetensors.index.json"]?.count)
        #expect(Set(model.tensors.map(\.extent.file)) == [0, 1])
        // The index alone still means the model alone.
        let alone = try ModelFiles.open("\(folder.path)/model/sub/\(Self.shards[2])")
        #expect(alone.format == .safetensorsSharded && alone.files.count == 3)
    }

    @Test func aCachesLinksAreFollowed() throws {
        let folder = try folder(Self.shards.map { ("blobs/of-\($0)", "sharded/\($0)") })
        let snapshot = "\(folder.path)/model/snapshots/main"
        try FileManager.default.createDirectory(atPath: snapshot, withIntermediateDirectories: true)
        for shard in Self.shards {
            try FileManager.default.createSymbolicLink(
                atPath: "\(snapshot)/\(shard)", withDestinationPath: "../../blobs/of-\(shard)")
        }
        let model = try ModelFiles.open(snapshot)
        #expect(model.notes.isEmpty && model.files.map(\.name) == Self.shards)
        try expectTensors(model, "sharded/model.safetensors.index.json")
    }

    @Test func whatIsNoFileOfTheModelIsLeftOutWithANote() throws {
        let folder = try folder([
            ("m.safetensors", "single.safetensors"), (".git/HEAD", nil), ("sub/.cache/x", nil), ("sub/kept", nil),
        ])
        let path = "\(folder.path)/model"
        try FileManager.default.createSymbolicLink(atPath: "\(path)/loop", withDestinationPath: ".")
        try FileManager.default.createSymbolicLink(atPath: "\(path)/file", withDestinationPath: "sub/kept")
        #expect(mkfifo("\(path)/pipe", 0o600) == 0)
        let model = try ModelFiles.open(path)
        #expect(model.files.map(\.name) == ["file", "m.safetensors", "sub/kept"])
        #expect(
            model.notes.map { $0.split(separator: " ").dropFirst(2).first } == [".git", "loop", "pipe", "sub/.cache"])
    }

    @Test func filesFromElsewhereAreNamed() throws {
        let folder = try folder([("m.safetensors", "single.safetensors")])
        try folder.write([1], "secret")
        let link = "\(folder.path)/model/innocent"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "../secret")
        let model = try ModelFiles.open("\(folder.path)/model")
        #expect(model.files.map(\.name) == ["innocent", "m.safetensors"])
        #expect(model.notes.count == 1 && model.notes[0].contains("innocent") && model.notes[0].contains("outside"))
    }

    @Test func aModelThatCannotBeReadIsCarriedAlong() throws {
        let folder = try folder([
            ("m.safetensors", "single.safetensors"), (Self.shards[2], "sharded/\(Self.shards[2])"), ("text.txt", nil),
        ])
        try folder.write(Array(try Fixtures.bytes("zip_module.pt").prefix(3000)), "model/cut.pt")
        try folder.write([UInt8]("lmgg".utf8) + [UInt8](repeating: 7, count: 100), "model/old.ggml")
        try folder.write([UInt8](repeating: 0, count: 4096), "model/zeros.bin")
        let model = try ModelFiles.open("\(folder.path)/model")
        #expect(model.files.count == 6)
        try expectTensors(model, "single.safetensors")
        // Zeros would pass for raw weights, which are never guessed here, and are nothing to speak of.
        #expect(model.notes.map { String($0.prefix { $0 != ":" }) } == ["cut.pt", Self.shards[2], "old.ggml"])
        #expect(model.notes.allSatisfy { $0.contains("carried along") })
    }

    @Test func identicalShardsStayApart() throws {
        let folder = try folder((0..<40).map { ("m\($0).safetensors", "single.safetensors") })
        let model = try ModelFiles.open("\(folder.path)/model")
        let each = try #require(Fixtures.all["single.safetensors"]).count
        #expect(model.tensors.count == 40 * each && Set(model.tensors.map(\.name)).count == 40 * each)
    }

    @Test func aFolderWithoutAModelIsAnError() throws {
        let other = try folder([("config.json", nil)])
        let error = try #require(openingError("\(other.path)/model"))
        #expect(error.contains("folder") && error.contains("model"))
        // Of a model that is damaged the message says what is wrong with it.
        let cut = try folder([])
        try cut.write(Array(try Fixtures.bytes("single.safetensors").prefix(100)), "model/m.safetensors")
        #expect(try #require(openingError("\(cut.path)/model")).contains("m.safetensors: safetensors header"))
        let missing = try folder([("m.safetensors", "single.safetensors")])
        try FileManager.default.createSymbolicLink(atPath: "\(missing.path)/model/x", withDestinationPath: "nothing")
        #expect(try #require(openingError("\(missing.path)/model")).contains("model/x"))
        #expect(try #require(openingError(missing.path, layout: "\(missing.path)/none")).contains("layout"))
    }

    @Test func tooManyFilesAndFoldersAreErrors() throws {
        let deep = try folder([("m.safetensors", "single.safetensors")])
        let path = "\(deep.path)/model/" + (0..<40).map { "\($0)/" }.joined()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(try #require(openingError("\(deep.path)/model")).contains("within each other"))
    }

    @Test func aNameThatIsNoTextIsAnError() throws {
        let folder = try folder([("m.safetensors", "single.safetensors")])
        let name = Array("\(folder.path)/model/".utf8CString.dropLast()) + [CChar(bitPattern: 0xff), 0]
        close(open(name, O_CREAT | O_WRONLY, 0o600))
        #expect(try #require(openingError("\(folder.path)/model")).contains("UTF-8"))
        unlink(name)
    }
}
