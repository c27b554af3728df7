import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Models of many tensors that are too small to be layers.
struct KeptTensorTests {
    /// A hundred float32 tensors of 860 weights on average, of scales from 1/300 to 1.
    private static let hundred = Safetensors(
        (0..<100).map { number in
            var random = SeededGenerator(UInt64(number))
            let scale = exp(Float.random(in: -5.7...0, using: &random))
            let shape =
                number % 8 == 7 ? [64] : [.random(in: 24...36, using: &random), .random(in: 24...36, using: &random)]
            return .init("layer.\(number).weight", shape, (0..<shape.reduce(1, *)).map { _ in scale * random.normal() })
        })

    @Test(arguments: [true, false])
    func smallFloatsTakeLittleMoreThanTheirEntropy(isLossless: Bool) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.hundred.bytes, "m.safetensors")
        let size = try await pack(model, to: folder["m.wcz"]) {
            if isLossless { $0.quantizer = .exact } else { $0.exclude = [""] }
        }.packedBytes
        // A sign, 23 bits of mantissa and 2.6 of exponent of 32 bits are 83.2 %; deflate leaves 93 %.
        #expect(Double(size) < 0.8394 * Double(Self.hundred.bytes.count))
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == Self.hundred.bytes)
    }

    /// Weights with zeros of both signs, infinities, a denormal number and NaN with a payload among them.
    private static let strange: Safetensors.Tensor = {
        var tensor = Safetensors.Tensor.weights("a", [40, 20], seed: 1)
        for (number, word) in [0, 1 << 31, 0x7f80_0000, 0xff80_0000, 1, 0x7fc0_1234, 0xffff_ffff].enumerated() {
            tensor.bytes.replaceSubrange(80 * number..<80 * number + 4, with: littleEndian(UInt32(word)))
        }
        return tensor
    }()

    /// Every type, bit patterns that are no numbers, an empty tensor and one whose type is no floating point among them.
    private static let mixed = Safetensors([
        strange, .weights("b", [700], dtype: "F16", seed: 2),
        .init("odd.f32", "F32", [2000], ExactPackingTests.special(4)), .init("empty", "F32", [0], []),
        .init("odd.f64", "F64", [2000], ExactPackingTests.special(8)),
        .init("steps", "I64", [40], (0..<320).map { UInt8($0 % 256) }),
        .weights("c", [30, 30], dtype: "BF16", seed: 3),
        .weights("d", [30, 30], dtype: "F64", seed: 4),
        .init("odd.bf16", "BF16", [2000], ExactPackingTests.special(2)),
        .init("ones", [900], [Float](repeating: 1, count: 900)),
    ])

    @Test func everyBitOfEveryTypeComesBack() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(Self.mixed.bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"]) { $0.exclude = [""] }
        let manifest = try PackedModel(folder["m.wcz"]).valid.manifest
        #expect(manifest.version == 4)
        let inPicture = Set(manifest.tensors.filter { $0.inPicture == true }.map(\.name))
        #expect(
            inPicture.isSuperset(of: ["a", "c"]) && inPicture.isDisjoint(with: ["empty", "steps"]))
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == Self.mixed.bytes)
    }

    // MARK: - No larger than a ZIP

    /// A model of so many tensors.
    private static func tiny(_ count: Int, _ bytes: (Int) -> Safetensors.Tensor) -> Safetensors {
        Safetensors((0..<count).map(bytes))
    }

    private static let manyTiny: [(name: String, model: Safetensors)] = [
        ("zeros", tiny(600) { .init("layer_\($0)", [4], [Float](repeating: 0, count: 4)) }),
        ("biases", tiny(600) { .weights("block\($0 / 6).\($0 % 6).bias", [1 + $0 % 8], seed: UInt64($0)) }),
        (
            "scalars",
            tiny(900) {
                .init("constant.\($0 * 7919 % 1000).\($0)", "I64", [1], [UInt8($0 % 200)] + [0, 0, 0, 0, 0, 0, 0])
            }
        ),
        ("vectors", tiny(300) { .weights("encoder.\($0).norm.weight", [96], seed: UInt64($0)) }),
        (
            "integers",
            tiny(60) { number in
                var random = SeededGenerator(UInt64(number))
                let bytes = (0..<4800).map { _ in UInt8(bitPattern: Int8(max(min(9 * random.normal(), 127), -127))) }
                return .init("quantized.\(number).weight", "I8", [60, 80], bytes)
            }
        ),
    ]

    @Test(arguments: manyTiny.indices)
    func namesOfTinyTensorsAreNotStoredTwice(index: Int) async throws {
        let (name, model) = Self.manyTiny[index]
        let folder = try TemporaryFolder()
        let path = try folder.write(model.bytes, "m.safetensors")
        let result = try await pack(path, to: folder["m.wcz"])
        let zipped = model.bytes.withUnsafeBytes { deflatedSize($0) }
        #expect(result.packedBytes <= zipped + 512, "\(name)")
        // Reports count what is not listed.
        #expect(result.summary.keptTotal.count == model.tensors.count)
        #expect(result.summary.keptTotal.bytes == model.tensors.reduce(0) { $0 + $1.bytes.count })
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == model.bytes)
    }

    @Test func tensorsThatOthersWerePackedAgainstKeepTheirNumbers() async throws {
        let folder = try TemporaryFolder()
        var paths: [String] = []
        for step in 0..<3 {
            var tensors = (0..<50).map { Safetensors.Tensor.weights("a.\($0).bias", [3], seed: UInt64($0)) }
            tensors += ExactPackingTests.trained(ExactPackingTests.before, by: 1e-5 * Float(step)).tensors
            paths.append(try folder.write(Safetensors(tensors).bytes, "step\(step).safetensors"))
        }
        var options = PackOptions()
        options.quantizer = .exact
        let result = try await Packer(ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
        #expect(result.summary.unlisted.count == 150 && result.summary.quantizer.contains("against a base"))
        try await unpack(folder["run.wcz"], to: folder["run"])
        for step in 0..<3 { #expect(try fileBytes(folder["run/step\(step).safetensors"]) == fileBytes(paths[step])) }
    }

    // MARK: - Forged files

    /// What a forger writes in place of a part of a manifest that has a picture of kept tensors and tensors that are not listed.
    private static let forgeries: [(part: String, by: String)] = [
        (#""kept":{"bytes":"#, #""kept":{"bytes":9"#), (#""kept":{"bytes":"#, #""kept":{"bytes":-"#),
        (#""kept":{"bytes":"#, #""other":{"bytes":"#), (#""inPicture":true,"kept":"small""#, #""kept":"small""#),
        (#""inPicture":true,"#, #""inPicture":true,"inSkeleton":true,"#),
        (#""dtype":"F32","inPicture""#, #""dtype":"I32","inPicture""#),
        (#""dtype":"F32","inPicture""#, #""dtype":"F64","inPicture""#),
        (#""shape":[31,30]"#, #""shape":[30,31,1152921504606846976]"#), (#""shape":[31,30]"#, #""shape":[31,29]"#),
        (#""width":"#, #""width":4611686018427387904"#), (#""height":"#, #""height":4611686018427387904"#),
        (#""unlisted":{"bytes":"#, #""unlisted":{"bytes":-"#),
        (#""unlisted":{"bytes":"#, #""unlisted":{"bytes":99999999"#),
        (#""count":40"#, #""count":9223372036854775807"#), (#""count":40"#, #""count":-1"#),
        (#""version":4"#, #""version":3"#),
    ]

    @Test(arguments: forgeries.indices)
    func aForgedPictureIsRefused(index: Int) async throws {
        let folder = try TemporaryFolder()
        let tensors = (0..<40).map { Safetensors.Tensor.weights("a.\($0).bias", [3], seed: UInt64($0)) }
        let model = Safetensors(tensors + [.weights("b", [31, 30], seed: 1), .weights("c", [32, 30], seed: 2)])
        try await pack(try folder.write(model.bytes, "m.safetensors"), to: folder["m.wcz"])
        var zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        let (part, other) = Self.forgeries[index]
        let range = try #require(manifest.range(of: part))
        zip["manifest.json"] = Array(manifest.replacingCharacters(in: range, with: other).utf8)
        let path = try folder.write(zip.packed, "forged.wcz")
        let error = await expectedError { try await unpack(path, to: folder["restored"]) }
        #expect(error != nil, "\(other)")
        #expect(!folder.contents.contains("restored"))
    }

    @Test func anotherPictureIsRefused() async throws {
        let folder = try TemporaryFolder()
        try await pack(try folder.write(Self.mixed.bytes, "m.safetensors"), to: folder["m.wcz"]) { $0.exclude = [""] }
        var zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
        zip["kept.png"]?[60] ^= 1
        let path = try folder.write(zip.packed, "forged.wcz")
        let error = await expectedError { try await unpack(path, to: folder["restored"]) }
        #expect(error?.contains("kept.png") == true)
    }
}
