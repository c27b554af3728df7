import Foundation
import TestSupport
import Testing

/// Goals as a person states them.
struct GoalUseTests {
    /// A model large enough that what is stored beside its layers hardly counts.
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let model = Safetensors([
            .weights("first.weight", [128, 200], seed: 1), .weights("first.bias", [128], seed: 2),
            .weights("second.weight", [100, 128], scale: 0.4, seed: 3),
        ])
        try folder.write(model.bytes, "model.safetensors")
        return folder
    }

    /// Packs, checks that the packed file is sound and unpacks, and returns the report of the packed file.
    private func report(_ options: String, in folder: TemporaryFolder) async throws -> [String: Any] {
        let packed = try await shell("$wcodec pack model.safetensors -o m.wcz --force \(options)", in: folder)
        #expect(packed.status == 0 && packed.error.isEmpty, "\(options): \(packed.error)")
        #expect(packed.output.contains("bits per weight"))
        let verified = try await wcodec("verify", "model.safetensors", "m.wcz", in: folder)
        #expect(verified.status == 0 && verified.error.isEmpty, "\(verified.error)")
        let unpacked = try await wcodec("unpack", "m.wcz", "-o", "restored", "--force", in: folder)
        #expect(unpacked.status == 0 && unpacked.error.isEmpty, "\(unpacked.error)")
        #expect(folder.contents.filter { !$0.hasSuffix(".json") } == ["m.wcz", "model.safetensors", "restored"])
        let report = try await wcodec("report", "m.wcz", "--json", in: folder)
        return try #require(report.json as? [String: Any])
    }

    /// A figure of the whole file.
    private func total(_ report: [String: Any], _ name: String) throws -> Double {
        try #require((report["total"] as? [String: Any])?[name] as? Double)
    }

    @Test(arguments: ["image", "video", "audio", "auto"]) func bitsPerWeight(medium: String) async throws {
        let folder = try folder()
        let report = try await report("--target-bpw 3 --as \(medium)", in: folder)
        let bits = try total(report, "bitsPerWeight")
        #expect(bits <= 3 && bits > 2.85, "\(bits)")
        #expect((report["layers"] as? [Any])?.count == 2)
    }

    @Test(arguments: [("20000", 20_000), ("20KB", 20_000), ("0.02MB", 20_000), ("16KiB", 16_384), ("16kib", 16_384)])
    func sizes(size: (text: String, bytes: Int)) async throws {
        let folder = try folder()
        _ = try await report("--target-size \(size.text)", in: folder)
        let bytes = try fileBytes(folder["m.wcz"]).count
        #expect(bytes <= size.bytes && bytes > size.bytes * 96 / 100)
    }

    @Test(arguments: ["--min-snr 30", "--quality 50", "--min-snr 30 --effort 9", "--min-snr 30 --effort 1"])
    func signalToNoise(options: String) async throws {
        let folder = try folder()
        let ratio = try total(await report(options, in: folder), "snr")
        #expect(ratio >= 30 && ratio < 30.5, "\(ratio)")
    }

    @Test func errors() async throws {
        let folder = try folder()
        _ = try await report("--max-error 0.01", in: folder)
        let (a, b) = (try fileBytes(folder["model.safetensors"]), try fileBytes(folder["restored"]))
        func floats(_ bytes: [UInt8]) -> [Float] {
            stride(from: bytes.count - 4 * (128 * 200 + 128 + 100 * 128), to: bytes.count, by: 4).map { start in
                Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) })
            }
        }
        #expect(zip(floats(a), floats(b)).allSatisfy { abs(Double($0) - Double($1)) <= 0.01 })
    }

    @Test(arguments: [
        "--quantizer trellis", "--quantizer trellis:states=16", "--quantizer trellis:states=1 --bits 3",
        "--quantizer trellis --bits first=2 --bits second=5 --effort 7",
        "--quantizer trellis:states=256 --target-bpw 2",
        "--target-bpw 3 --importance size", "--quality 0", "--quality 100",
    ])
    func otherWaysToSayIt(options: String) async throws { _ = try await report(options, in: try folder()) }

    @Test func importanceComesFromAFile() async throws {
        let folder = try folder()
        try folder.write(Array(#"{"second": 100}"#.utf8), "factors.json")
        func ratios(_ options: String) async throws -> [Double] {
            let report = try await report("--target-bpw 4 \(options)", in: folder)
            let layers = try #require(report["layers"] as? [[String: Any]])
            return try layers.map { try #require($0["snr"] as? Double) }
        }
        let (plain, weighted) = (try await ratios(""), try await ratios("--importance factors.json"))
        #expect(weighted[0] < plain[0] && weighted[1] > plain[1] + 6)
    }

    @Test(arguments: ["[1]", #"{"second": 0}"#, #"{"second": -1}"#, #"{"second": "much"}"#, "", "{"])
    func otherFilesOfImportanceAreRefused(text: String) async throws {
        let folder = try folder()
        try folder.write(Array(text.utf8), "factors.json")
        let result = try await shell("$wcodec pack model.safetensors --quality 9 --importance factors.json", in: folder)
        #expect(result.status == 65 || result.status == 66)
        #expect(result.errorLines.count == 1 && result.error.contains("factors.json"))
        #expect(folder.contents == ["factors.json", "model.safetensors"])
    }
}
