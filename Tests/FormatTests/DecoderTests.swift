import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive
import WeightMapper

/// `docs/decode.py`, which was written from `docs/format.md`, restores the same bytes as `Unpacker`.
@Suite(.enabled(if: Python.hasModules, "needs the packages of docs/requirements.txt; ./test installs them"))
struct DecoderTests {
    struct Case: CustomTestStringConvertible, Sendable {
        /// Relative to the repository, or `scales`; `nil` for the example model.
        var model: String?
        /// `nil` for the smallest.
        var medium: Medium?
        var codec: String?
        var bits: Int?
        var range = RangeScope.channel
        var reconstruction = Reconstruction.middle
        var block: BlockShape?
        var packsAll = true
        var quantizer = QuantizerChoice.uniform
        var goal: Goal?
        /// Of a trellis.
        var states: Int?

        var testDescription: String {
            [
                model ?? "example", medium?.rawValue ?? "auto", codec ?? "default",
                "\(bits ?? 0) \(range) \(reconstruction)",
                block.map { "\($0)" } ?? "", "\(quantizer)", goal.map { "\($0)" } ?? "",
                states.map { "\($0) states" } ?? "",
            ].joined(separator: " ")
        }

        func options() throws -> PackOptions {
            var options = PackOptions()
            options.medium = medium ?? .image
            options.choosesMedium = medium == nil
            options.codec = codec
            options.goal = goal
            options.effort = try Effort(5, states: states)
            // A trellis takes what binary32 holds.
            options.exclude = quantizer == .trellis && model == nil ? ["huge"] : []
            options.bits = bits
            options.range = range
            options.reconstruction = reconstruction
            options.block = block
            options.quantizer = quantizer
            options.include = packsAll ? ["."] : []
            options.threads = 2
            return options
        }
    }

    static let depths: [Case] = Medium.allCases.flatMap { medium in
        [1, 3, 4, 8, 10, 16].flatMap { bits in
            [
                Case(medium: medium, bits: bits),
                Case(medium: medium, bits: bits, range: .layer, reconstruction: .mean),
            ]
        } + [Case(medium: medium, bits: 5, reconstruction: .mean), Case(medium: medium, packsAll: false)]
    }

    static let blocks = [
        BlockShape(bfin: 1, bfout: 1), BlockShape(bfin: 3, bfout: 2, bx: 1, by: 2),
        BlockShape(bfin: 5, bfout: 7, bx: 2, by: 3), BlockShape(bfin: 1000, bfout: 1000, bx: 100, by: 1),
    ].map { Case(medium: .video, bits: 6, block: $0) }

    static let fixedPoint: [Case] = PrecisionKind.allCases.flatMap { kind in
        [nil, PrecisionScope.layer, .channel, .block(1), .block(7), .block(32)].flatMap { scope in
            [(Medium.image, 2), (.image, 8), (.video, 5), (.audio, 16)].map { medium, bits in
                Case(medium: medium, bits: bits, quantizer: .fixedPoint(FixedPointChoice(kind, scope: scope)))
            }
        }
    }

    static let exact: [Case] = Medium.allCases.flatMap { medium in
        [nil, "Tests/ModelFilesTests/Fixtures/zip_dtypes.pt", "samples/digits.safetensors"].map {
            Case(model: $0, medium: medium, quantizer: .exact)
        } + [Case(medium: medium, packsAll: false, quantizer: .exact)]
    }

    /// The model of `ExampleModel.writeScales`.
    private static let scales = "scales"

