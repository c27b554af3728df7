import Codecs
import ModelFiles
import Synchronization
import TestSupport
import Testing
import WeightArchive
import WeightMapper

@testable import Evaluation

/// Histograms and pictures of layers.
struct LayerLookTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func looks(
        _ tensors: [Safetensors.Tensor], plan: PicturePlan? = nil, _ change: (inout PackOptions) -> Void = { _ in }
    ) async throws -> (looks: [LayerLook], packed: PackedModel) {
        let path = try folder.write(Safetensors(tensors).bytes, "m.safetensors")
        var options = PackOptions()
        options.include = [""]
        options.force = true
        change(&options)
        _ = try await Packer(try ModelFiles.open(path), options).pack(to: folder["m.wcz"])
        let packed = try PackedModel(folder["m.wcz"])
        let plan = try plan ?? PicturePlan(.auto, [packed.summary])
        return (try await LayerLook.all(of: packed, plan, threads: 2) { _ in }.looks, packed)
    }

    @Test(arguments: [1, 4, 8, 9, 16])
    func everyWeightIsCounted(bits: Int) async throws {
        let (looks, _) = try await looks([.weights("a", [64, 100]), .weights("b", [30, 60], dtype: "F64")]) {
            $0.bits = bits
        }
        for (look, count) in zip(looks, [6400, 1800]) {
            #expect(look.histograms.bins.reduce(0, +) == count)
            #expect(look.histograms.bins.count == min(1 << bits, 256))
            #expect(look.histograms.bins.count * look.histograms.binsPerColumn == 1 << bits)
            let weights = look.histograms.weights
            #expect(weights.below + weights.columns.reduce(0, +) + weights.above == count)
            #expect(weights.smallest <= weights.low + 1e-9 && weights.low < weights.high)
        }
    }

    @Test func outliersDoNotSqueezeTheRest() async throws {
        var values = (0..<10_000).map { Float($0 % 100) / 100 }
        values[17] = 1000
        values[4711] = -500
        let (looks, _) = try await looks([.init("a", [100, 100], values)]) { $0.bits = 16 }
        let weights = looks[0].histograms.weights
        #expect(weights.below == 1 && weights.above == 1)
        #expect((weights.smallest + 500).magnitude < 1 && (weights.largest - 1000).magnitude < 1)
        #expect(weights.high - weights.low < 100)
    }

    @Test func aConstantLayerHasOneColumn() async throws {
        let (looks, _) = try await looks([.init("a", [40, 40], [Float](repeating: 0.25, count: 1600))])
        let weights = looks[0].histograms.weights
        #expect(weights.columns == [1600] && weights.smallest == weights.largest)
    }

    @Test func rangesAreSummed() async throws {
        let tensor = Safetensors.Tensor.weights("a", [64, 100])
        let byChannel = try #require(try await looks([tensor]).looks[0].ranges)
        let byLayer = try #require(try await looks([tensor]) { $0.range = .layer }.looks[0].ranges)
        #expect(byChannel.count == 64 && byLayer.count == 1)
        #expect(byChannel.narrowest < byChannel.widest && byChannel.widest <= byLayer.widest * 1.2)
    }

    @Test(arguments: ["png", "ffv1", "flac"])
    func fullPicturesAreTheLayers(codec: String) async throws {
        let (looks, packed) = try await looks([.weights("a", [48, 40]), .weights("b", [40, 300], seed: 2)]) {
            $0.codec = codec
            $0.medium = codec == "png" ? .image : codec == "flac" ? .audio : .video
        }
        for (look, name) in zip(looks, ["a", "b"]) {
            #expect(look.full.count == 1)
            #expect(try look.full.map(\.png) == packed.pictures(of: name))
        }
    }

    @Test func previewsAreSmallAndSmallPicturesWhole() async throws {
        let (looks, packed) = try await looks(
            [
                .weights("small", [40, 50]), .weights("wide", [20, 2000]), .weights("tall", [2000, 20]),
            ], plan: PicturePlan(hasFull: false, previews: 4)
        ) { _ in }
        let byName = Dictionary(uniqueKeysWithValues: zip(packed.summary.layers.map(\.name), looks))
        #expect(try byName["small"]?.previews.map(\.png) == packed.pictures(of: "small"))
        for name in ["wide", "tall"] {
            let preview = try #require(byName[name]?.previews.first)
            #expect(preview.width <= 128 && preview.height <= 80 && preview.png.count < 6000)
            #expect(preview.width >= 20 && preview.height >= 20)
        }
        #expect(looks.allSatisfy { $0.full.isEmpty })
    }

    @Test func picturesOfAnImageOfGatesAreNumbered() async throws {
        let (looks, _) = try await looks([
            .weights("lstm.weight_ih_l0", [128, 20]), .weights("lstm.weight_hh_l0", [128, 32]),
        ])
        #expect(looks.map(\.pictureCount) == [4, 4] && looks.map(\.full.count) == [4, 4])
    }

    @Test func progressReachesTheEnd() async throws {
        let (_, packed) = try await looks([.weights("a", [64, 100]), .weights("b", [30, 60])])
        let seen = Mutex<[Progress]>([])
        _ = try await LayerLook.all(of: packed, PicturePlan(.none, [packed.summary]), threads: 1) { step in
            seen.withLock { $0.append(step) }
        }
        #expect(
            seen.withLock { $0.map(\.done) } == [0, 6400, 8200] && seen.withLock { $0.allSatisfy { $0.total == 8200 } })
    }
}
