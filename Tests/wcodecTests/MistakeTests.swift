import Foundation
import TestSupport
import Testing

/// What the program says to wrong arguments and bad input.
struct MistakeTests {
    struct Mistake: CustomTestStringConvertible, Sendable {
        let command: String
        let status: Int32
        let words: [String]
        var testDescription: String { command }

        init(_ command: String, _ status: Int32, _ words: String...) {
            self.command = command
            self.status = status
            self.words = words
        }
    }

    private static let usage = [
        Mistake("nosuch", 64), Mistake("pack", 64, "model"), Mistake("pack model.safetensors --as smell", 64, "smell"),
        Mistake("pack model.safetensors --bits 0", 64, "--bits", "'0'"),
        Mistake("pack model.safetensors --bits 17", 64, "--bits", "'17'"),
        Mistake("pack model.safetensors --bits first=99", 64, "--bits"),
        Mistake("pack model.safetensors --bits x", 64, "'x'"),
        Mistake("pack model.safetensors --kind first", 64, "--kind", "lstm"),
        Mistake("pack model.safetensors --kind first=nose", 64, "--kind"),
        Mistake("pack model.safetensors --range galaxy", 64, "galaxy"),
        Mistake("pack model.safetensors --threads 0", 64, "--threads"),
        Mistake("pack model.safetensors --as video --block 1", 64, "--block"),
        Mistake("pack model.safetensors --as video --block 0,4", 64, "--block"),
        Mistake("pack model.safetensors --as video --block 1,2,3", 64, "--block"),
        Mistake("pack model.safetensors --range group:32", 64, "fixed or scaled"),
        Mistake("pack model.safetensors --range model", 64, "fixed or scaled"),
        Mistake("pack model.safetensors --range group:0", 64, "group:k"),
        Mistake("pack model.safetensors --strategy up", 64, "fixed or scaled"),
        Mistake("pack model.safetensors --quantizer fixed --strategy sideways", 64, "sideways"),
        Mistake("pack model.safetensors --quantizer scaled --min-snr 20", 64, "--quantizer scaled"),
        Mistake("pack model.safetensors --target-bpw 0", 64, "--target-bpw", "0.0"),
        Mistake("pack model.safetensors --target-bpw 33", 64, "--target-bpw", "at most 32"),
        Mistake("pack model.safetensors --target-bpw nan", 64, "--target-bpw"),
        Mistake("pack model.safetensors --target-bpw few", 64, "--target-bpw", "'few'"),
        Mistake("pack model.safetensors --min-snr=-3", 64, "--min-snr", "-3"),
        Mistake("pack model.safetensors --min-snr inf", 64, "--min-snr", "at most 120"),
        Mistake("pack model.safetensors --target-size 5XB", 64, "--target-size", "'5XB'"),
        Mistake("pack model.safetensors --target-size 0", 64, "--target-size", "'0'"),
        Mistake("pack model.safetensors --target-size ''", 64, "--target-size", "''"),
        Mistake("pack model.safetensors --target-size 99999999999GB", 64, "--target-size"),
        Mistake("pack model.safetensors --max-error 0", 64, "--max-error"),
        Mistake("pack model.safetensors --max-error inf", 64, "--max-error", "inf"),
        Mistake("pack model.safetensors --max-error 1e-300", 64, "--max-error"),
        Mistake("pack model.safetensors --quality 101", 64, "--quality", "0 to 100"),
        Mistake("pack model.safetensors --quality=-1", 64, "--quality"),
        Mistake("pack model.safetensors --effort 0", 64, "--effort", "1 to 9"),
        Mistake("pack model.safetensors --effort 10", 64, "--effort", "found 10"),
        Mistake("pack model.safetensors --effort much", 64, "--effort", "'much'"),
        Mistake("pack model.safetensors --quantizer nosuch", 64, "--quantizer", "'nosuch'"),
        Mistake("pack model.safetensors --quantizer trellis:states=7", 64, "--quantizer", "states=7"),
        Mistake("pack model.safetensors --quantizer trellis:states=", 64, "--quantizer", "states="),
        Mistake("pack model.safetensors --quantizer trellis:8", 64, "--quantizer", "trellis:8"),
        Mistake("pack model.safetensors --quantizer uniform --quality 50", 64, "--quantizer uniform"),
        Mistake("pack model.safetensors --target-bpw 3 --min-snr 20", 64, "one of", "found 2"),
        Mistake("pack model.safetensors --target-size 1MB --max-error 1 --quality 1", 64, "one of", "found 3"),
        Mistake("pack model.safetensors --lossless --quality 50", 64, "--lossless"),
        Mistake("inspect model.safetensors --range model", 64, "--range"),
        Mistake("pack model.safetensors another", 64, "-o FILE"),
        Mistake("pack model.safetensors --nosuch", 64, "--nosuch"),
        Mistake("report model.wcz --json --csv", 64, "--csv"),
        Mistake("verify model.safetensors model.wcz --max-loss 1", 64, "--eval"),
        Mistake("verify model.safetensors model.wcz --eval 'echo {}' --max-loss much", 64, "'much'"),
        Mistake("verify model.safetensors", 64), Mistake("inspect model.wcz --image first.weight", 64, "-o"),
    ]

