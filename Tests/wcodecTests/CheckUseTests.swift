import Foundation
import TestSupport
import Testing

/// `unpack --check` on the command line.
struct CheckUseTests {
    @Test(
        arguments: ["image", "video", "audio"],
        [[], ["--lossless", "--include", "weight"], ["--quantizer", "trellis", "--min-snr", "20"]])
    func anIntactFilePassesAndNothingIsWritten(medium: String, options: [String]) async throws {
        let folder = try await sampleFolder()
        let pack = "$wcodec pack model.safetensors --as \(medium) \(options.joined(separator: " ")) -q"
        #expect(try await shell(pack, in: folder).status == 0)
        let before = folder.contents
        let result = try await wcodec("unpack", "model.wcz", "--check", in: folder)
        #expect(result.status == 0 && result.error.isEmpty)
        #expect(result.output == "model.wcz: intact: 2 layers, 3,840 weights, every hash matches\n")
        #expect(folder.contents == before)
        #expect(try await wcodec("unpack", "model.wcz", "--check", "-q", in: folder).output.isEmpty)
    }

    @Test(arguments: ["image/first.weight.png", "skeleton/model.safetensors", "exact.safetensors", "parameters.png"])
    func aFlippedByteIsFoundAndNamed(entry: String) async throws {
        let folder = try await sampleFolder(packed: true)
        let packed = try fileBytes(folder["model.wcz"])
        // In the file, whose hash then is another; and with that made to fit.
        var zip = try #require(StoredZip(packed))
        var bytes = try #require(zip[entry])
        bytes[bytes.count / 2] ^= 1
        zip[entry] = bytes
        var flipped = packed
        flipped[packed.count / 2] ^= 1
        for (damaged, part) in [(flipped, "hash of the file"), (zip.packed, entry)] {
            try folder.write(damaged, "damaged.wcz")
            for options in ["", "--json", "--threads 1"] {
                let result = try await shell("$wcodec unpack damaged.wcz --check \(options)", in: folder)
                #expect(result.status == 65 && result.output.isEmpty, "\(part)")
                #expect(result.errorLines.count == 1 && result.error.contains("damaged.wcz: damaged: \(part)"))
            }
            #expect(folder.contents == ["damaged.wcz", "model.safetensors", "model.wcz"])
        }
    }

