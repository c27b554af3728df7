import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// Directories, packed and given back.
struct DirectoryPackingTests {
    private func directory(_ folder: TemporaryFolder) throws -> String {
        let path = try folder.makeFolder("model")
        _ = try folder.makeFolder("model/1_Pooling/sub")
        try folder.write(Array("{\"a\": 1}\n".utf8), "model/config.json")
        try folder.write([], "model/empty")
        try folder.write((0...255).map { UInt8($0) }, "model/1_Pooling/sub/bytes")
        try folder.write(everyKind.bytes, "model/1_Pooling/model.safetensors")
        try folder.write(smallModel.bytes, "model/model.safetensors")
        try folder.write(try fileBytes(modelFixture("zip_module.pt")), "model/pytorch_model.bin")
        return path
    }

    private func files(below path: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path).sorted()
    }

    @Test(arguments: Medium.allCases)
    func everyFileComesBack(medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let path = try directory(folder)
        try await pack(path, to: folder["m.wcz"]) {
            $0.medium = medium
            $0.include = ["pytorch_model"]
        }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try files(below: folder["restored"]) == files(below: path))
        for name in ["config.json", "empty", "1_Pooling/sub/bytes"] {
            #expect(try fileBytes(folder["restored/\(name)"]) == fileBytes("\(path)/\(name)"))
        }
        try expectFaithful(try ModelFiles.open(path), folder["restored"], try PackedModel(folder["m.wcz"]))
        // Each of the models is whole by itself, too.
        for name in ["1_Pooling/model.safetensors", "model.safetensors", "pytorch_model.bin"] {
            #expect(
                try ModelFiles.open(folder["restored/\(name)"]).tensors == ModelFiles.open("\(path)/\(name)").tensors)
        }
    }

    @Test func aDirectoryOfOneFileIsADirectoryAgain() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.makeFolder("model")
        try folder.write(smallModel.bytes, "model/m.safetensors")
        try await pack(path, to: folder["m.wcz"])
        #expect(try PackedModel(folder["m.wcz"]).isFolder)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(folder.contents.filter { $0.hasPrefix("restored") } == ["restored", "restored/m.safetensors"])
    }

    @Test func theSameDirectoryGivesTheSameBytes() async throws {
        let folder = try TemporaryFolder()
        let path = try directory(folder)
        try await pack(path + "/", to: folder["a.wcz"]) { $0.threads = 1 }
        // Elsewhere, made in another order, by links.
        let other = try folder.makeFolder("elsewhere")
        for name in try files(below: path).reversed() {
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isFolder)
            if isFolder.boolValue { continue }
            let target = "\(other)/\(name)"
            try FileManager.default.createDirectory(
                atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: target, withDestinationPath: "\(path)/\(name)")
        }
        try await pack(other, to: folder["b.wcz"]) { $0.threads = 3 }
        #expect(try fileBytes(folder["a.wcz"]) == fileBytes(folder["b.wcz"]))
    }

    @Test func moreFilesThanAProcessMayHaveOpen() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.makeFolder("model")
        try folder.write(smallModel.bytes, "model/m.safetensors")
        _ = try folder.makeFolder("model/many")
        for i in 0..<3000 { try folder.write(littleEndian(UInt32(i)), "model/many/\(i)") }
        try await pack(path, to: folder["m.wcz"])
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try files(below: folder["restored"]) == files(below: path))
        #expect(try fileBytes(folder["restored/many/2999"]) == littleEndian(UInt32(2999)))
    }

    @Test(arguments: ["a\\b", "a\nb", "a\u{7f}b"])
    func aNameThatCannotComeBackIsAnErrorAtPacking(name: String) async throws {
        let folder = try TemporaryFolder()
        let path = try folder.makeFolder("model")
        try folder.write(smallModel.bytes, "model/m.safetensors")
        try folder.write([1], "model/\(name)")
        let error = try #require(await expectedError { try await pack(path, to: folder["m.wcz"]) })
        #expect(error.contains(name) && error.contains("expected"))
        #expect(!folder.contents.contains("m.wcz"))
    }

    @Test func noFileOfTheDirectoryIsReplacedByThePackedFile() async throws {
        let folder = try TemporaryFolder()
        let path = try directory(folder)
        let before = folder.contents
        let error = await expectedError {
            try await pack(path, to: "\(path)/1_Pooling/sub/bytes") { $0.force = true }
        }
        #expect(error?.contains("than the input") == true)
        #expect(folder.contents == before)
    }
}
