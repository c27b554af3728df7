import TestSupport
import Testing

/// `--lossless` and `--delta` on the command line.
struct ExactUseTests {
    @Test(arguments: ["image", "video", "audio", "auto"])
    func everyBitComesBack(medium: String) async throws {
        let folder = try await sampleFolder()
        let packed = try await wcodec(
            "pack", "model.safetensors", "--lossless", "--as", medium, "--include", "weight", in: folder)
        #expect(packed.status == 0 && packed.error.isEmpty && packed.output.contains("bits per weight, bit-exact"))
        #expect(try await wcodec("unpack", "model.wcz", "-o", "restored", in: folder).status == 0)
        #expect(try fileBytes(folder["restored"]) == fileBytes(folder["model.safetensors"]))
        let verified = try await wcodec("verify", "model.safetensors", "model.wcz", in: folder)
        #expect(
            verified.status == 0
                && verified.output == "bit-exact: 3 tensors of 3 came back bit for bit; all hashes match\n")
        let report = try await wcodec("report", "model.wcz", in: folder)
        #expect(report.output.contains("exact") && report.output.contains("quantizer: none, bit-exact"))
        #expect(try await wcodec("report", "model.wcz", "--html", in: folder).status == 0)
        #expect(try await wcodec("inspect", "model.wcz", in: folder).status == 0)
    }

    @Test func aFineTuneNeedsItsBase() async throws {
        let folder = try await sampleFolder()
        _ = try await shell("cp model.safetensors base.safetensors", in: folder)
        let packed = try await wcodec("pack", "model.safetensors", "--delta", "base.safetensors", in: folder)
        #expect(packed.status == 0 && packed.output.contains("bit-exact"))
        #expect(try fileBytes(folder["model.wcz"]).count < 3000)
        let alone = try await wcodec("unpack", "model.wcz", "-o", "restored", in: folder)
        #expect(alone.status != 0 && alone.errorLines.count == 1 && alone.error.contains("(--delta)"))
        let whole = try await wcodec(
            "unpack", "model.wcz", "--delta", "base.safetensors", "-o", "restored", in: folder)
        #expect(whole.status == 0)
        #expect(try fileBytes(folder["restored"]) == fileBytes(folder["model.safetensors"]))
        let verified = try await wcodec(
            "verify", "model.safetensors", "model.wcz", "--delta", "base.safetensors", in: folder)
        #expect(verified.status == 0 && verified.output.hasPrefix("bit-exact"))
    }

    @Test(arguments: [["--bits", "4"], ["--quantizer", "trellis"], ["--min-snr", "20"]])
    func whatSaysHowMuchIsLostIsRefused(options: [String]) async throws {
        let folder = try await sampleFolder()
        for exact in ["--lossless", "--delta base.safetensors"] {
            let result = try await shell(
                "$wcodec pack model.safetensors \(exact) \(options.joined(separator: " "))", in: folder)
            #expect(result.status == 64 && result.error.contains("--lossless and --delta: expected without"))
        }
        #expect(folder.contents == ["model.safetensors"])
    }
}
