import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive
import WeightMapper

/// What `docs/format.md` promises about files of version 3, checked without the library's own reader.
@Suite(.enabled(if: Python.hasModules, "needs the packages of docs/requirements.txt; ./test installs them"))
struct PlaneRuleTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let options: PackOptions
        /// Models that are packed together.
        let models: Int

        init(_ name: String, models: Int = 1, _ change: (inout PackOptions) -> Void) {
            var options = PackOptions()
            options.include = ["."]
            options.threads = 2
            change(&options)
            self.options = options
            self.models = models
            testDescription = name
        }
    }

    static let cases: [Case] =
        Medium.allCases.map { medium in
            Case("trellis as \(medium.rawValue)") {
                $0.quantizer = .trellis
                $0.medium = medium
                $0.bits = 3
            }
        } + [
            Case("trellis with a goal") {
                $0.quantizer = .trellis
                $0.choosesMedium = true
                $0.goal = .signalToNoise(4)
            },
            Case("uniform as auto") { $0.choosesMedium = true },
            Case("fixed as video") {
                $0.quantizer = .fixedPoint(FixedPointChoice(.exponent))
                $0.medium = .video
            },
            Case("exact") { $0.quantizer = .exact },
            Case("three models as video", models: 3) { $0.medium = .video },
            Case("two models as video, exact", models: 2) {
                $0.medium = .video
                $0.quantizer = .exact
            },
        ]

    /// A packed file's entries and manifest, by way of Python.
    private struct File {
        struct Entry: Decodable {
            let name: String
            let method: Int
            let date: [Int]
        }
        let entries: [Entry]
        let manifest: [String: Any]
        let streams: [[String: Any]]
        let packed: [[String: Any]]

        init(_ path: String) throws {
            let script = """
                import json, sys, zipfile
                archive = zipfile.ZipFile(sys.argv[1])
                print(json.dumps([{"name": e.filename, "method": e.compress_type, "date": e.date_time} for e in archive.infolist()]))
                print(archive.read("manifest.json").decode())
                """
            let output = try Python.run(["-c", script, path]).output.split(separator: "\n", maxSplits: 1)
            try #require(output.count == 2, "\(output)")
            entries = try JSONDecoder().decode([Entry].self, from: Data(output[0].utf8))
            manifest = try #require(try JSONSerialization.jsonObject(with: Data(output[1].utf8)) as? [String: Any])
            streams = try #require(manifest["streams"] as? [[String: Any]])
            let tensors = try #require(manifest["tensors"] as? [[String: Any]])
            packed = tensors.compactMap { $0["packed"] as? [String: Any] }
        }
    }

    private func pack(_ test: Case) async throws -> File {
        let folder = try TemporaryFolder()
        let paths = (1...test.models).map { folder["model\($0).safetensors"] }
        for path in paths { try ExampleModel.writeScales(to: path) }
        _ = try await Packer(try ModelFiles.open(paths), test.options).pack(to: folder["m.wcz"])
        return try File(folder["m.wcz"])
    }

    @Test(arguments: cases) func planesFillTheStreamsInOrder(_ test: Case) async throws {
        let file = try await pack(test)
        let planes = file.packed.flatMap { $0["planes"] as? [[String: Any]] ?? [] }
        let isTransposed = planes.contains { $0["transposed"] != nil }
        #expect(file.manifest["version"] as? Int == (isTransposed ? 4 : 3) && file.manifest["quantizer"] == nil)
        #expect(!file.packed.isEmpty)
        let layers = try file.packed.map { try #require($0["planes"] as? [[String: Any]]) }
        func first(_ planes: [[String: Any]]) -> (Int, Int) {
            (planes.first?["stream"] as? Int ?? -1, planes.first?["frame"] as? Int ?? 0)
        }
        var next = 0
        for plane in layers.sorted(by: { first($0) < first($1) }).joined() {
            let count = try #require(plane["streams"] as? Int)
            // A film goes on.
            if let frame = plane["frame"] as? Int, frame > 0 { next -= 1 }
            #expect(plane["stream"] as? Int == next && count > 0)
            next += count
            try #require(next <= file.streams.count)
            let streams = file.streams[next - count..<next]
            #expect(streams.allSatisfy { $0["bits"] as? Int == plane["bits"] as? Int })
            let shape = try #require(plane["shape"] as? String)
            #expect(((plane["count"] as? Int ?? 0) > 0) == ["run", "strip", "rows"].contains(shape), "\(shape)")
            #expect(((plane["width"] as? Int ?? 0) > 0) == (shape == "rows"), "\(shape)")
            let isVideo = streams.allSatisfy { ($0["entry"] as? String)?.hasPrefix("video/") == true }
            #expect((plane["block"] as? [Int])?.count == (isVideo ? 4 : nil))
        }
        #expect(next == file.streams.count)
        for packed in file.packed {
            #expect(packed["quantizer"] is [String: Any])
            for field in ["bits", "ranges", "block", "stream", "frame", "frames"] { #expect(packed[field] == nil) }
        }
    }

    @Test(arguments: cases) func onlyWhatIsNotCompressedIsDeflated(_ test: Case) async throws {
        let file = try await pack(test)
        #expect(file.entries.first?.name == "manifest.json" && file.entries.first?.method == 8)
        for entry in file.entries {
            let mayBe =
                ["manifest.json", "exact.safetensors"].contains(entry.name) || entry.name.hasPrefix("skeleton/")
            #expect(entry.method == 0 || entry.method == 8 && mayBe, "\(entry.name)")
            #expect(entry.date == [1980, 1, 1, 0, 0, 0], "\(entry.name)")
        }
    }

    /// A field or name that the specification does not have would be one that a stranger cannot know.
    @Test(arguments: cases) func everyFieldAndNameIsDocumented(_ test: Case) async throws {
        let text = try String(contentsOf: Python.docs.appending(path: "format.md"), encoding: .utf8)
        let file = try await pack(test)
        for field in fieldNames(file.manifest) {
            #expect(text.contains("`\(field)`"), "\(field)")
        }
        for packed in file.packed {
            let quantizer = try #require(packed["quantizer"] as? [String: Any])
            let shapes = (packed["planes"] as? [[String: Any]] ?? []).map { $0["shape"] }
            for name in quantizer.values.map({ $0 as? String }) + shapes.map({ $0 as? String }) {
                guard let name else { continue }
                #expect(text.contains("`\(name)`"), "\(name)")
            }
        }
    }

    @Test func everyTrellisIsDocumented() throws {
        let text = try String(contentsOf: Python.docs.appending(path: "format.md"), encoding: .utf8)
        let counts = Trellis.stateCounts.map(String.init)
        #expect(text.contains("| `states` | \(counts.joined(separator: " | ")) |"))
        #expect(text.contains("| `states` | \(counts.dropLast().joined(separator: ", ")) or \(counts.last ?? "") |"))
    }
}
