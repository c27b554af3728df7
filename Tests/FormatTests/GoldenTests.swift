import Foundation
import TestSupport
import Testing
import WeightArchive

/// Packed files of earlier days, which every later version must go on reading; `Golden/make_golden.py` made them.
@Suite struct GoldenTests {
    private static let folder = Bundle.module.resourceURL.map { $0.appending(path: "Golden") } ?? URL(filePath: "/")

    struct Expected: Decodable {
        /// XXH3-128 of each restored file, by packed file and name.
        let restored: [String: [String: String]]
        /// What the error must name, by damaged packed file.
        let refused: [String: String]
    }

    static func expected() throws -> Expected {
        try JSONDecoder().decode(Expected.self, from: Data(contentsOf: folder.appending(path: "expected.json")))
    }

    @Test func oldFilesAreRestored() async throws {
        let expected = try Self.expected().restored
        #expect(expected.count >= 10)
        for (name, hashes) in expected {
            let folder = try TemporaryFolder()
            do {
                let packed = try PackedModel(Self.folder.appending(path: name).path)
                try await Unpacker(packed).unpack(to: folder["out"], threads: 1, force: false)
                let files = try contents(folder["out"]).map { ($0 == "" ? packed.fileNames[0] : $0, $1.xxh3) }
                #expect(Dictionary(uniqueKeysWithValues: files) == hashes, "\(name)")
            } catch {
                Issue.record("\(name): \(error)")
            }
        }
    }

    @Test(.enabled(if: Python.hasModules)) func pythonRestoresOldFiles() throws {
        let folder = try TemporaryFolder()
        let expected = try Self.expected().restored.sorted { $0.key < $1.key }
        let files = expected.map {
            (packed: Self.folder.appending(path: $0.key).path, output: folder[$0.key.replacing("/", with: "_")])
        }
        for (index, failure) in try Python.decode(files).enumerated() {
            #expect(failure == nil, "\(expected[index].key)")
            guard failure == nil else { continue }
            let hashes = try contents(files[index].output).values.map(\.xxh3)
            #expect(hashes.sorted() == expected[index].value.values.sorted(), "\(expected[index].key)")
        }
    }

    @Test func badFilesAreRefused() async throws {
        let refused = try Self.expected().refused
        #expect(refused.count >= 7)
        for (name, part) in refused {
            let folder = try TemporaryFolder()
            let path = Self.folder.appending(path: name).path
            let error = await #expect(throws: (any Error).self, "\(name)") {
                try await Unpacker(PackedModel(path)).unpack(to: folder["out"], threads: 1, force: false)
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains(part), "\(name): \(error.map { "\($0)" } ?? "")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty, "\(name)")
        }
    }

    @Test(.enabled(if: Python.hasModules)) func pythonRefusesBadFiles() throws {
        let folder = try TemporaryFolder()
        let names = try Self.expected().refused.keys.sorted()
        let files = names.map {
            (packed: Self.folder.appending(path: $0).path, output: folder[$0.replacing("/", with: "_")])
        }
        for (index, failure) in try Python.decode(files).enumerated() { #expect(failure != nil, "\(names[index])") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func bytesThatAreMissingOrTooManyAreNoticed() throws {
        let good = try Data(contentsOf: Self.folder.appending(path: "v1/image-8.wcz"))
        var flipped = good
        flipped[flipped.count / 2] ^= 4
        let folder = try TemporaryFolder()
        for (data, part) in [
            (flipped, "hash of the file"), (good.dropLast(), "end of file"), (good + [0], "end of file"),
            (good.dropLast(50), "end of file"), (Data(), "an empty file"),
        ] {
            try data.write(to: URL(filePath: folder["bad.wcz"]))
            let error = #expect(throws: ArchiveError.self) { try PackedModel(folder["bad.wcz"]) }
            #expect(error?.description.contains(part) == true, "\(part)")
        }
    }

    @Test func theyAreSmall() throws {
        let names = try Array(Self.expected().restored.keys) + Array(Self.expected().refused.keys)
        let total = try names.reduce(0) { try $0 + Data(contentsOf: Self.folder.appending(path: $1)).count }
        #expect(total < 128 << 10)
    }
}