    @Test func anotherDecoderOfLossyAudioIsNotCalledAMatch() async throws {
        let folder = try await sampleFolder()
        _ = try await wcodec("pack", "model.safetensors", "--codec", "vorbis", "-q", in: folder)
        var zip = try #require(StoredZip(try fileBytes(folder["model.wcz"])))
        let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        // As if the first tensor had been measured by another decoder.
        let place = try #require(manifest.firstRange(of: "\"packed\":"))
        let hash = try #require(manifest[place.upperBound...].firstRange(of: "\"hash\":\""))
        let digits = hash.upperBound..<manifest.index(hash.upperBound, offsetBy: 32)
        zip["manifest.json"] = Array(
            manifest.replacingCharacters(in: digits, with: String(repeating: "0", count: 32)).utf8)
        try folder.write(zip.packed, "model.wcz")
        let result = try await wcodec("unpack", "model.wcz", "--check", in: folder)
        #expect(result.status == 0 && result.errorLines.count == 1 && result.error.contains("another build"))
        #expect(
            result.output == "model.wcz: intact: 2 layers, 3,840 weights, every stream's hash matches; "
                + "1 layer was restored a little otherwise than at packing, by another version of the decoder\n")
        let json = try await wcodec("unpack", "model.wcz", "--check", "--json", in: folder)
        let object = try #require(json.json as? [String: Any])
        #expect(object["everyHashMatches"] as? Bool == false)
        #expect((object["roundedOtherwise"] as? [String])?.count == 1)
    }

    @Test(arguments: ["\"entries\":[99]", "\"level\":12", "crc"])
    func whatCannotBeCompressedAgainIsFound(forgery: String) async throws {
        let folder = try TemporaryFolder()
        let temporary = try folder.makeFolder("tmp")
        try folder.write(try fileBytes(modelFixture("arrays_compressed.npz")), "m.npz")
        #expect(try await wcodec("pack", "m.npz", in: folder).status == 0)
        var zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        var manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        if forgery == "crc" {
            // What is restored would not be what its checksum says.
            var skeleton = try #require(zip["skeleton/m.npz"])
            let entry = try #require(skeleton.indices.last { skeleton[$0...].starts(with: [0x50, 0x4b, 1, 2]) })
            manifest = manifest.replacing(xxh3(skeleton), with: "")
            skeleton[entry + 16] ^= 1
            manifest = manifest.replacing("\"skeleton\":\"\"", with: "\"skeleton\":\"\(xxh3(skeleton))\"")
            zip["skeleton/m.npz"] = skeleton
        } else {
            let field = forgery.prefix { $0 != ":" }
            let old = try #require(manifest.firstMatch(of: try Regex("\(field):(\\[[^\\]]*\\]|[0-9]+)")))
            manifest.replaceSubrange(old.range, with: forgery)
        }
        zip["manifest.json"] = Array(manifest.utf8)
        try folder.write(zip.packed, "forged.wcz")
        let before = folder.contents
        let result = try await wcodec("unpack", "forged.wcz", "--check", in: folder, environment: ["TMPDIR": temporary])
        #expect(result.status == 65 && result.output.isEmpty && result.errorLines.count == 1)
        #expect(
            result.error.hasPrefix("wcodec: forged.wcz: expected a file that can be made of its plain form: m.npz: "),
            "\(result.error)")
        #expect(folder.contents == before)
        let intact = try await wcodec("unpack", "m.wcz", "--check", in: folder, environment: ["TMPDIR": temporary])
        #expect(intact.status == 0 && intact.output.contains("intact"))
        #expect(folder.contents == before)
    }

    @Test func aDeltaIsCheckedAgainstItsBase() async throws {
        let folder = try await sampleFolder()
        _ = try await shell("cp model.safetensors base.safetensors", in: folder)
        _ = try await wcodec("pack", "model.safetensors", "--delta", "base.safetensors", in: folder)
        let alone = try await wcodec("unpack", "model.wcz", "--check", in: folder)
        #expect(alone.status == 65 && alone.error.contains("(--delta)"))
        let other = Safetensors([
            .weights("first.weight", [48, 40], seed: 9), .weights("second.weight", [40, 48], seed: 9),
        ])
        try folder.write(other.bytes, "other.safetensors")
        let wrong = try await wcodec("unpack", "model.wcz", "--check", "--delta", "other.safetensors", in: folder)
        #expect(wrong.status == 65 && wrong.error.contains("expected the bytes that it was packed against"))
        let right = try await wcodec("unpack", "model.wcz", "--check", "--delta", "base.safetensors", in: folder)
        #expect(right.status == 0 && right.output.contains("intact"))
    }

    @Test func aSeriesWhoseMembersHoldDeltasIsChecked() async throws {
        let folder = try TemporaryFolder()
        // Each checkpoint differs from the one before in some weights; one tensor is stored twice.
        var bytes = Safetensors.Tensor.weights("w", [64, 64], seed: 1).bytes
        for step in 1...4 {
            for i in 0..<20 { bytes[4 * (i * 37 + step)] ^= 1 }
            let model = Safetensors([
                .init("w", "F32", [64, 64], bytes), .init("copy", "F32", [64, 64], bytes),
                .weights("fixed", [64, 32], seed: 2),
            ])
            try folder.write(model.bytes, "step\(step).safetensors")
        }
        let packed = try await shell("$wcodec pack step*.safetensors --lossless -o run.wcz", in: folder)
        #expect(packed.status == 0, "\(packed.error)")
        let manifest = try await shell(
            "$wcodec unpack run.wcz && cmp run/step4.safetensors step4.safetensors", in: folder)
        #expect(manifest.status == 0, "\(manifest.error)")
        for threads in [1, 2] {
            let result = try await shell("$wcodec unpack run.wcz --check --threads \(threads)", in: folder)
            #expect(result.status == 0 && result.output.contains("12 layers"), "\(result.error)")
        }
    }

    @Test func runsAreTimed() async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await wcodec("unpack", "model.wcz", "--check", "--runs", "3", "--json", in: folder)
        let check = try #require(result.json as? [String: Any])
        let runs = try #require(check["runs"] as? [[String: Double]])
        #expect(
            result.status == 0 && runs.count == 3 && check["weights"] as? Int == 3840 && check["layers"] as? Int == 2)
        let sorted = runs.compactMap { $0["processorSeconds"] }.sorted()
        #expect(sorted.count == 3 && sorted[0] > 0 && check["processorSeconds"] as? Double == sorted[1])
        #expect((check["seconds"] as? Double ?? 0) > 0 && (check["weightsPerSecond"] as? Double ?? 0) > 0)
        let text = try await wcodec("unpack", "model.wcz", "--check", "--runs", "3", in: folder)
        #expect(text.output.contains("million weights/s (median of 3 runs)"))
    }

    @Test(arguments: [
        "--check -o x", "--check --to npz", "--check --force", "--runs 2", "--json", "--check --runs 0",
    ])
    func whatDoesNotGoTogetherIsRefused(options: String) async throws {
        let folder = try await sampleFolder(packed: true)
        #expect(try await shell("$wcodec unpack model.wcz \(options)", in: folder).status == 64)
        #expect(folder.contents == ["model.safetensors", "model.wcz"])
    }
}
