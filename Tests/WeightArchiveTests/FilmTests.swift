import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

private let hasEncoder = (try? CodecRegistry.codec("h264:inter=1")) != nil

/// Runs of checkpoints as video: a layer's pictures follow each other in one film, where that is smaller.
@Suite(.enabled(if: hasEncoder, "needs libx264 in libavcodec"))
struct FilmTests {
    /// A folder with checkpoints `1.safetensors` and so on, between which one weight in `rarity` moves.
    private struct Run {
        let folder: TemporaryFolder
        let models: [Safetensors]
        let paths: [String]

        init(_ first: Safetensors, of count: Int = 4, rarity: Int = 10) throws {
            folder = try TemporaryFolder()
            var random = SeededGenerator(3)
            var models = [first]
            for _ in 1..<count {
                var next = models[models.count - 1]
                for index in next.tensors.indices {
                    let size = next.tensors[index].bytes.count / max(next.tensors[index].shape.reduce(1, *), 1)
                    for place in stride(from: 0, to: next.tensors[index].bytes.count, by: size)
                    where Int.random(in: 0..<rarity, using: &random) == 0 {
                        // The last bits of a mantissa, little-endian.
                        next.tensors[index].bytes[place] ^= 3
                    }
                }
                models.append(next)
            }
            self.models = models
            paths = try models.enumerated().map { [folder] in
                try folder.write($1.bytes, "\($0 + 1).safetensors")
            }
        }

        @discardableResult
        func pack(_ name: String = "run.wcz", _ change: (inout PackOptions) -> Void) async throws -> PackResult {
            var options = PackOptions()
            options.medium = .video
            options.threads = 2
            change(&options)
            return try await Packer(ModelFiles.open(paths), options).pack(to: folder[name])
        }

        /// What each checkpoint is restored to when it is packed alone, and the bytes of all these packed files.
        func alone(_ change: (inout PackOptions) -> Void) async throws -> (restored: [[UInt8]], packedBytes: Int) {
            var restored: [[UInt8]] = []
            var size = 0
            for (number, path) in paths.enumerated() {
                size += try await WeightArchiveTests.pack(path, to: folder["alone\(number).wcz"]) {
                    $0.medium = .video
                    change(&$0)
                }.packedBytes
                try await unpack(folder["alone\(number).wcz"], to: folder["alone\(number)"])
                restored.append(try fileBytes(folder["alone\(number)"]))
            }
            return (restored, size)
        }

        /// The checkpoints as they are restored from the packed file.
        func restored(_ name: String = "run.wcz", threads: Int = 2) async throws -> [[UInt8]] {
            let target = folder["out-\(name)-\(threads)"]
            try await unpack(folder[name], to: target, threads: threads)
            return try models.indices.map { try fileBytes("\(target)/\($0 + 1).safetensors") }
        }
    }

    private static let layers = Safetensors([
        .weights("fc.weight", [120, 100], seed: 1), .weights("lstm.weight_ih_l0", [64, 40], seed: 2),
        .weights("conv.weight", [16, 9, 3, 3], dtype: "BF16", seed: 3), .weights("fc.bias", [120], seed: 4),
        .weights("double.weight", [33, 35], dtype: "F64", seed: 5),
    ])

    static let quantizers: [QuantizerChoice] = [
        .uniform, .fixedPoint(FixedPointChoice(.exponent)), .fixedPoint(FixedPointChoice(.scale, scope: .layer)),
        .exact,
    ]

    @Test(arguments: quantizers, [3, 8, 10])
    func aRunIsSmallerAndRestoredAsEachAlone(quantizer: QuantizerChoice, bits: Int) async throws {
        let run = try Run(Self.layers)
        func set(_ options: inout PackOptions) {
            options.quantizer = quantizer
            options.bits = quantizer == .exact ? nil : bits
        }
        let result = try await run.pack { set(&$0) }
        let alone = try await run.alone { set(&$0) }
        #expect(result.packedBytes < alone.packedBytes * 2 / 3)
        let files = try await run.restored()
        #expect(files == (quantizer == .exact ? run.models.map(\.bytes) : alone.restored))
        // One video holds a layer of all models.
        let films = try PackedModel(run.folder["run.wcz"]).valid.films
        #expect(!films.isEmpty && films.allSatisfy { $0.layers.count == 4 })
        #expect(result.summary.layers.contains { $0.codec == "h264:inter=1" && $0.frame.count == 1 })
    }

