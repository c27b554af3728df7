import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// Files in which readers could find different models, although all hashes fit, are refused by wcodec and by `docs/decode.py`.
@Suite(.enabled(if: Python.hasModules, "needs the packages of docs/requirements.txt; ./test installs them"))
struct AmbiguityTests {
    private func template() async throws -> StoredZip {
        let folder = try TemporaryFolder()
        try ExampleModel.write(to: folder["m.safetensors"])
        _ = try await Packer(ModelFiles.open(folder["m.safetensors"]), PackOptions()).pack(to: folder["m.wcz"])
        return try #require(StoredZip(Array(try Data(contentsOf: URL(filePath: folder["m.wcz"])))))
    }

    /// The file with other bytes before its hash, which is made to fit.
    private func rehashed(_ packed: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var file = Array(packed.dropLast(32))
        change(&file)
        return file + Array(xxh3(file).utf8)
    }

    @Test func nothingIsTakenThatReadsInTwoWays() async throws {
        let zip = try await template()
        let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        let stream = try #require(zip.entries.first { $0.name.hasPrefix("image/") })
        var forged: [(name: String, bytes: [UInt8])] = []
        func add(_ name: String, manifest: String) {
            var other = zip
            other["manifest.json"] = Array(manifest.utf8)
            forged.append((name, other.packed))
        }
        add("a mark", manifest: "\u{feff}" + manifest)
        add("a field twice", manifest: #"{"medium":"video","# + manifest.dropFirst())
        add("an escaped field twice", manifest: #"{"\u006dedium":"video","# + manifest.dropFirst())
        add("a tensor's field twice", manifest: manifest.replacing(#""dtype":"#, with: #""dtype":"I8","dtype":"#))
        add("an unknown field twice", manifest: #"{"x":1,"x":2,"# + manifest.dropFirst())
        var twice = zip
        twice.entries.append(stream)
        forged.append(("an entry twice", twice.packed))
        var exchanged = zip
        exchanged.entries.append((stream.name, Array(stream.bytes.reversed())))
        forged.append(("another entry of that name", exchanged.packed))
        forged.append(
            (
                "another name in the local header",
                rehashed(zip.packed) { file in
                    let name = Array(stream.name.utf8)
                    if let place = file.firstRange(of: name) { file[place.lowerBound] = UInt8(ascii: "j") }
                }
            ))
        // The comment, of another length, ends in what looks like the trailer.
        let trailer = Array("wcodec 1 xxh3-128 ".utf8)
        let longer = zip.bytes(comment: [1, 2, 3] + trailer)
        forged.append(
            (
                "a longer comment",
                rehashed(longer + [UInt8](repeating: 48, count: 32)) { file in
                    let length = file.count - 3 - trailer.count - 2
                    file[length] = 53
                }
            ))

        let folder = try TemporaryFolder()
        for (index, file) in forged.enumerated() {
            try Data(file.bytes).write(to: URL(filePath: folder["\(index).wcz"]))
            await #expect(throws: ArchiveError.self, "\(file.name)") {
                let packed = try PackedModel(folder["\(index).wcz"])
                try await Unpacker(packed).unpack(to: folder["\(index).swift"], threads: 1, force: false)
            }
        }
        let failures = try Python.decode(forged.indices.map { (folder["\($0).wcz"], folder["\($0).python"]) })
        for (file, failure) in Swift.zip(forged, failures) { #expect(failure != nil, "\(file.name)") }
    }
}
