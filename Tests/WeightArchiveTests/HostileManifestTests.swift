import Codecs
import Foundation
import TestSupport
import Testing
import WeightArchive

/// Packed files whose hashes all fit, made to crash, to fill memory or to write elsewhere.
struct HostileManifestTests {
    /// A place in the manifest and what an attacker writes there.
    struct Attack: CustomTestStringConvertible, Sendable {
        let path: [String]
        /// JSON; `nil` removes the field.
        let value: String?
        var testDescription: String { "\(path.joined(separator: ".")) = \(value ?? "removed")" }

        init(_ path: String, _ value: String?) {
            self.path = path.split(separator: ".").map(String.init)
            self.value = value
        }
    }

    // Tensors of the model in order of place: a.bias (kept), a.weight, b.weight, c.ids (in the exact file).
    private static let model = Safetensors([
        .weights("a.bias", [32], seed: 22), .weights("a.weight", [32, 33], seed: 21),
        .weights("b.weight", [40, 32], seed: 23), .init("c.ids", "I64", [4], [UInt8](repeating: 7, count: 32)),
    ])

    private static let huge = [
        "-1", "0", "1152921504606846976", "4611686018427387904", "9223372036854775807", "1e300", "\"x\"", "null",
    ]

    private static let attacks: [Attack] = {
        var attacks: [Attack] = []
        func add(_ path: String, _ values: [String?]) { attacks += values.map { Attack(path, $0) } }
        add(
            "source.files.0.name",
            ["\"../x\"", "\"/tmp/x\"", "\"a/b\"", "\"\"", "\".\"", "\"..\"", "\"a\\u0000b\"", "\"a\\nb\"", nil])
        add("source.files.0.size", huge + [nil])
        add("source.files", ["[]", nil, "{}"])
        add("source.files.0.original", ["-1", "\"5\""])
        add("source.files.0.recoding", [#"{"name":"deflate","entries":[0],"level":6}"#, #"{"name":"other"}"#])
        add("version", ["0", "2", "3", "\"1\"", nil])
        add("source.format", [nil, "7"])
        add("medium", ["\"audio\"", "\"video\"", "\"smell\"", nil])
        add("quantizer.name", ["\"other\"", nil])
        add("quantizer.range", ["\"galaxy\"", "\"layer\"", nil])
        add("quantizer.reconstruct", ["\"mean\"", "\"never\"", nil])
        add("exact", ["\"00\"", nil])
        add("parameters", ["{}", nil])
        for field in ["bytes", "width", "height"] { add("parameters.\(field)", huge + [nil]) }
        add("parameters.hash", ["\"\"", nil])
        add("streams", ["[]", nil])
        for field in ["width", "height", "frames", "bits"] { add("streams.0.\(field)", huge + ["17", nil]) }
        add("streams.0.codec", ["\"flac\"", "\"utvideo\"", "\"nosuch\"", "\"\"", "\"png:x=1\"", nil])
        add("streams.0.entry", ["\"../../x\"", "\"image/b.weight.png\"", "\"manifest.json\"", "\"\"", nil])
        add("streams.0.hash", ["\"\"", nil])
        add("tensors", ["[]", nil, "{}"])
        for tensor in [0, 1, 3] {
            add("tensors.\(tensor).dtype", ["\"F999\"", "\"\"", tensor == 3 ? "\"I8\"" : "\"I64\"", nil])
            add(
                "tensors.\(tensor).at",
                [
                    "[]", "[0]", "[1, 0]", "[-1, 0]", "[0, -1]", "[0, 9223372036854775807]", "[0, 0, 0]",
                    "[0, 1000000]", nil,
                ])
            add(
                "tensors.\(tensor).shape",
                [
                    "[]", "[-32, -33]", "[1152921504606846976]", "[9223372036854775807, 9223372036854775807]",
                    "[9223372036854775807, 9223372036854775807, 0]", "[0]", "[2147483648, 2]", "[33, 33]", nil,
                ])
            add("tensors.\(tensor).kept", tensor == 1 ? ["\"small\""] : [nil])
            add("tensors.\(tensor).inSkeleton", ["true"])
            // Only a tensor in the skeleton may say its size.
            add("tensors.\(tensor).bytes", ["-1", "0", "128", "9223372036854775807", "1e300", "\"x\""])
        }
        add("parameters.stored", ["-1", "9223372036854775807", "\"x\"", nil])
        add("tensors.1.packed", [nil, "{}"])
        for field in ["bits", "stream", "frame", "frames"] {
            add(
                "tensors.1.packed.\(field)",
                huge.filter { $0 != "0" || field == "bits" || field == "frames" } + ["17", nil])
        }
        add("tensors.1.packed.kind", ["\"lstmm\"", nil])
        add(
            "tensors.1.packed.axes",
            [
                "[]", "[[\"output\", 32]]", "[[\"output\", 32], [\"input\", 34]]", "[[\"output\", 0], [\"input\", 33]]",
                "[[\"output\", -32], [\"input\", -33]]", "[[\"output\", 4611686018427387904], [\"input\", 4]]",
                "[[\"nose\", 32], [\"input\", 33]]", "[[\"stack\", 32], [\"input\", 33]]", "[[\"output\"]]", nil,
            ])
        add("tensors.1.packed.ranges", ["\"float64\"", "\"float32\"", "\"none\"", nil])
        add(
            "tensors.1.packed.parameters",
            [
                "[]", "[0]", "[-1, 72]", "[0, -1]", "[9223372036854775807, 72]", "[0, 9223372036854775807]", "[1, 72]",
                "[72, 72]", nil,
            ])
        add("tensors.1.packed.hash", ["\"\"", nil])
        return attacks
    }()

    private static let template = Template()

    /// The packed model that attacks start from, made once.
    private actor Template {
        private var files: [Medium: StoredZip] = [:]

        func zip(_ medium: Medium) async throws -> StoredZip {
            if let zip = files[medium] { return zip }
            let folder = try TemporaryFolder()
            let path = try folder.write(HostileManifestTests.model.bytes, "m.safetensors")
            try await pack(path, to: folder["m.wcz"]) { $0.medium = medium }
            let zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
            files[medium] = zip
            return zip
        }
    }

    private func expectRefused(_ zip: StoredZip, _ what: String) async throws {
        let folder = try TemporaryFolder()
        let inner = try folder.makeFolder("inner")
        let path = try folder.write(zip.packed, "inner/hostile.wcz")
        var restored: PackedModel?
        let error = await expectedError {
            let packed = try PackedModel(path)
            // What a report adds up must not overflow either.
            _ = packed.summary.layers.reduce(0) { $0 + $1.packedBytes }
            restored = packed
            try await Unpacker(packed).unpack(to: "\(inner)/restored", threads: 1, force: false)
        }
        #expect(error != nil, "\(what) was taken\(restored == nil ? "" : " and opened")")
        // A name's own line breaks are made visible where the error is printed.
        #expect(error?.split(separator: "\n").count == (what.contains("\\n") ? 2 : 1), "\(what): \(error ?? "")")
        #expect(folder.contents == ["inner", "inner/hostile.wcz"], "\(what)")
    }

    private func forged(_ zip: StoredZip, _ attacks: [Attack]) throws -> StoredZip {
        var json = try JSONSerialization.jsonObject(with: Data(try #require(zip["manifest.json"])))
        for attack in attacks {
            let value = try attack.value.map {
                try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
            }
            json = try #require(replacing(json, attack.path[...], value))
        }
        var zip = zip
        zip["manifest.json"] = Array(try JSONSerialization.data(withJSONObject: json))
        return zip
    }

    private func replacing(_ json: Any, _ path: ArraySlice<String>, _ value: Any?) -> Any? {
        guard let key = path.first else { return value }
        if var object = json as? [String: Any] {
            guard path.count == 1 || object[key] != nil else { return nil }
            object[key] = replacing(object[key] ?? "", path.dropFirst(), value)
            return object
        }
        guard var array = json as? [Any], let index = Int(key), array.indices.contains(index),
            let element = replacing(array[index], path.dropFirst(), value)
        else { return nil }
        array[index] = element
        return array
    }

    @Test(arguments: attacks)
    func oneWrongFieldIsAnError(attack: Attack) async throws {
        let zip = try forged(try await Self.template.zip(.image), [attack])
        try await expectRefused(zip, attack.testDescription)
    }

    @Test(arguments: [
        "[]", "[1, 2, 3]", "[0, 40, 1, 1]", "[-1, 40, 1, 1]", "[32, 41, 1, 1]", "[32, 9223372036854775807, 1, 1]",
        "[1, 1, 1, 1]", "[32, 40, 0, 1]", "[16, 40, 1, 1]", nil,
    ])
    func aWrongBlockIsAnError(block: String?) async throws {
        let zip = try forged(try await Self.template.zip(.video), [Attack("tensors.2.packed.block", block)])
        try await expectRefused(zip, "block \(block ?? "removed")")
    }

    @Test(arguments: Medium.allCases)
    func sizesThatNoStreamCouldHoldAreRefusedBeforeMemoryIsTaken(medium: Medium) async throws {
        for side in [1 << 31, 1 << 40, 1 << 58] {
            let bytes = 4 * 2 * side
            let zip = try await Self.template.zip(medium)
            // One tensor that is consistent with itself everywhere, and takes the place of the last packed one.
            let original = try #require(zip["skeleton/m.safetensors"]).count + 128 + 32 + 4 * 32 * 33
            let hostile = try forged(
                zip,
                [
                    Attack("tensors.2.shape", "[2, \(side)]"),
                    Attack("tensors.2.packed.axes", #"[["output", 2], ["input", \#(side)]]"#),
                    Attack("tensors.2.packed.block", medium == .video ? "[\(side), 2, 1, 1]" : nil),
                    Attack("streams.1.width", "\(medium == .audio ? 2 * side : side)"),
                    Attack("streams.1.height", medium == .audio ? "1" : "2"),
                    Attack("tensors.3.at", "[0, \(original - 32 + bytes)]"),
                    Attack("source.files.0.size", "\(original + bytes)"),
                ])
            try await expectRefused(hostile, "\(medium) of 2 x \(side)")
        }
    }

    @Test func sumsThatOverflowAreErrors() async throws {
        let zip = try await Self.template.zip(.image)
        let most = Int.max
        // Kept tensors on top of each other, in a file of the largest size, whose sizes add up to more than an Int.
        let kept = (0..<3).map { #"{"name":"k\#($0)","dtype":"I8","shape":[\#(most - 1)],"at":[0,0],"kept":"type"}"# }
        try await expectRefused(
            try forged(
                zip,
                [
                    Attack("tensors", "[\(kept.joined(separator: ","))]"), Attack("streams", "[]"),
                    Attack("source.files.0.size", "\(most)"),
                ]), "kept tensors")
        // A shape that nothing checks against the file, for a tensor that lies in the skeleton.
        try await expectRefused(
            try forged(zip, [Attack("tensors.0.inSkeleton", "true"), Attack("tensors.0.shape", "[\(most), \(most)]")]),
            "a shape in the skeleton")
        // Bytes that the report adds up.
        let shares = try forged(
            zip, [Attack("tensors.1.packed.bytes", "\(most)"), Attack("tensors.2.packed.bytes", "\(most)")])
        try await expectRefused(shares, "shares of streams")
        try await expectRefused(try forged(zip, [Attack("tensors.1.packed.bytes", "-5")]), "a negative share")
    }

    @Test func overlapsAndDisorderAreErrors() async throws {
        let zip = try await Self.template.zip(.image)
        let skeleton = try #require(zip["skeleton/m.safetensors"]).count
        try await expectRefused(try forged(zip, [Attack("tensors.1.at", "[0, \(skeleton)]")]), "an overlap")
        try await expectRefused(
            try forged(zip, [Attack("tensors.1.packed.stream", "1"), Attack("tensors.2.packed.stream", "0")]),
            "exchanged streams")
        try await expectRefused(try forged(zip, [Attack("tensors.2.packed.stream", "0")]), "a stream used twice")
        try await expectRefused(
            try forged(zip, [Attack("tensors.2.packed.parameters", "[0, 72]")]), "parameters of another layer")
    }

    @Test func aStreamThatHoldsSomethingElseIsAnError() async throws {
        for medium in Medium.allCases {
            var zip = try await Self.template.zip(medium)
            let names = zip.entries.map(\.name).filter { $0.hasPrefix(medium.rawValue) }
            let other = try #require(zip[names[1]])
            zip[names[0]] = other
            try await expectRefused(
                try forged(zip, [Attack("streams.0.hash", "\"\(xxh3(other))\"")]), "exchanged \(medium)")
            let noise = Array(smallModel.bytes.prefix(2000))
            zip[names[0]] = noise
            try await expectRefused(
                try forged(zip, [Attack("streams.0.hash", "\"\(xxh3(noise))\"")]), "noise as \(medium)")
        }
    }

    @Test func aFileNameLeadsNowhereElse() async throws {
        // Two files: the names become paths in a folder.
        let folder = try TemporaryFolder()
        try await pack(modelFixture("sharded/model.safetensors.index.json"), to: folder["m.wcz"]) { $0.include = [""] }
        let zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        let names = [
            "../x", "/tmp/x", "sub/../x", "sub/../../x", "sub//x", "sub/", "sub/.", "./x", "a\\x", "", ".", "..",
            "model.safetensors.index.json", "model.safetensors.index.json/x", "x\u{0}y", "sub/x\u{0}y",
            String(repeating: "n", count: 256), "sub/" + String(repeating: "é", count: 128),
            String(repeating: "sub/", count: 256) + "x",
        ]
        for name in names {
            let json = String(decoding: try JSONEncoder().encode(name), as: UTF8.self)
            var hostile = try forged(zip, [Attack("source.files.1.name", json)])
            let index = try #require(
                hostile.entries.firstIndex { $0.name == "skeleton/model-00001-of-00002.safetensors" })
            hostile.entries[index].name = "skeleton/\(name)"
            try await expectRefused(hostile, name)
        }
    }
}
