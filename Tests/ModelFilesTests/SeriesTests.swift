import Foundation
import ModelFiles
import Testing

/// Several models opened as one.
struct SeriesTests {
    private func folder(_ files: [String: String]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (name, fixture) in files {
            try FileManager.default.createDirectory(
                atPath: ("\(folder.path)/\(name)" as NSString).deletingLastPathComponent,
                withIntermediateDirectories: true)
            try folder.write(try Fixtures.bytes(fixture), name)
        }
        return folder
    }

    private func expectTensors(_ model: ModelFile, _ fixture: String, member: Int) throws {
        for expected in try #require(Fixtures.all[fixture]) {
            let name = "\(model.members[member].name):\(expected.name)"
            let found = try #require(model.tensors.first { $0.name == name }, "\(name)")
            #expect(found.shape == expected.shape && found.dtype.rawValue == expected.dtype)
            if let values = expected.values { #expect(hex(model.values(of: found)) == values) }
            let origin = try #require(model.member(of: found))
            #expect(origin == (member, expected.name))
        }
    }

    @Test func modelsStayInTheOrderGiven() throws {
        let folder = try folder([
            "step9.pt": "zip_module.pt", "step10.pt": "zip_module.pt", "first.any": "single.safetensors",
        ])
        let model = try ModelFiles.open(["step9.pt", "step10.pt", "first.any"].map { "\(folder.path)/\($0)" })
        #expect(model.files.map(\.name) == ["step9.pt", "step10.pt", "first.any"])
        #expect(model.members.map(\.name) == ["step9.pt", "step10.pt", "first.any"])
        #expect(model.members.map(\.files) == [0..<1, 1..<2, 2..<3])
        try expectTensors(model, "zip_module.pt", member: 0)
        try expectTensors(model, "zip_module.pt", member: 1)
        try expectTensors(model, "single.safetensors", member: 2)
        let alone = try ModelFiles.open("\(folder.path)/step9.pt")
        #expect(model.checksums.count == 2 * alone.checksums.count)
        #expect(Set(model.checksums.map(\.covered.file)) == [0, 1])
    }

    @Test func foldersTellSameNamesApart() throws {
        let folder = try folder(["run/1/model.pt": "zip_module.pt", "run/2/model.pt": "legacy_module.pt"])
        let path = folder.path
        let files = try ModelFiles.open(["\(path)/run/1/model.pt", "\(path)/run/1/../2/model.pt"])
        #expect(files.files.map(\.name) == ["1/model.pt", "2/model.pt"])
        try expectTensors(files, "legacy_module.pt", member: 1)
        // Folders are models too.
        let folders = try ModelFiles.open(["\(path)/run/2/", "\(path)/run/1"])
        #expect(folders.files.map(\.name) == ["2/model.pt", "1/model.pt"])
        #expect(folders.members.map(\.name) == ["2", "1"])
        try expectTensors(folders, "zip_module.pt", member: 1)
    }

    @Test func shardsStayBesideTheirIndex() throws {
        let shards = [
            "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
        ]
        var files: [String: String] = [:]
        for shard in shards { for step in ["a", "b"] { files["\(step)/\(shard)"] = "sharded/\(shard)" } }
        let folder = try folder(files)
        let model = try ModelFiles.open(["a", "b"].map { "\(folder.path)/\($0)/\(shards[2])" })
        #expect(Set(model.files.map(\.name)) == Set(files.keys))
        #expect(model.members.map(\.files) == [0..<3, 3..<6])
        try expectTensors(model, "sharded/model.safetensors.index.json", member: 1)
    }

    @Test func oneModelIsItself() throws {
        let path = Fixtures.path("single.safetensors")
        let model = try ModelFiles.open([path])
        #expect(model.format == .safetensors && model.members.isEmpty)
        #expect(model.tensors == (try ModelFiles.open(path)).tensors)
        #expect(model.member(of: model.tensors[0]) == nil)
    }

    @Test func theSameModelTwiceIsRefused() throws {
        let folder = try folder(["a.pt": "zip_module.pt", "sub/b.pt": "zip_module.pt"])
        let path = folder.path
        for other in ["\(path)/a.pt", "\(path)/sub/../a.pt"] {
            #expect {
                try ModelFiles.open(["\(path)/a.pt", other])
            } throws: { "\($0)".contains("a second time") }
        }
        // A file, and the folder that it lies in.
        let both = try ModelFiles.open(["\(path)/sub/b.pt", "\(path)/sub"])
        #expect(both.files.map(\.name) == ["b.pt", "sub/b.pt"])
        #expect {
            try ModelFiles.open(["\(path)/a.pt", "\(path)/missing.pt"])
        } throws: { "\($0)".contains("missing.pt") }
    }
}
