import Codecs
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// What was packed comes back: every byte but the weights, and every weight within its interval.
struct RoundTripTests {
    struct Setting: CustomTestStringConvertible, Sendable {
        let medium: Medium
        let bits: Int
        let range: RangeScope
        let reconstruction: Reconstruction
        var testDescription: String { "\(medium) \(bits) \(range) \(reconstruction)" }

        /// A bin's mean lies anywhere in its interval, its middle half an interval from either end; a thousandth for the
        /// rounding of float32, which 65,536 intervals come close to.
        // Numbering in float32 may miss an end of an interval by some thousandths of it at 16 bits.
        var slack: Double { (reconstruction == .middle ? 0.5 : 1) + 0.005 }

        static let all = Medium.allCases.flatMap { medium in
            [1, 4, 8, 10, 16].flatMap { bits in
                RangeScope.allCases.flatMap { range in
                    Reconstruction.allCases.map {
                        Setting(medium: medium, bits: bits, range: range, reconstruction: $0)
                    }
                }
            }
        }
    }

    @Test(arguments: Setting.all)
    func everyKindOfLayerAndTypeComesBack(setting: Setting) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "model.safetensors")
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.medium = setting.medium
            $0.bits = setting.bits
            $0.range = setting.range
            $0.reconstruction = setting.reconstruction
        }
        #expect(result.packedBytes == (try fileBytes(folder["m.wcz"])).count)
        #expect(result.summary.layers.count == 12)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        try expectFaithful(
            ModelFiles.open(model), folder["restored"], PackedModel(folder["m.wcz"]), slack: setting.slack)
        #expect(folder.contents == ["m.wcz", "model.safetensors", "restored"])
    }

    @Test(arguments: modelFixtures, Medium.allCases)
    func filesOfOtherProgramsComeBack(file: String, medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let original = try ModelFiles.open(modelFixture(file))
        // The fixtures' tensors are all too small to be packed unasked.
        try await pack(modelFixture(file), to: folder["m.wcz"]) {
            $0.medium = medium
            $0.include = [""]
        }
        let packed = try PackedModel(folder["m.wcz"])
        // Two of the fixtures hold nothing but views, and types that are kept.
        let isKept = ["legacy_storage_views.pt", "zip_newer_dtypes.pt"].contains(file)
        #expect(packed.summary.layers.isEmpty == isKept)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let restored = original.files.count == 1 ? folder["restored"] : folder["restored/\(original.files[0].name)"]
        try expectFaithful(original, restored, packed)
    }

    @Test func quantizedTensorsAreReportedWithTheirSize() async throws {
        let folder = try TemporaryFolder()
        let result = try await pack(modelFixture("mixed.gguf"), to: folder["m.wcz"])
        let kept = result.summary.kept.filter { $0.reason == "quantized" }
        #expect(kept.map(\.dtype) == ["Q4_0", "Q8_0", "Q4_K", "TQ1_0", "MXFP4"])
        #expect(kept.map(\.bytes) == [36, 68, 288, 108, 34])
        #expect(try PackedModel(folder["m.wcz"]).summary.kept.map(\.bytes) == result.summary.kept.map(\.bytes))
    }

    @Test(arguments: modelFixtures)
    func whatIsNotPackedIsNotTouched(file: String) async throws {
        let folder = try TemporaryFolder()
        let original = try ModelFiles.open(modelFixture(file))
        try await pack(modelFixture(file), to: folder["m.wcz"]) { $0.exclude = [""] }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        for source in original.files {
            let restored = original.files.count == 1 ? folder["restored"] : folder["restored/\(source.name)"]
            #expect(try fileBytes(restored) == fileBytes(source.file.path))
        }
    }

    @Test(arguments: ["zip", "legacy"])
    func tiedWeightsAreStoredOnce(prefix: String) async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture("\(prefix)_views.pt"), to: folder["m.wcz"]) { $0.include = [""] }
        let packed = try PackedModel(folder["m.wcz"])
        let tied = try #require(packed.summary.layers.first { $0.aliases == ["decoder"] })
        #expect(tied.name == "encoder")
        #expect(!packed.summary.layers.contains { $0.name == "decoder" })
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let restored = try ModelFiles.open(folder["restored"])
        let extents = restored.tensors.filter { ["encoder", "decoder"].contains($0.name) }.map(\.extent)
        #expect(extents.count == 2 && Set(extents).count == 1)
    }

    @Test(arguments: Medium.allCases)
    func rawWeightsComeBack(medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let tensor = Safetensors.Tensor.weights("w", [5003], seed: 31)
        let model = try folder.write(tensor.bytes, "weights.bin")
        try await pack(model, to: folder["m.wcz"]) { $0.medium = medium }
        try await unpack(folder["m.wcz"], to: folder["restored.bin"])
        let packed = try PackedModel(folder["m.wcz"])
        #expect(packed.summary.layers.map(\.shape) == [[5003]])
        try expectFaithful(ModelFiles.open(model), folder["restored.bin"], packed)
    }

    @Test func aLayoutNamesTheTensorsOfARawFile() async throws {
        let folder = try TemporaryFolder()
        let a = Safetensors.Tensor.weights("a", [64, 40], seed: 32)
        let b = Safetensors.Tensor.weights("b", [50, 60], dtype: "F16", seed: 33)
        let foreign: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        let bytes = a.bytes + foreign + b.bytes
        let model = try folder.write(bytes, "weights.bin")
        let layout = try folder.write(
            Array(
                """
                [{"name": "a", "shape": [64, 40], "kind": "lstm"},
                 {"name": "b", "shape": [50, 60], "dtype": "F16", "offset": \(a.bytes.count + foreign.count)}]
                """.utf8), "layers.json")
        let opened = try ModelFiles.open(model, layout: layout)
        _ = try await Packer(opened, PackOptions()).pack(to: folder["m.wcz"])
        let summary = try PackedModel(folder["m.wcz"]).summary
        #expect(summary.layers.map(\.kind) == ["lstm", "fc"])
        #expect(summary.layers[0].entries.count == 4)
        try await unpack(folder["m.wcz"], to: folder["restored.bin"])
        let restored = try fileBytes(folder["restored.bin"])
        #expect(restored.count == bytes.count)
        #expect(Array(restored[a.bytes.count..<a.bytes.count + 8]) == foreign)
        #expect(restored != bytes)
    }

    @Test(arguments: ["I32", "F32"])
    func bytesThatTensorsOfSeveralShapesShareComeBack(dtype: String) async throws {
        let folder = try TemporaryFolder()
        let bytes = Safetensors.Tensor.weights("", [64, 40], seed: 34).bytes
        let model = try folder.write(bytes, "weights.bin")
        let layout = try folder.write(
            Array(
                """
                [{"name": "all", "shape": [64, 40], "dtype": "\(dtype)"},
                 {"name": "flat", "shape": [2560], "dtype": "\(dtype)", "offset": 0},
                 {"name": "rows", "shape": [2, 40], "dtype": "\(dtype)", "offset": 160}]
                """.utf8), "layers.json")
        _ = try await Packer(ModelFiles.open(model, layout: layout), PackOptions()).pack(to: folder["m.wcz"])
        #expect(try PackedModel(folder["m.wcz"]).summary.kept.map(\.reason) == ["view", "view", "view"])
        try await unpack(folder["m.wcz"], to: folder["restored.bin"])
        #expect(try fileBytes(folder["restored.bin"]) == bytes)
    }

    @Test(arguments: [0, 1, 2, 3])
    func modelsWithoutLayersComeBackAsTheyAre(tensors: Int) async throws {
        let folder = try TemporaryFolder()
        let kept: [Safetensors.Tensor] = [
            .weights("bias", [2000], seed: 1), .init("empty", "F32", [4, 0], []),
            .init("ids", "I32", [2], [1, 0, 0, 0, 2, 0, 0, 0]),
        ]
        let bytes = Safetensors(Array(kept.prefix(tensors))).bytes
        let model = try folder.write(bytes, "m.safetensors")
        let file: ModelFile
        do {
            file = try ModelFiles.open(model)
        } catch {
            // A file without a single tensor is no model.
            #expect(tensors == 0)
            return
        }
        _ = try await Packer(file, PackOptions()).pack(to: folder["m.wcz"])
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == bytes)
    }

    @Test func theOtherSizesOfAnEmptyTensorMayBeAnything() async throws {
        let folder = try TemporaryFolder()
        let side = 1 << 40
        let model = Safetensors([.init("empty", "F32", [side, side, 0], []), .weights("w", [32, 32])])
        let path = try folder.write(model.bytes, "m.safetensors")
        try await pack(path, to: folder["m.wcz"])
        #expect(try PackedModel(folder["m.wcz"]).summary.kept.map(\.bytes) == [0])
        try await unpack(folder["m.wcz"], to: folder["restored"])
        try expectFaithful(ModelFiles.open(path), folder["restored"], PackedModel(folder["m.wcz"]))
    }

    @Test(arguments: [1 << 20, 1 << 58])
    func aViewMayRepeatMoreBytesThanTheFileHas(rows: Int) async throws {
        let folder = try TemporaryFolder()
        // A weight, and a view that repeats the 16 elements of its storage row by row.
        let path = try folder.write(
            checkpoint([.init("view", "0", [rows, 16], [0, 1]), .init("w", "1", [32, 32], [32, 1])], [16, 1024]), "m.pt"
        )
        let original = try ModelFiles.open(path)
        #expect(original.tensors.map(\.shape) == [[rows, 16], [32, 32]])
        try await pack(path, to: folder["m.wcz"])
        let summary = try PackedModel(folder["m.wcz"]).summary
        #expect(summary.kept.map(\.reason) == ["view"] && summary.layers.map(\.name) == ["w"])
        #expect(summary.kept[0].bytes <= summary.originalBytes)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        try expectFaithful(original, folder["restored"], PackedModel(folder["m.wcz"]))
    }

    @Test func namesThatNoFileSystemTakesAreHarmless() async throws {
        let folder = try TemporaryFolder()
        let names = [
            "../../up", "a/b", "A/B", "", ".", "con\u{7}", "💾", String(repeating: "n", count: 400), "a\nb", "__proto__",
        ]
        let model = Safetensors(names.enumerated().map { .weights($1, [32, 32], seed: UInt64($0 + 40)) })
        let path = try folder.write(model.bytes, "m.safetensors")
        try await pack(path, to: folder["m.wcz"])
        let packed = try PackedModel(folder["m.wcz"])
        #expect(packed.summary.layers.map(\.name) == names)
        let entries = packed.summary.layers.flatMap(\.entries)
        #expect(Set(entries.map { $0.lowercased() }).count == names.count)
        for entry in entries {
            #expect(entry.hasPrefix("image/") && entry.utf8.count < 200)
            #expect(!entry.dropFirst(6).contains("/"))
        }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        try expectFaithful(ModelFiles.open(path), folder["restored"], packed)
    }

    @Test func anyPictureViewerOpensALayer() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"])
        let zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        let picture = try #require(zip["image/a.weight.png"])
        #expect(picture.starts(with: [0x89, 0x50, 0x4e, 0x47]))
        // IHDR: width 33, height 32, 8 bits, gray.
        #expect(Array(picture[16..<26]) == [0, 0, 0, 33, 0, 0, 0, 32, 8, 0])
        #expect(try PackedModel(folder["m.wcz"]).pictures(of: "a.weight").count == 1)
        #expect(
            zip.entries.map(\.name) == [
                "manifest.json", "image/a.weight.png", "image/b.weight.png", "parameters.png", "exact.safetensors",
                "skeleton/m.safetensors",
            ])
    }

    @Test func theRangeOfALayerIsCutInEqualIntervals() async throws {
        let folder = try TemporaryFolder()
        // Claims 2 and 3: [3, 5] in 16 intervals, numbered from the lowest; a weight comes back at its interval's middle.
        let values = (0..<1024).map { Float($0) / 511.5 + 3 }
        let model = try folder.write(Safetensors([.init("w", [32, 32], values)]).bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"]) {
            $0.bits = 4
            $0.range = .layer
        }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let restored = try fileBytes(folder["restored"]).suffix(4096)
        for (index, value) in values.enumerated() {
            let start = restored.startIndex + 4 * index
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(restored[start + $1]) << UInt32(8 * $1) }
            let bin = min(Int((Double(value) - 3) / 2 * 16), 15)
            let middle = 3 + (Double(bin) + 0.5) / 8
            let error = (Double(Float(bitPattern: bits)) - middle).magnitude
            #expect(error < 1e-6, "weight \(index)")
        }
    }
}