    /// Where predicting brings nothing, only the attempt is lost.
    @Test func modelsThatHaveNothingInCommonStayAlone() async throws {
        let folder = try TemporaryFolder()
        let paths = try (1...3).map { seed in
            let model = Safetensors([.weights("a.weight", [300, 200], seed: UInt64(seed))])
            return try folder.write(model.bytes, "\(seed).safetensors")
        }
        var options = PackOptions()
        options.medium = .video
        options.bits = 5
        let result = try await Packer(ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
        #expect(try PackedModel(folder["run.wcz"]).valid.films.isEmpty)
        #expect(result.summary.layers.allSatisfy { $0.codec.hasPrefix("utvideo") })
        for path in paths {
            try await pack(path, to: folder["alone.wcz"]) {
                $0.medium = .video
                $0.bits = 5
            }
            try await unpack(folder["alone.wcz"], to: folder["alone"], force: true)
            try await unpack(folder["run.wcz"], to: folder["run"], force: true)
            let name = path.split(separator: "/").last ?? ""
            #expect(try fileBytes(folder["run/\(name)"]) == fileBytes(folder["alone"]))
            try FileManager.default.removeItem(atPath: folder["alone.wcz"])
        }
    }

    @Test func layersThatDifferFromModelToModelAreNoFamily() async throws {
        let folder = try TemporaryFolder()
        let shared = Safetensors.Tensor.weights("shared.weight", [60, 50], seed: 1)
        let models: [Safetensors] = [
            Safetensors([shared, .weights("other.weight", [60, 50], seed: 2)]),
            Safetensors([shared, .weights("other.weight", [50, 60], seed: 2)]),
            Safetensors([shared, .weights("other.weight", [60, 50], dtype: "F16", seed: 2)]),
            Safetensors([.weights("last.weight", [60, 50], seed: 3)]),
        ]
        let paths = try models.enumerated().map { try folder.write($1.bytes, "\($0).safetensors") }
        var options = PackOptions()
        options.medium = .video
        _ = try await Packer(ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
        let valid = try PackedModel(folder["run.wcz"]).valid
        #expect(
            valid.films.map { $0.layers.map { valid.planed[$0].name } } == [
                (0...2).map { "\($0).safetensors:shared.weight" }
            ])
    }

    @Test func aCodecThatWasAskedForIsTaken() async throws {
        let run = try Run(Self.layers)
        try await run.pack("inter.wcz") { $0.codec = "h264:inter=3" }
        let films = try PackedModel(run.folder["inter.wcz"]).valid.films
        #expect(films.count == 4 && films.allSatisfy { $0.group.codec.specification == "h264:inter=3" })
        // Lossy, too, where bins may be.
        try await run.pack("lossy.wcz") { $0.codec = "h264:inter=1,qp=16" }
        #expect(try await run.restored("lossy.wcz") != run.restored("inter.wcz"))
        // One that does not predict leaves everything as it is for a model alone.
        try await run.pack("intra.wcz") { $0.codec = "h264" }
        let intra = try PackedModel(run.folder["intra.wcz"]).valid
        #expect(intra.films.isEmpty && intra.manifest.version == 1)
    }

    @Test func blocksThatWereAskedForFillTheFrames() async throws {
        let run = try Run(Safetensors([.weights("a.weight", [60, 50], seed: 1)]))
        try await run.pack {
            $0.block = BlockShape(bfin: 25, bfout: 30)
            $0.bits = 4
        }
        let film = try #require(try PackedModel(run.folder["run.wcz"]).valid.films.first)
        #expect(film.group.format.width == 25 && film.group.format.height == 30)
        #expect(film.group.codec.specification == "h264:inter=4" && film.group.framesOfStreams == [16])
        let alone = try await run.alone { $0.bits = 4 }
        #expect(try await run.restored() == alone.restored)
    }

    @Test(arguments: [QuantizerChoice.uniform, .exact])
    func neitherThreadsNorAStopShow(quantizer: QuantizerChoice) async throws {
        let run = try Run(Self.layers)
        try await run.pack("1.wcz") {
            $0.quantizer = quantizer
            $0.threads = 1
        }
        try await run.pack("3.wcz") {
            $0.quantizer = quantizer
            $0.threads = 3
        }
        #expect(try fileBytes(run.folder["1.wcz"]) == fileBytes(run.folder["3.wcz"]))
        #expect(try await run.restored("1.wcz", threads: 1) == run.restored("1.wcz", threads: 3))
        var options = PackOptions()
        options.medium = .video
        options.quantizer = quantizer
        let packer = try Packer(ModelFiles.open(run.paths), options)
        let path = run.folder["stopped.wcz"]
        let task = Task {
            try await packer.pack(to: path) { progress in
                if progress.done > progress.total / 2 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        let error = await expectedError { _ = try await task.value }
        #expect(error?.contains("goes on from there") == true)
        try await packer.pack(to: path)
        #expect(try fileBytes(path) == fileBytes(run.folder["1.wcz"]))
    }

    @Test(arguments: [QuantizerChoice.uniform, .exact])
    func layersAreFoundOneByOne(quantizer: QuantizerChoice) async throws {
        let run = try Run(Self.layers)
        try await run.pack { $0.quantizer = quantizer }
        let packed = try PackedModel(run.folder["run.wcz"])
        let check = try await Unpacker(packed).check(threads: 2)
        #expect(check.layerCount == 16 && check.changed.isEmpty)
        let source = try #require(LayerSource(packed))
        let files = try await run.restored()
        let restored = try ModelFiles.open((1...4).map { run.folder["out-run.wcz-2/\($0).safetensors"] })
        #expect(files.count == 4)
        for name in ["4.safetensors:fc.weight", "2.safetensors:lstm.weight_ih_l0", "3.safetensors:double.weight"] {
            let record = try #require(restored.tensors.first { $0.name == name })
            #expect(try source.tensor(name)?.bytes == restored.withBytes(of: record.extent) { Array($0) }, "\(name)")
            #expect(try packed.pictures(of: name).count == 1)
        }
        let seen = Seen()
        try await packed.forEachDecodedLayer(threads: 2) { seen.add($0.index) }
        #expect(seen.sorted == Array(0..<16))
    }

    /// Tensors that others were packed against may lie in films.
    @Test func copiesOfLayersInFilmsAreRestored() async throws {
        var model = Self.layers
        var copy = model.tensors[0]
        copy.name = "tied.weight"
        model.tensors.append(copy)
        let run = try Run(model, rarity: 1_000_000)
        let result = try await run.pack { $0.quantizer = .exact }
        #expect(result.packedBytes < model.bytes.count * 5 / 4)
        #expect(try await run.restored() == run.models.map(\.bytes))
        #expect(try await Unpacker(PackedModel(run.folder["run.wcz"])).check(threads: 1).layerCount == 20)
    }

    @Test(arguments: [QuantizerChoice.uniform, .fixedPoint(FixedPointChoice(.scale)), .exact])
    func sizesAreForeseen(quantizer: QuantizerChoice) async throws {
        let run = try Run(
            Safetensors([
                .weights("square.weight", [300, 300], seed: 1), .weights("sliced.weight", [1000, 1200], seed: 2),
            ]), of: 3)
        var options = PackOptions()
        options.medium = .video
        options.quantizer = quantizer
        let packer = try Packer(ModelFiles.open(run.paths), options)
        let forecast = Double(try await packer.forecast().bytes)
        let size = Double(try await run.pack { $0.quantizer = quantizer }.packedBytes)
        #expect(abs(forecast / size - 1) < 0.03, "forecast \(forecast), packed \(size)")
    }

    private final class Seen: Sendable {
        private let lock = NSLock()
        nonisolated(unsafe) private var indices: [Int] = []
        func add(_ index: Int) { lock.withLock { indices.append(index) } }
        var sorted: [Int] { lock.withLock { indices.sorted() } }
    }
}
