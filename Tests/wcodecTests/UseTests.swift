import Foundation
import TestSupport
import Testing

/// The commands as a person uses them.
struct UseTests {
    @Test(arguments: ["image", "video", "audio"])
    func packAndUnpackJustWork(medium: String) async throws {
        let folder = try TemporaryFolder()
        let weights = Safetensors.Tensor.weights("w", [4096], seed: 4).bytes
        try folder.write(weights, "weights.bin")
        let packed = try await wcodec("pack", "weights.bin", "--as", medium, in: folder)
        #expect(packed.status == 0 && packed.error.isEmpty)
        #expect(packed.output.contains("weights.wcz") && packed.output.contains("bits per weight"))
        #expect(folder.contents == ["weights.bin", "weights.wcz"])
        let unpacked = try await wcodec("unpack", "weights.wcz", in: folder)
        #expect(unpacked.status == 0 && unpacked.error.isEmpty)
        // The original stays; the restored model says so in its name.
        #expect(folder.contents == ["weights.bin", "weights.restored.bin", "weights.wcz"])
        #expect(try fileBytes(folder["weights.bin"]) == weights)
        #expect(try fileBytes(folder["weights.restored.bin"]).count == weights.count)
        #expect(unpacked.output.contains("weights.restored.bin"))
        try FileManager.default.removeItem(atPath: folder["weights.bin"])
        #expect(try await wcodec("unpack", "weights.wcz", in: folder).status == 0)
        #expect(try fileBytes(folder["weights.bin"]) == fileBytes(folder["weights.restored.bin"]))
    }

    @Test(arguments: [("ffv1", "video/0.mkv"), ("wav", "audio/first.weight.wav"), ("png", "image/first.weight.png")])
    func aCodecImpliesItsMedium(codec: String, entry: String) async throws {
        let folder = try await sampleFolder()
        #expect(try await wcodec("pack", "model.safetensors", "--codec", codec, in: folder).status == 0)
        let zip = try #require(StoredZip(try fileBytes(folder["model.wcz"])))
        #expect(zip[entry] != nil)
    }

    @Test func shardsComeBackAsAFolder() async throws {
        let folder = try TemporaryFolder()
        let index = modelFixture("sharded/model.safetensors.index.json")
        #expect(try await wcodec("pack", index, "-o", "m.wcz", "--include", "", in: folder).status == 0)
        #expect(try await wcodec("unpack", "m.wcz", in: folder).status == 0)
        #expect(folder.contents.filter { $0.hasPrefix("m/") }.count == 3)
        let verified = try await wcodec("verify", index, "m.wcz", in: folder)
        #expect(verified.status == 0 && verified.error.isEmpty)
    }

    @Test func dryRunWritesNothing() async throws {
        let folder = try await sampleFolder()
        let text = try await wcodec("pack", "model.safetensors", "--dry-run", in: folder)
        #expect(text.status == 0 && text.output.contains("first.weight") && text.output.contains("kept: vector"))
        let json = try await wcodec("pack", "model.safetensors", "--dry-run", "--json", in: folder)
        let plan = try #require(json.json as? [String: Any])
        let tensors = try #require(plan["tensors"] as? [[String: Any]])
        #expect(tensors.map { $0["name"] as? String } == ["first.weight", "first.bias", "second.weight"])
        #expect((plan["forecastBytes"] as? Int ?? 0) > 3000)
        #expect(folder.contents == ["model.safetensors"])
    }