    private static let failures = [
        Mistake("pack missing.bin", 66, "missing.bin"), Mistake("pack /dev/null", 66, "/dev/null"),
        Mistake("pack . -o x.wcz", 65, "nan.safetensors:odd?name", "nan"), Mistake("pack missing/", 66, "missing/"),
        Mistake("pack . -o x.wcz --layout notes.txt", 65, "layout", "folder"), Mistake("unpack .", 66, "."),
        Mistake("unpack model.wcz --to npz -o notes.txt", 73, "notes.txt", "--force"),
        Mistake("unpack model.wcz --to npz -o nofolder/x", 73, "nofolder"),
        Mistake("unpack damaged.wcz --to safetensors", 65, "damaged.wcz"),
        Mistake("pack notes.txt", 65, "notes.txt"),
        Mistake("pack empty", 65, "empty"), Mistake("pack model.wcz -o x.wcz", 65, "model.wcz"),
        Mistake("pack model.safetensors -o model.wcz", 73, "model.wcz", "--force"),
        Mistake("pack model.safetensors -o nofolder/x.wcz", 73, "nofolder"),
        Mistake("pack model.safetensors -o notes.txt/x.wcz", 73, "notes.txt"),
        Mistake("pack model.safetensors -o model.safetensors --force", 73, "model.safetensors"),
        Mistake("pack model.safetensors -o x.wcz --codec nosuch", 65, "nosuch", "png"),
        Mistake("pack model.safetensors -o x.wcz --codec png:nosuch=1", 65, "nosuch"),
        Mistake("pack model.safetensors -o x.wcz --as image --codec flac", 65, "flac", "image"),
        Mistake("pack model.safetensors -o x.wcz --include nosuch", 65, "--include", "'nosuch'"),
        Mistake("pack model.safetensors -o x.wcz --exclude '('", 65, "--exclude", "'('"),
        Mistake("pack model.safetensors -o x.wcz --bits nosuch=4", 65, "--bits"),
        Mistake("pack model.safetensors -o x.wcz --kind first.weight=conv", 65, "first.weight"),
        Mistake("pack model.safetensors -o x.wcz --layout notes.txt", 65, "layout", "safetensors"),
        Mistake("pack model.safetensors -o x.wcz --target-size 100", 65, "--target-size"),
        Mistake("pack model.safetensors -o x.wcz --min-snr 119", 65, "at least 119.0 dB"),
        Mistake("pack model.safetensors -o x.wcz --max-error 1e-30", 65, "weight", "--exclude"),
        Mistake("pack model.safetensors -o x.wcz --quality 50 --codec hevc:qp=20", 65, "hevc", "lossless"),
        Mistake("pack model.safetensors -o x.wcz --quality 50 --importance missing.json", 66, "missing.json"),
        Mistake("pack model.safetensors -o x.wcz --quality 50 --weights-by notes.txt", 66, "notes.txt"),
        Mistake("pack nan.safetensors --target-bpw 3", 65, "odd?name", "nan"),
        Mistake("pack nan.safetensors", 65, "odd?name", "nan"), Mistake("unpack missing.wcz", 66, "missing.wcz"),
        Mistake("unpack model.safetensors", 65, "model.safetensors"), Mistake("unpack empty", 65, "empty"),
        Mistake("unpack damaged.wcz", 65, "damaged.wcz"),
        Mistake("unpack model.wcz -o notes.txt", 73, "notes.txt", "--force"),
        Mistake("unpack model.wcz -o nofolder/x", 73, "nofolder"),
        Mistake("unpack model.wcz -o model.wcz --force", 73, "model.wcz"),
        Mistake("run model.wcz --engine native", 65, "wcodec: model.wcz:", "an ONNX model"),
        Mistake("report damaged.wcz", 65, "damaged.wcz"), Mistake("report model.wcz --original missing", 66, "missing"),
        Mistake("verify missing model.wcz", 66, "missing"),
        Mistake("verify other.safetensors model.wcz", 65, "differ", "other.safetensors"),
        Mistake("verify model.safetensors damaged.wcz", 65, "damaged.wcz"),
        Mistake("verify model.safetensors model.wcz --eval 'exit 7 # {}'", 65, "--eval", "7"),
        Mistake("verify model.safetensors model.wcz --eval 'echo one # {}'", 65, "--eval", "number"),
        Mistake("verify model.safetensors model.wcz --eval 'python evaluate.py'", 65, "{}"),
        Mistake("inspect missing", 66, "missing"), Mistake("inspect damaged.wcz", 65, "damaged.wcz"),
        Mistake("inspect notes.txt", 65, "notes.txt"),
        Mistake("inspect model.wcz --image nosuch -o x.png", 65, "nosuch"),
        Mistake("inspect model.safetensors --image nosuch -o x.png", 65, "nosuch"),
        Mistake("inspect model.safetensors --image first.weight -o notes.txt", 73, "notes.txt"),
        Mistake("inspect model.safetensors --image first.weight -o nofolder/x.png", 73, "nofolder"),
    ]

