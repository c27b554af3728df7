import Codecs
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Lossy codecs lose what they say, and nothing more on the way back.
struct LossyCodecTests {
    static let codecs: [(Medium, String)] = [
        (.video, "h264:qp=20"), (.video, "hevc:qp=12"), (.video, "av1:qp=20"), (.video, "vp9:qp=20"),
        (.audio, "vorbis:quality=0.9"), (.audio, "opus"), (.audio, "mp3"),
    ].filter { (try? CodecRegistry.codec($0.1)) != nil }

    @Test func theCommonOnesAreHere() {
        // Else the tests below would pass over an empty list.
        #expect(Self.codecs.count >= 4)
    }

    @Test(arguments: codecs, [4, 8])
    func theErrorIsTheOneReportedAndTheHashesMatch(codec: (medium: Medium, name: String), bits: Int) async throws {
        let folder = try TemporaryFolder()
        let tensor = Safetensors.Tensor.weights("w", [96, 80], seed: 51)
        let model = try folder.write(Safetensors([tensor, .weights("bias", [64], seed: 52)]).bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"]) {
            $0.medium = codec.medium
            $0.codec = codec.name
            $0.bits = bits
        }
        let packed = try PackedModel(folder["m.wcz"])
        let layer = try #require(packed.summary.layers.first)
        #expect(layer.codec.split(separator: ":")[0] == codec.name.split(separator: ":")[0])
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let (a, b) = (try ModelFiles.open(model), try ModelFiles.open(folder["restored"]))
        #expect(a.tensors == b.tensors)
        var meter = ErrorMeter()
        let record = try #require(a.tensors.first { $0.name == "w" })
        var other = [Float](repeating: 0, count: record.count)
        TensorWeights<Float>(b, record).read(0..<record.count, into: &other)
        TensorWeights<Float>(a, record).forEachChunk { (_, chunk) in meter.add(chunk, other.span) }
        let bytes = b.withBytes(of: record.extent) { Array($0) }
        #expect(packed.valid.manifest.tensors.first { $0.name == "w" }?.packed?.hash == xxh3(bytes))
        #expect((meter.meanSquaredError / layer.statistics.meanSquaredError - 1).magnitude < 1e-4)
        #expect((meter.maximumError / layer.statistics.maximumError - 1).magnitude < 1e-4)
        #expect((meter.variance / layer.statistics.variance - 1).magnitude < 1e-4)
    }

    /// Many weights to a bin, and few bins: then their means are worth more than the bytes that they take.
    private static let manyWeights = Safetensors([.weights("w", [400, 300], seed: 54)])

