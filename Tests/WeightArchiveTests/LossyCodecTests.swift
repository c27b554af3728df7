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