    private func folder() async throws -> TemporaryFolder {
        let folder = try await sampleFolder(packed: true)
        var bytes = try fileBytes(folder["model.wcz"])
        bytes[bytes.count / 3] ^= 4
        try folder.write(bytes, "damaged.wcz")
        try folder.write(Array("Dear diary, nothing happened today.\n".utf8), "notes.txt")
        try folder.write([], "empty")
        try folder.write(Safetensors([.weights("first.weight", [48, 41])]).bytes, "other.safetensors")
        var values = [Float](repeating: 1, count: 1024)
        values[3] = .nan
        try folder.write(Safetensors([.init("odd\nname", [32, 32], values)]).bytes, "nan.safetensors")
        return folder
    }

    @Test(arguments: usage + failures)
    func aMistakeIsExplained(mistake: Mistake) async throws {
        let folder = try await folder()
        let before = try folder.contents.map { [UInt8]($0.utf8) + (try fileBytes(folder[$0])) }
        let result = try await shell("$wcodec \(mistake.command)", in: folder)
        #expect(result.status == mistake.status, "\(result.error)")
        #expect(result.output.isEmpty)
        let first = try #require(result.errorLines.first)
        for word in mistake.words {
            // A control character in a name is shown as a replacement character.
            let shown = word.split(separator: "?").map(String.init)
            for part in shown { #expect(first.contains(part), "\(first)") }
        }
        if mistake.status == 64 {
            #expect(first.hasPrefix("Error: "))
            // The usage of the command that was meant, in lines that a terminal shows whole.
            let command = mistake.command.split(separator: " ")[0]
            #expect(
                command == "nosuch" || result.errorLines.contains { $0.hasPrefix("Usage: wcodec \(command) ") },
                "\(result.error)")
            #expect(result.errorLines.allSatisfy { !$0.hasPrefix("Usage") || $0.count <= 80 }, "\(result.error)")
        } else {
            #expect(result.errorLines.count == 1, "\(result.error)")
            #expect(first.hasPrefix("wcodec: "))
            #expect(!first.contains("Error("))
        }
        let after = try folder.contents.map { [UInt8]($0.utf8) + (try fileBytes(folder[$0])) }
        #expect(before == after, "files were changed")
    }

    @Test func hostileFilesFindLittleMemory() async throws {
        // Sizes that a forged manifest claims must not be believed before there are bytes for them.
        let folder = try await sampleFolder(packed: true)
        var zip = try #require(StoredZip(try fileBytes(folder["model.wcz"])))
        let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        for (from, to) in [
            ("[48,40]", "[1099511627776,40]"), (#"["output",48]"#, #"["output",1099511627776]"#),
            (#""width":40"#, #""width":2000000000"#), (#""frames":1"#, #""frames":1000000000000"#),
        ] {
            let hostile = manifest.replacingOccurrences(of: from, with: to)
            #expect(hostile != manifest)
            zip["manifest.json"] = Array(hostile.utf8)
            try folder.write(zip.packed, "hostile.wcz")
            let result = try await shell("ulimit -v 4000000; exec $wcodec unpack hostile.wcz -o x", in: folder)
            #expect(result.status == 65, "\(to): \(result.error.prefix(300))")
            #expect(result.errorLines.count == 1)
            #expect(folder.contents == ["hostile.wcz", "model.safetensors", "model.wcz"])
        }
    }
}
