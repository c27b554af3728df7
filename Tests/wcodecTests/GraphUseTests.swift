import Foundation
import TestSupport
import Testing

/// `graph` and `estimate` as a person uses them.
struct GraphUseTests {
    private static let model = modelFixture("onnx/torch.onnx")

    @Test func graphListsTheLayers() async throws {
        let folder = try TemporaryFolder()
        let result = try await wcodec("graph", Self.model, in: folder)
        #expect(result.status == 0 && result.error.isEmpty)
        let line = result.output.split(separator: "\n").first { $0.hasPrefix("/lstm/LSTM ") }
        #expect(line?.contains("5x2x1x12 (+2)") == true)
        let again = try await shell(
            "$wcodec graph '\(Self.model)' --json | tee g.json | $wcodec graph g.json", in: folder)
        #expect(again.status == 0 && again.output.contains("/lstm/LSTM "))
    }

    @Test func graphsComeFromCommands() async throws {
        let folder = try TemporaryFolder()
        #expect(try await shell("$wcodec graph '\(Self.model)' --json > g.json", in: folder).status == 0)
        let result = try await wcodec("graph", "--from-command", "cat g.json", "--json", in: folder)
        let text = String(decoding: try fileBytes(folder["g.json"]), as: UTF8.self)
        #expect(result.status == 0 && result.output == text)
    }

    @Test func picturesAreWrittenOnce() async throws {
        let folder = try TemporaryFolder()
        #expect(try await wcodec("graph", Self.model, "--svg", "g.svg", in: folder).status == 0)
        #expect(try await wcodec("graph", Self.model, "--dot", "g.dot", in: folder).status == 0)
        #expect(folder.contents == ["g.dot", "g.svg"])
        let again = try await wcodec("graph", Self.model, "--svg", "g.svg", in: folder)
        #expect(again.status == 73 && again.errorLines.count == 1)
        #expect(try await wcodec("graph", Self.model, "--svg", "g.svg", "--force", in: folder).status == 0)
        let printed = try await wcodec("graph", Self.model, "--svg", "-", in: folder)
        #expect(printed.output.hasPrefix("<svg ") && printed.output.contains("/lstm/LSTM"))
    }

    @Test func estimateSaysWhatIsNeededBeforeAndAfterPacking() async throws {
        let folder = try TemporaryFolder()
        #expect(try await wcodec("pack", Self.model, "-o", "m.wcz", "-q", in: folder).status == 0)
        let text = try await wcodec("estimate", Self.model, "m.wcz", in: folder)
        #expect(text.status == 0 && text.error.isEmpty)
        for words in [
            "multiply-adds a run", "with reuse", "weights packed", "target layer", "runs a second", "m.wcz: ",
        ] {
            #expect(text.output.contains(words), "\(words)")
        }
        let json = try await wcodec("estimate", Self.model, "m.wcz", "--json", "--type", "int8", in: folder)
        let document = try #require(json.json as? [String: Any])
        let memory = try #require(document["memory"] as? [String: Any])
        #expect(memory["withReuse"] as? Int ?? 0 > 0 && document["computeType"] as? String == "int8")
        #expect((document["packed"] as? [String: Any])?["weightBytes"] as? Int ?? 0 > 0)
    }

    @Test func estimateTakesDevicesOfOnesOwn() async throws {
        let folder = try TemporaryFolder()
        let list =
            #"{"devices":[{"name":"tiny","memory":9,"memoryBandwidth":1,"multiplyAddsPerSecond":{"float32":1}}]}"#
        try folder.write(Array(list.utf8), "d.json")
        let result = try await wcodec("estimate", Self.model, "--devices", "d.json", in: folder)
        #expect(result.status == 0)
        #expect(result.output.split(separator: "\n").contains { $0.hasPrefix("tiny ") && $0.contains(" no ") })
    }

    @Test func weightsAloneAreEnough() async throws {
        let folder = try await sampleFolder()
        let result = try await wcodec("estimate", "model.safetensors", in: folder)
        #expect(result.status == 0 && result.output.contains("3,840 multiply-adds"))
        #expect(result.output.contains("made from weights"))
    }

    @Test(
        arguments: [
            ("graph", 64, "a model"), ("graph MODEL --from-url http://localhost/", 64, "several"),
            ("graph MODEL --shape x", 64, "'x'"), ("graph MODEL --shape input.1=1x-2", 64, "--shape"),
            ("graph MODEL --shape input.1=5x1 --shape input.1=5x1", 64, "twice"),
            ("graph MODEL --shape nosuch=1", 65, "input.1"), ("graph MODEL --shape input.1=6x1", 65, "5x1"),
            ("graph MODEL --json --dot g", 64, "several"), ("graph nosuch.onnx", 66, "nosuch.onnx"),
            ("graph --from-url ftp://host/", 65, "http"), ("graph --from-command 'exit 4'", 66, "exit 4"),
            ("estimate", 64, "a model"), ("estimate MODEL a b", 64, "3 files"),
            ("estimate MODEL --threshold much", 64, "'much'"), ("estimate MODEL --type int3", 64, "int3"),
            ("estimate MODEL --devices nosuch.json", 66, "nosuch.json"),
            ("estimate MODEL nosuch.wcz", 66, "nosuch.wcz"),
        ])
    func mistakesGetOneLine(command: String, status: Int32, word: String) async throws {
        let folder = try TemporaryFolder()
        let result = try await shell("exec $wcodec \(command.replacing("MODEL", with: Self.model))", in: folder)
        #expect(result.status == status && result.output.isEmpty)
        #expect(result.error.contains(word), "\(result.error)")
        if status != 64 { #expect(result.errorLines.count == 1) }
    }
}