    static let trellises: [Case] =
        Medium.allCases.flatMap { medium in
            [1, 3, 9].flatMap { bits in
                [nil, scales].map { Case(model: $0, medium: medium, bits: bits, quantizer: .trellis) }
            }
        }
        + [1, 4, 8, 16, 32, 64, 128, 256].map { Case(medium: .image, bits: 2, quantizer: .trellis, states: $0) }
        + [Goal.bitsPerWeight(1.2), .signalToNoise(3), .maximumError(0.5)].flatMap { goal in
            [.image, .video, nil].map { Case(model: scales, medium: $0, quantizer: .trellis, goal: goal) }
        }
        + [
            Case(model: scales, medium: .image, codec: "jxl", quantizer: .trellis, goal: .signalToNoise(5), states: 64),
            Case(model: scales, medium: .video, codec: "ffv1", quantizer: .trellis, goal: .signalToNoise(5)),
            Case(model: scales, medium: .audio, codec: "wav", bits: 4, quantizer: .trellis),
            Case(model: "samples/digits.safetensors", packsAll: false, quantizer: .trellis, goal: .bitsPerWeight(2)),
        ]
        + [2, 5, 12].map { Case(bits: $0) } + [Case(model: scales, bits: 3, reconstruction: .mean)]

    /// Standards fix what a decoder of lossy video gives; for lossy audio they allow rounding, see `docs/format.md`.
    static let codecs: [Case] = {
        let available = Set(CodecRegistry.all.filter { $0.unavailable == nil }.map(\.description.name))
        let video: [(String, [Int])] = [
            ("ffv1", [2, 8, 9, 11, 13]), ("h264", [8, 9]), ("hevc", [5, 8, 9, 11]), ("av1", [8, 9, 12]),
            ("vp9", [8, 9, 12]), ("h264:qp=20", [3, 8, 10]), ("hevc:qp=20", [3, 8, 12]), ("av1:qp=30", [3, 8, 12]),
            ("vp9:qp=30", [3, 8, 12]),
        ]
        return video.filter { available.contains(String($0.0.prefix { $0 != ":" })) }.flatMap { codec, depths in
            depths.map { Case(medium: .video, codec: codec, bits: $0) }
        } + [3, 8, 9, 16].map { Case(medium: .audio, codec: "wav", bits: $0) }
            + [Case(medium: .audio, codec: "flac:level=8", bits: 8)]
            + ["png:filter=all,strategy=default", "png:level=0"].map { Case(medium: .image, codec: $0, bits: 7) }
    }()

    static let formats: [Case] = {
        let fixtures = "Tests/ModelFilesTests/Fixtures/"
        let names =
            ["legacy_checkpoint.pt", "legacy_dtypes.pt", "legacy_views.pt", "zip_checkpoint.pt", "zip_dtypes.pt"]
            + [
                "zip_module.pt", "zip_views.pt", "single.safetensors", "sharded/model.safetensors.index.json",
                "sharded", "torchscript.pt", "sharded_zip/pytorch_model.bin.index.json", "mixed.gguf",
                "split_gguf/model-00001-of-00003.gguf", "network.tflite",
            ]
        return names.flatMap { name in
            Medium.allCases.map { Case(model: fixtures + name, medium: $0, bits: 8) }
        }
            + ["digits.safetensors", "digits.pt"].flatMap { name in
                Medium.allCases.map { Case(model: "samples/\(name)", medium: $0, packsAll: false) }
            }
    }()

    @Test(arguments: [depths, blocks, fixedPoint, exact, trellises, codecs, formats]) func pythonRestoresTheSameBytes(
        _ cases: [Case]
    )
        async throws
    {
        let folder = try TemporaryFolder()
        try ExampleModel.write(to: folder["example.safetensors"])
        try ExampleModel.writeScales(to: folder["scales.safetensors"])
        var files: [(packed: String, output: String)] = []
        for (index, test) in cases.enumerated() {
            let path =
                switch test.model {
                case nil: folder["example.safetensors"]
                case Self.scales: folder["scales.safetensors"]
                case .some(let model): Python.repository.appending(path: model).path
                }
            files.append((folder["\(index).wcz"], folder["\(index).python"]))
            do {
                _ = try await Packer(try ModelFiles.open(path), test.options()).pack(to: files[index].packed)
                try await Unpacker(PackedModel(files[index].packed)).unpack(
                    to: folder["\(index).swift"], threads: 2, force: false)
            } catch {
                Issue.record("\(test.testDescription): \(error)")
                return
            }
        }
        for (index, failure) in try Python.decode(files).enumerated() {
            #expect(failure == nil, "\(cases[index].testDescription)")
            guard failure == nil else { continue }
            let same = try contents(folder["\(index).swift"]) == contents(files[index].output)
            #expect(same, "\(cases[index].testDescription)")
        }
    }