    @Test(arguments: codecs) func storedMeansAreThoseOfWhatIsDecoded(codec: (medium: Medium, name: String)) async throws
    {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.manyWeights.bytes, "m.safetensors")
        func error(_ name: String, _ reconstruction: Reconstruction?) async throws -> Double {
            let result = try await pack(model, to: folder["\(name).wcz"]) {
                $0.medium = codec.medium
                $0.codec = codec.name
                $0.bits = 4
                $0.reconstruction = reconstruction
            }
            try await unpack(folder["\(name).wcz"], to: folder[name])
            return result.summary.layers[0].statistics.meanSquaredError
        }
        let middle = try await error("middle", .middle)
        let mean = try await error("mean", .mean)
        #expect(mean < middle)
        // Of sound that loses hardly anything they may not be.
        let chosen = try await error("default", nil)
        #expect(chosen == mean || chosen == middle && codec.medium == .audio)
        // Without loss there is nothing to correct.
        try await pack(model, to: folder["lossless.wcz"]) { $0.bits = 4 }
        #expect(try PackedModel(folder["lossless.wcz"]).summary.quantizer.contains("middles"))
    }

    @Test func meansThatCostMoreThanTheyBringAreLeftOut() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Safetensors([.weights("w", [40, 30], seed: 54)]).bytes, "m.safetensors")
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.medium = .video
            $0.codec = "hevc:qp=20"
        }
        #expect(result.summary.quantizer.contains("middles"))
    }

    /// Layers that are chosen a medium each, and films, have means of their own.
    @Test func layersOfPlanesAreCorrectedEachByItself() async throws {
        let folder = try TemporaryFolder()
        let paths = try ["1", "2"].map { try folder.write(Self.manyWeights.bytes, "\($0).safetensors") }
        func error(_ name: String, _ reconstruction: Reconstruction?, _ models: [String]) async throws -> Double {
            var options = PackOptions()
            options.medium = .video
            options.choosesMedium = models.count == 1
            options.codec = models.count == 1 ? "h264:qp=20" : "h264:qp=20,inter=1"
            options.bits = 4
            options.reconstruction = reconstruction
            let result = try await Packer(ModelFiles.open(models), options).pack(to: folder["\(name).wcz"])
            try await unpack(folder["\(name).wcz"], to: folder[name])
            return result.summary.layers[0].statistics.meanSquaredError
        }
        for models in [[paths[0]], paths] {
            let middle = try await error("middle\(models.count)", .middle, models)
            let chosen = try await error("default\(models.count)", nil, models)
            #expect(chosen < middle)
            #expect(try await error("mean\(models.count)", .mean, models) == chosen)
        }
    }

    @Test func aStopDoesNotShow() async throws {
        let folder = try TemporaryFolder()
        let layers = (0..<4).map { Safetensors.Tensor.weights("\($0)", [120, 70 + $0], seed: UInt64($0)) }
        let model = try folder.write(Safetensors(layers).bytes, "m.safetensors")
        var options = PackOptions()
        options.medium = .video
        options.codec = "hevc:qp=20"
        options.bits = 4
        let packer = try Packer(ModelFiles.open(model), options)
        try await packer.pack(to: folder["whole.wcz"])
        let stopped = folder["stopped.wcz"]
        let task = Task {
            try await packer.pack(to: stopped) { progress in
                if progress.done > 0 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        let error = await expectedError { _ = try await task.value }
        #expect(error?.contains("goes on from there") == true)
        try await packer.pack(to: stopped)
        #expect(try fileBytes(stopped) == fileBytes(folder["whole.wcz"]))
    }

    @Test(arguments: [("vorbis", true), ("flac", false)])
    func anotherBuildOfALossyDecoderIsReportedAndOthersAreRefused(codec: String, isTolerated: Bool) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Safetensors([.weights("w", [64, 64], seed: 53)]).bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"]) {
            $0.codec = codec; $0.medium = .audio
        }
        // What such a decoder shows: intact streams, and weights of another hash than was recorded.
        var zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        let hash = try #require(try PackedModel(folder["m.wcz"]).valid.manifest.tensors[0].packed?.hash)
        let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        zip["manifest.json"] = Array(manifest.replacing(hash, with: String(hash.reversed())).utf8)
        _ = try folder.write(zip.packed, "other.wcz")
        let unpacker = Unpacker(try PackedModel(folder["other.wcz"]))
        if isTolerated {
            #expect(try await unpacker.unpack(to: folder["restored"], threads: 1, force: false) == ["w"])
            #expect(try fileBytes(folder["restored"]).count == fileBytes(model).count)
        } else {
            let error = await expectedError {
                try await unpacker.unpack(to: folder["restored"], threads: 1, force: false)
            }
            #expect(error?.contains("tensor w") == true)
            #expect(!folder.contents.contains("restored"))
        }
    }

    @Test(arguments: ["png:level=99", "nosuch", "png:nosuch=1", "hevc:qp=x", "", ":", "flac", "png:level=1:level=2"])
    func codecsThatCannotBeUsedAreErrors(codec: String) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        let error = await expectedError { try await pack(model, to: folder["m.wcz"]) { $0.codec = codec } }
        #expect(error?.isEmpty == false)
        #expect(folder.contents == ["m.safetensors"])
    }
}