    @Test(
        arguments: [
            ["pack", "model.safetensors", "-o", "again.wcz", "--json"], ["report", "model.wcz", "--json"],
            ["report", "model.wcz", "--json", "--original", "model.safetensors"], ["inspect", "model.wcz", "--json"],
            ["inspect", "model.safetensors", "--json"], ["codecs", "--json"],
            ["verify", "model.safetensors", "model.wcz", "--json"],
            ["verify", "model.safetensors", "model.wcz", "--json", "--eval", "wc -c < {}"],
        ])
    func jsonIsJSONAndNothingElse(arguments: [String]) async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await shell("exec $wcodec " + arguments.map { "'\($0)'" }.joined(separator: " "), in: folder)
        #expect(result.status == 0 && result.error.isEmpty)
        #expect(result.json != nil)
    }

    @Test func aPipeGetsPlainLines() async throws {
        let folder = try await sampleFolder()
        for command in [
            "pack model.safetensors", "report model.wcz", "inspect model.wcz", "inspect model.safetensors",
            "unpack model.wcz",
            "verify model.safetensors model.wcz", "codecs", "codecs -v", "report model.wcz --csv",
        ] {
            let result = try await shell("$wcodec \(command) 2>&1 | cat", in: folder)
            #expect(!result.output.isEmpty)
            #expect(!result.output.contains("\u{1b}") && !result.output.contains("ETA"), "\(command)")
            #expect(command.contains("--csv") || !result.output.contains("\r"), "\(command)")
        }
    }

    @Test func quietSaysNothing() async throws {
        let folder = try await sampleFolder()
        for command in [
            "pack model.safetensors -q", "unpack model.wcz --quiet", "verify model.safetensors model.wcz -q",
        ] {
            let result = try await shell("$wcodec \(command)", in: folder)
            #expect(result.status == 0 && result.output.isEmpty && result.error.isEmpty, "\(command)")
        }
    }

    @Test func thePackedFileDoesNotDependOnThreads() async throws {
        let folder = try await sampleFolder()
        for threads in ["1", "2", "7"] {
            let result = try await wcodec(
                "pack", "model.safetensors", "--threads", threads, "-o", "\(threads).wcz", in: folder)
            #expect(result.status == 0)
        }
        #expect(try fileBytes(folder["1.wcz"]) == fileBytes(folder["2.wcz"]))
        #expect(try fileBytes(folder["1.wcz"]) == fileBytes(folder["7.wcz"]))
    }

    @Test func reportsSayWhatPackingCost() async throws {
        let folder = try await sampleFolder(packed: true)
        let text = try await wcodec("report", "model.wcz", in: folder)
        for word in ["first.weight", "second.weight", "ratio", "bpw", "SNR"] { #expect(text.output.contains(word)) }
        let csv = try await wcodec("report", "model.wcz", "--csv", in: folder)
        #expect(csv.output.split(separator: "\r\n").count == 3)
    }

    @Test func verifyJudgesTheLossOfTheMetric() async throws {
        let folder = try await sampleFolder(packed: true)
        // A metric that is 1 for the original and 0.9 for any other model.
        let eval = "cmp -s {} '\(folder["model.safetensors"])' && echo metric 1 || echo metric 0.9"
        for (limit, status) in [("0.2", 0), ("0.05", 2), ("20%", 0), ("5%", 2)] as [(String, Int32)] {
            let result = try await wcodec(
                "verify", "model.safetensors", "model.wcz", "--eval", eval, "--max-loss", limit, in: folder)
            #expect(result.status == status, "\(limit)")
            #expect(result.output.contains("before 1.0, after 0.9"))
            #expect(result.errorLines.count == (status == 0 ? 0 : 1))
        }
        let better = try await wcodec(
            "verify", "model.safetensors", "model.wcz", "--eval", eval, "--max-loss", "0", "--lower-is-better",
            in: folder)
        #expect(better.status == 0)
        #expect(folder.contents == ["model.safetensors", "model.wcz"])
    }

    @Test func verifyHandsTheEvaluationAModelOfTheSameName() async throws {
        let folder = try await sampleFolder(packed: true)
        let eval = "test \"$(basename {})\" = model.safetensors && echo 1"
        #expect(try await wcodec("verify", "model.safetensors", "model.wcz", "--eval", eval, in: folder).status == 0)
    }

    @Test func theEvaluationCanBeInterrupted() async throws {
        let folder = try await sampleFolder(packed: true)
        // Signals that the program ignores would be ignored by what it starts, too.
        let result = try await shell(
            "$wcodec verify model.safetensors model.wcz --eval 'grep SigIgn /proc/self/status >> seen; echo 1 # {}'",
            in: folder)
        #expect(result.status == 0)
        let masks = String(decoding: try fileBytes(folder["seen"]), as: UTF8.self).split(separator: "\n")
        #expect(masks.count == 2)
        for mask in masks {
            let bits = try #require(UInt64(mask.split(whereSeparator: \.isWhitespace)[1], radix: 16))
            #expect(bits & 1 << 14 == 0, "SIGTERM is ignored")
        }
    }

    @Test func aPictureOfALayerIsWritten() async throws {
        let folder = try await sampleFolder(packed: true)
        for (source, target) in [("model.wcz", "a.png"), ("model.safetensors", "b.png")] {
            let result = try await wcodec("inspect", source, "--image", "first.weight", "-o", target, in: folder)
            #expect(result.status == 0)
            #expect(try fileBytes(folder[target]).starts(with: [0x89, 0x50, 0x4e, 0x47]))
        }
        #expect(try fileBytes(folder["a.png"]) == fileBytes(folder["b.png"]))
    }

    @Test(arguments: [
        "plain", "a-b.c", "with space", "q'uote", "💾<>&", "br[ack]et(s)*+?^$|{}", "\\Ed\\Q", "a/b", "#!%~`@,;=:\"",
    ])
    func aLayerOfAnyNameCanBeShown(name: String) async throws {
        let folder = try TemporaryFolder()
        try folder.write(Safetensors([.weights(name, [32, 32]), .weights("other", [33, 33])]).bytes, "m.safetensors")
        let result = try await wcodec("inspect", "m.safetensors", "--image", name, "-o", "x.png", in: folder)
        #expect(result.status == 0, "\(result.error)")
        #expect(folder.contents == ["m.safetensors", "x.png"])
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionScriptsAreMade(name: String) async throws {
        let folder = try TemporaryFolder()
        let result = try await wcodec("--generate-completion-script", name, in: folder)
        #expect(result.status == 0 && result.error.isEmpty)
        for command in ["pack", "unpack", "report", "verify", "inspect", "codecs"] {
            #expect(result.output.contains(command))
        }
    }

    @Test(arguments: ["", "pack", "unpack", "report", "verify", "inspect", "codecs"])
    func helpExplains(command: String) async throws {
        let folder = try TemporaryFolder()
        let result = try await shell("$wcodec \(command) --help", in: folder)
        #expect(result.status == 0 && result.error.isEmpty)
        #expect(result.output.contains("USAGE: wcodec"))
        #expect(result.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
        #expect(command == "codecs" || result.output.contains("EXAMPLES"))
        #expect(command != "" || result.output.contains("EXIT STATUS"))
    }

    @Test func aModelThatGrowsIsCalledLarger() async throws {
        let folder = try TemporaryFolder()
        try folder.write(Safetensors([.weights("bias", [40])]).bytes, "tiny.safetensors")
        let result = try await wcodec("pack", "tiny.safetensors", in: folder)
        #expect(result.status == 0 && result.output.contains("x larger\n"), "\(result.output)")
        let page = try await shell("$wcodec report tiny.wcz --html -o -", in: folder)
        #expect(page.output.contains("×</strong> larger"))
    }

    @Test(arguments: [
        "report model.wcz", "inspect model.wcz --json", "report model.wcz --html -o -",
        "unpack model.wcz --check",
        "pack model.safetensors -o other.wcz --json", "--help", "pack --help", "--version",
    ])
    func aFullDiskBehindStandardOutputIsAnError(command: String) async throws {
        let folder = try await sampleFolder(packed: true)
        let result = try await shell("$wcodec \(command) > /dev/full", in: folder)
        #expect(result.status == 73)
        #expect(result.errorLines == ["wcodec: standard output: no space left on device"])
    }

    /// Where what is printed is more than waits in memory, it fails before the end.
    @Test(arguments: ["report many.wcz --json", "codecs", "--generate-completion-script bash"])
    func aFullDiskIsNoticedBehindLongOutputToo(command: String) async throws {
        let folder = try TemporaryFolder()
        let tensors = (0..<60).map { Safetensors.Tensor.weights("layer\($0).weight", [32, 32], seed: UInt64($0)) }
        try folder.write(Safetensors(tensors).bytes, "many.safetensors")
        _ = try await wcodec("pack", "many.safetensors", "-q", in: folder)
        let result = try await shell("$wcodec \(command) > /dev/full", in: folder)
        #expect(result.status == 73 && result.errorLines.count == 1, "\(result.error)")
        #expect(result.error.hasPrefix("wcodec: standard output: "), "\(result.error)")
        // Who reads only the beginning gets it, and no complaint.
        let head = try await shell("$wcodec \(command) | head -c 9", in: folder)
        #expect(head.status == 0 && head.output.count == 9 && head.error.isEmpty, "\(head.error)")
    }

    @Test func theVersionIsPrinted() async throws {
        let result = try await wcodec("--version", in: try TemporaryFolder())
        #expect(result.status == 0 && result.output.split(separator: ".").count == 3)
    }
}
