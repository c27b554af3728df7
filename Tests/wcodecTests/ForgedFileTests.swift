import TestSupport
import Testing

/// Packed files whose hashes all fit, made to fill the memory of whoever opens them.
struct ForgedFileTests {
    private static let start = #"{"format":"wcodec","version":3,"medium":"image","#

    /// Texts of little variety, which deflate to a thousandth.
    private static let manifests: [(name: String, text: [UInt8])] = {
        func repeated(_ text: String, _ count: Int) -> [UInt8] {
            Array(repeatElement(Array(text.utf8), count: count).joined())
        }
        let start = Array(ForgedFileTests.start.utf8)
        return [
            ("spaces", start + [UInt8](repeating: 32, count: 64 << 20) + Array(#""x":0}"#.utf8)),
            ("a long list", start + Array(#""x":[0"#.utf8) + repeated(",0", 400_000) + Array("]}".utf8)),
            ("unknown fields", start + Array(#""x":[{}"#.utf8) + repeated(#",{"a":0}"#, 100_000) + Array("]}".utf8)),
            ("nesting", start + Array(#""x":"#.utf8) + repeated("[", 400_000)),
        ]
    }()

    @Test(arguments: manifests.indices)
    func aSmallFileTakesLittleMemory(index: Int) async throws {
        let folder = try await sampleFolder(packed: true)
        var zip = try #require(StoredZip(try fileBytes(folder["model.wcz"])))
        zip["manifest.json"] = Self.manifests[index].text
        zip.deflated = ["manifest.json"]
        let forged = zip.packed
        #expect(forged.count < 100_000)
        try folder.write(forged, "forged.wcz")
        for command in ["inspect", "unpack --check"] {
            let result = try await shell("ulimit -v 400000; $wcodec \(command) forged.wcz", in: folder)
            #expect(result.status == 65 && result.output.isEmpty, "\(Self.manifests[index].name): \(result.error)")
            #expect(result.errorLines.count == 1 && result.error.contains("forged.wcz: damaged: "), "\(result.error)")
        }
    }
}
