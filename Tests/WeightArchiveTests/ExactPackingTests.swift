import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Models packed with every bit, alone and against others.
struct ExactPackingTests {
    /// A model of every kind, with float8 tensors, bit patterns that are no finite numbers, and a long vector.
    static let model = Safetensors(
        everyKind.tensors + [
            .init("eight.weight", "F8_E4M3", [40, 50], (0..<2000).map { UInt8($0 * 7 % 256) }),
            .init("nine.weight", "F8_E5M2", [40, 50], (0..<2000).map { UInt8($0 / 16) }),
            .init("odd.weight", "F32", [40, 50], special(4)), .init("odder.weight", "F64", [40, 50], special(8)),
            .init("strange.weight", "BF16", [40, 50], special(2)),
            .init("strangest.weight", "F16", [40, 50], special(2)),
            .weights("long", [5000], seed: 31), .weights("optimizer.state.exp_avg", [40, 50], seed: 32),
        ])

    /// 2,000 numbers of so many bytes: zeros of both signs, denormals, infinities, NaN with payloads, and whatever else.
    static func special(_ size: Int) -> [UInt8] {
        var random = SeededGenerator(UInt64(size))
        return (0..<2000).flatMap { place in
            let word = place % 3 == 0 ? [0, .max, 1, 1 << 63, .max << 52][place / 3 % 5] : random.next()
            return littleEndian(word).suffix(size)
        }
    }