    @Test func pythonRestoresWhatIsPackedAgainstAnother() async throws {
        let folder = try TemporaryFolder()
        for (seed, name) in [1, 2, 3].enumerated() {
            var random = SeededGenerator(UInt64(seed))
            var start = SeededGenerator(7)
            let tensors = [("F32", 4), ("BF16", 2), ("F64", 8)].map { dtype, size in
                // The same weights, moved a little further by each step.
                let bytes = (0..<60 * 70).flatMap { _ -> ArraySlice<UInt8> in
                    let weight = Double(start.normal()) * 0.1 + Double(name) * Double(random.normal()) * 1e-5
                    let word =
                        dtype == "F64"
                        ? weight.bitPattern : UInt64(Float(weight).bitPattern) >> (dtype == "BF16" ? 16 : 0)
                    return littleEndian(word).prefix(size)
                }
                return Safetensors.Tensor("\(dtype).weight", dtype, [60, 70], bytes)
            }
            try Data(Safetensors(tensors).bytes).write(to: URL(filePath: folder["\(name).safetensors"]))
        }
        var options = PackOptions()
        options.quantizer = .exact
        _ = try await Packer(ModelFiles.open((1...3).map { folder["\($0).safetensors"] }), options)
            .pack(to: folder["series.wcz"])
        #expect(try Python.decode([(folder["series.wcz"], folder["series"])]) == [nil])
        for name in 1...3 {
            let restored = try Data(contentsOf: URL(filePath: folder["series/\(name).safetensors"]))
            #expect(try restored == Data(contentsOf: URL(filePath: folder["\(name).safetensors"])))
        }

        options.base = try ModelFiles.open(folder["1.safetensors"])
        _ = try await Packer(ModelFiles.open(folder["2.safetensors"]), options).pack(to: folder["delta.wcz"])
        let script = Python.docs.appending(path: "decode.py").path
        let arguments = [script, folder["delta.wcz"], folder["restored"]]
        #expect(try Python.run(arguments).output.contains("expected the base that it was packed against"))
        #expect(try Python.run(arguments + [folder["3.safetensors"]]).output.contains("base: its hash is not"))
        #expect(try Python.run(arguments + [folder["1.safetensors"]]).output == "")
        let restored = try Data(contentsOf: URL(filePath: folder["restored"]))
        #expect(try restored == Data(contentsOf: URL(filePath: folder["2.safetensors"])))
    }

    @Test func rawWeightsComeBackByTheDocumentedCommand() async throws {
        let folder = try TemporaryFolder()
        let weights = (0..<4321).map { Float(sin(Double($0))) }
        try weights.withUnsafeBytes { Data($0) }.write(to: URL(filePath: folder["weights.bin"]))
        var options = PackOptions()
        options.medium = .video
        _ = try await Packer(try ModelFiles.open(folder["weights.bin"]), options).pack(to: folder["weights.wcz"])
        try await Unpacker(PackedModel(folder["weights.wcz"])).unpack(to: folder["swift.bin"], threads: 1, force: false)
        let script = Python.docs.appending(path: "decode.py").path
        let result = try Python.run([script, folder["weights.wcz"], folder["python.bin"]])
        #expect(result.status == 0 && result.output == "")
        #expect(try contents(folder["swift.bin"]) == contents(folder["python.bin"]))

        // It replaces nothing, and says in one line why.
        let again = try Python.run([script, folder["weights.wcz"], folder["python.bin"]])
        #expect(again.status == 1)
        #expect(
            again.output.hasPrefix("decode.py: ") && again.output.split(separator: "\n").count == 1, "\(again.output)")
    }
}
