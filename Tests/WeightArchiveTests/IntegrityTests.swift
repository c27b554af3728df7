import Codecs
import Foundation
import TestSupport
import Testing
import WeightArchive

/// No accident to a packed file goes unnoticed.
struct IntegrityTests {
    /// Opens and unpacks a file; expects an error in one line that names it, and nothing written.
    private func expectNoticed(_ bytes: [UInt8], _ what: String) async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(bytes, "damaged.wcz")
        let error = await expectedError { try await unpack(path, to: folder["restored"], threads: 1) }
        #expect(error?.contains("damaged.wcz") == true, "\(what): \(error ?? "no error")")
        #expect(error?.contains("\n") == false, "\(what)")
        #expect(folder.contents == ["damaged.wcz"], "\(what)")
    }

    private func packedFile(_ medium: Medium) async throws -> [UInt8] {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"]) { $0.medium = medium }
        return try fileBytes(folder["m.wcz"])
    }

    @Test(arguments: Medium.allCases)
    func everyFlippedBitIsNoticed(medium: Medium) async throws {
        let file = try await packedFile(medium)
        var generator = SeededGenerator(61)
        for _ in 0..<1000 {
            let bit = Int.random(in: 0..<8 * file.count, using: &generator)
            var damaged = file
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            try await expectNoticed(damaged, "bit \(bit)")
        }
    }

    @Test(arguments: Medium.allCases)
    func everyFlippedBitOfTheTrailerAndTheHeadIsNoticed(medium: Medium) async throws {
        let file = try await packedFile(medium)
        for byte in Array(0..<40) + Array(file.count - 80..<file.count) {
            for bit in 0..<8 {
                var damaged = file
                damaged[byte] ^= 1 << UInt8(bit)
                try await expectNoticed(damaged, "bit \(bit) of byte \(byte)")
            }
        }
    }

    @Test(arguments: Medium.allCases)
    func everyTruncationIsNoticed(medium: Medium) async throws {
        let file = try await packedFile(medium)
        var generator = SeededGenerator(62)
        let lengths = [0, 1, 3, 4, 30, 49, 50, 51, file.count - 1, file.count - 32, file.count - 50, file.count - 72]
        for length in lengths + (0..<100).map({ _ in Int.random(in: 0..<file.count, using: &generator) }) {
            try await expectNoticed(Array(file[..<length]), "\(length) bytes")
        }
    }

    @Test(arguments: Medium.allCases)
    func addedBytesAreNoticed(medium: Medium) async throws {
        let file = try await packedFile(medium)
        for more in [[0], [10], Array("wcodec".utf8), file, Array(file.suffix(72))] as [[UInt8]] {
            try await expectNoticed(file + more, "\(more.count) bytes behind")
            try await expectNoticed(more + file, "\(more.count) bytes before")
        }
    }

    @Test(arguments: Medium.allCases)
    func aChangedEntryIsNoticedByItsOwnHash(medium: Medium) async throws {
        let zip = try #require(StoredZip(try await packedFile(medium)))
        for entry in zip.entries where entry.name != "manifest.json" {
            var forged = zip
            var bytes = entry.bytes
            bytes[bytes.count / 2] ^= 0x10
            forged[entry.name] = bytes
            try await expectNoticed(forged.packed, "another \(entry.name)")
            forged[entry.name] = Array(entry.bytes.dropLast())
            try await expectNoticed(forged.packed, "a shorter \(entry.name)")
            forged[entry.name] = []
            try await expectNoticed(forged.packed, "an empty \(entry.name)")
            forged[entry.name] = nil
            try await expectNoticed(forged.packed, "no \(entry.name)")
        }
    }

    @Test func theWriterOfTheseTestsWritesSoundFiles() async throws {
        // Else every forgery would be refused for the wrong reason.
        let folder = try TemporaryFolder()
        let zip = try #require(StoredZip(try await packedFile(.image)))
        try await unpack(try folder.write(zip.packed, "m.wcz"), to: folder["restored"])
        #expect(try fileBytes(folder["restored"]).count == smallModel.bytes.count)
    }

    @Test func otherFilesAreNotTaken() async throws {
        try await expectNoticed(smallModel.bytes, "a model")
        try await expectNoticed([], "nothing")
        try await expectNoticed(Array("PK\u{3}\u{4}".utf8), "a signature")
        try await expectNoticed(try fileBytes(modelFixture("zip_module.pt")), "another ZIP")
        var zip = try #require(StoredZip(try await packedFile(.image)))
        zip["manifest.json"] = Array("{\"format\": \"other\", \"version\": 1}".utf8)
        try await expectNoticed(zip.packed, "another program's file")
        zip["manifest.json"] = Array("{\"format\": \"wcodec\", \"version\": 2}".utf8)
        try await expectNoticed(zip.packed, "a version of the future")
        zip["manifest.json"] = Array("{\"format\": \"wcodec\"".utf8)
        try await expectNoticed(zip.packed, "half a manifest")
        zip["manifest.json"] = [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)
        try await expectNoticed(zip.packed, "deeply nested JSON")
    }

    @Test(arguments: ["", "folder", "missing", "/dev/zero"])
    func whatIsNoFileIsAnError(name: String) async throws {
        let folder = try TemporaryFolder()
        let path = name == "folder" ? try folder.makeFolder(name) : name.hasPrefix("/") ? name : folder[name]
        #expect(await expectedError { _ = try PackedModel(path) }?.contains(path) == true)
    }
}