    @Test(arguments: [Medium.image, .video, .audio, nil])
    func everyByteOfEveryTypeComesBack(medium: Medium?) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "model.safetensors")
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.quantizer = .exact
            $0.medium = medium ?? .image
            $0.choosesMedium = medium == nil
            $0.include = ["^(?!tiny).*weight", "exp_avg"]
        }
        #expect(result.summary.layers.count == 12 + 8)
        #expect(result.summary.layers.allSatisfy { $0.statistics.maximumError == 0 && $0.statistics.entropy >= 0 })
        #expect(result.summary.signalToNoise == .infinity)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == Self.model.bytes)
        // Looked at, layers are what they are in the model.
        let layers = try PackedModel(folder["m.wcz"]).valid.planed
        #expect(layers.allSatisfy { $0.planes.count == 1 && $0.planes[0].bits == 8 })
    }

    @Test(arguments: modelFixtures)
    func filesOfOtherProgramsComeBack(file: String) async throws {
        let folder = try TemporaryFolder()
        let original = try ModelFiles.open(modelFixture(file))
        try await pack(modelFixture(file), to: folder["m.wcz"]) {
            $0.quantizer = .exact
            $0.include = [""]
        }
        let packed = try PackedModel(folder["m.wcz"])
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let copy = try ModelFiles.open(packed.modelPath(in: folder["restored"]))
        guard original.files.allSatisfy({ $0.recoding?.keepsPlaces != false }) else { return }
        for (a, b) in zip(original.files, copy.files) {
            #expect(a.file.withBytes(0..<a.file.size) { Array($0) } == b.file.withBytes(0..<b.file.size) { Array($0) })
        }
    }

    @Test func threadsDoNotShow() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.model.bytes, "model.safetensors")
        for threads in [1, 3] {
            try await pack(model, to: folder["\(threads).wcz"]) {
                $0.quantizer = .exact
                $0.threads = threads
            }
        }
        #expect(try fileBytes(folder["1.wcz"]) == fileBytes(folder["3.wcz"]))
    }

    @Test func lossyCodecsAreRefused() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "model.safetensors")
        let error = await expectedError {
            try await pack(model, to: folder["m.wcz"]) {
                $0.quantizer = .exact
                $0.medium = .audio
                $0.codec = "vorbis"
            }
        }
        #expect(error?.contains("--lossless needs, found a lossy one") == true)
    }

    // MARK: - Against a base

    /// The model after a step of training: weights of one tensor moved, those of the other did not.
    static func trained(_ model: Safetensors, by step: Float, seed: UInt64 = 1) -> Safetensors {
        var random = SeededGenerator(seed)
        var model = model
        let moved = stride(from: 0, to: model.tensors[0].bytes.count, by: 4).flatMap { place in
            let bytes = model.tensors[0].bytes[place..<place + 4]
            let word = bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            return littleEndian((Float(bitPattern: word) + random.normal() * step).bitPattern)
        }
        model.tensors[0].bytes = moved
        return model
    }

    static let before = Safetensors([
        .weights("a.weight", [120, 100], seed: 1), .weights("b.weight", [80, 100], seed: 2),
        .weights("a.bias", [120], seed: 3),
    ])

    @Test(arguments: Medium.allCases)
    func onlyWhatDiffersFromTheBaseIsKept(medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let base = try folder.write(Self.before.bytes, "base.safetensors")
        let tuned = Self.trained(Self.before, by: 1e-5)
        let model = try folder.write(tuned.bytes, "tuned.safetensors")
        let whole = try await pack(model, to: folder["whole.wcz"]) {
            $0.quantizer = .exact
            $0.medium = medium
        }
        let delta = try await pack(model, to: folder["delta.wcz"]) {
            $0.quantizer = .exact
            $0.medium = medium
            $0.base = try? ModelFiles.open(base)
        }
        #expect(delta.packedBytes < whole.packedBytes * 2 / 3)
        #expect(delta.summary.quantizer.contains("against a base"))
        let packed = try PackedModel(folder["delta.wcz"], base: ModelFiles.open(base))
        try await Unpacker(packed).unpack(to: folder["restored"], threads: 2, force: false)
        #expect(try fileBytes(folder["restored"]) == tuned.bytes)

        // Without the base, or with another one, nothing is restored, and one line says why.
        let missing = await expectedError { try await unpack(folder["delta.wcz"], to: folder["nothing"]) }
        #expect(
            missing?.contains("weight: \(folder["delta.wcz"]): expected the model that it was packed against") == true)
        let bases = [
            (Self.trained(Self.before, by: 1e-5, seed: 2), "tensor a.weight: \(folder["other"]): expected the bytes"),
            (Safetensors([.weights("a.weight", [100, 120], seed: 1)]), "expected a tensor of that name, F32"),
        ]
        for (other, message) in bases {
            let path = try folder.write(other.bytes, "other")
            let error = await expectedError {
                let packed = try PackedModel(folder["delta.wcz"], base: ModelFiles.open(path))
                try await Unpacker(packed).unpack(to: folder["nothing"], threads: 1, force: false)
            }
            #expect(error?.contains(message) == true, "\(error ?? "")")
        }
        #expect(!folder.contents.contains("nothing"))
    }

    @Test func aBaseThatHasNothingInCommonIsNotUsed() async throws {
        let folder = try TemporaryFolder()
        let base = try folder.write(
            Safetensors([.weights("a.weight", [120, 100], scale: 40, seed: 9)]).bytes, "base.safetensors")
        let model = try folder.write(Self.before.bytes, "model.safetensors")
        try await pack(model, to: folder["m.wcz"]) {
            $0.quantizer = .exact
            $0.base = try? ModelFiles.open(base)
        }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == Self.before.bytes)
    }

    @Test func tensorsThatAreStoredTwiceAreKeptOnce() async throws {
        let folder = try TemporaryFolder()
        let embedding = Safetensors.Tensor.weights("embedding.weight", [300, 100], seed: 4)
        var tied = embedding
        tied.name = "output.weight"
        var other = embedding
        other.name = "other.weight"
        other.bytes[100_000] ^= 1
        let model = Safetensors([embedding, tied, other])
        let path = try folder.write(model.bytes, "model.safetensors")
        let result = try await pack(path, to: folder["m.wcz"]) { $0.quantizer = .exact }
        let sizes = result.summary.layers.map(\.packedBytes)
        #expect(sizes[1] < 1000 && sizes[2] > sizes[0] / 2)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == model.bytes)
    }

    @Test(arguments: [1, 3])
    func aSeriesKeepsWhatChangesFromModelToModel(threads: Int) async throws {
        let folder = try TemporaryFolder()
        var model = Self.before
        var paths: [String] = []
        var alone = 0
        for step in 1...4 {
            paths.append(try folder.write(model.bytes, "step\(step).safetensors"))
            alone += try await pack(paths[step - 1], to: folder["alone\(step).wcz"]) { $0.quantizer = .exact }
                .packedBytes
            model = Self.trained(model, by: 1e-5, seed: UInt64(step))
        }
        var options = PackOptions()
        options.quantizer = .exact
        options.threads = threads
        let result = try await Packer(ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
        #expect(result.packedBytes < alone * 2 / 3)
        try await unpack(folder["run.wcz"], to: folder["run"], threads: threads)
        for path in paths {
            let name = String(path.split(separator: "/").last ?? "")
            #expect(try fileBytes(folder["run/\(name)"]) == fileBytes(path))
        }
        // What is looked at out of order is restored with what it needs.
        let packed = try PackedModel(folder["run.wcz"])
        let last = try #require(packed.valid.planed.last)
        let bytes = try packed.withBytes(of: last, last.decode { try packed.stream($0) }) { _, bytes in bytes.count }
        #expect(bytes == packed.valid.byteCounts[last.tensor])
    }

    @Test(arguments: ["-1", "3", "4", "9223372036854775807", "\"x\""])
    func basesThatComeLaterAreRefused(earlier: String) async throws {
        let folder = try TemporaryFolder()
        let paths = [
            try folder.write(Self.before.bytes, "1.safetensors"),
            try folder.write(Self.trained(Self.before, by: 1e-5).bytes, "2.safetensors"),
        ]
        var options = PackOptions()
        options.quantizer = .exact
        _ = try await Packer(ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
        let manifest = try PackedModel(folder["run.wcz"]).valid.manifest
        let json = String(decoding: try manifest.encoded(), as: UTF8.self)
        #expect(json.contains(#""earlier":0"#))
        let changed = json.replacing(#""earlier":0"#, with: #""earlier":\#(earlier)"#)
        #expect(throws: (any Error).self) {
            let manifest = try JSONDecoder().decode(Manifest.self, from: Data(changed.utf8))
            _ = try ValidManifest(manifest, ArchiveReader(folder["run.wcz"]))
        }
    }
}
