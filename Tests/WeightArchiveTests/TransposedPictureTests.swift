import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Layers much wider than long, whose pictures lie on their side.
struct TransposedPictureTests {
    private static let model = Safetensors([
        .weights("conv.weight", [512, 1, 64, 1], seed: 1), .weights("fc.weight", [2000, 5], seed: 2),
        .weights("gru.weight_ih_l0", [1500, 3], seed: 3), .weights("square.weight", [64, 65], seed: 4),
    ])

    private static let options: [(name: String, bytes: Int, change: @Sendable (inout PackOptions) -> Void)] = [
        // A byte of the filter for each weight of the first layer would add 32 KB.
        ("8 bits", 70_000, { $0.bits = 8 }), ("4 bits", 45_000, { $0.bits = 4 }),
        ("12 bits", 120_000, { $0.bits = 12 }),
        (
            "fixed", 53_000,
            {
                $0.quantizer = .fixedPoint(FixedPointChoice(.exponent))
                $0.bits = 8
            }
        ),
        ("trellis", 29_000, { $0.goal = .bitsPerWeight(4) }),
        (
            "jxl", 70_000,
            {
                $0.bits = 8
                $0.choosesMedium = true
                $0.codec = "jxl"
            }
        ),
    ]

    @Test(arguments: options.indices)
    func rowsCostNothing(index: Int) async throws {
        let (name, most, change) = Self.options[index]
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model.bytes, "m.safetensors")
        let result = try await pack(path, to: folder["m.wcz"]) {
            $0.range = .layer
            change(&$0)
        }
        #expect(result.packedBytes < most, "\(name)")
        let loss = try await unpackedLoss(path, folder["m.wcz"], in: folder)
        #expect(loss.signalToNoise > 15)
        // Claims 4 and 5 say which way pictures lie where it matters little.
        let frames = Dictionary(uniqueKeysWithValues: result.summary.layers.map { ($0.name, $0.frame) })
        #expect(try #require(frames["square.weight"]).width == 65 || name == "trellis")
    }

    @Test func aFlagThatIsForgedIsRefused() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model.bytes, "m.safetensors")
        for medium in ["image", "video", "audio"] {
            for usesPlanes in [false, true] {
                try await pack(path, to: folder["m.wcz"], force: true, medium: medium, usesPlanes: usesPlanes)
                var zip = try #require(StoredZip(try fileBytes(folder["m.wcz"])))
                let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
                let (part, other) =
                    medium == "image"
                    ? (#""transposed":true"#, #""transposed":false"#)
                    : usesPlanes
                        ? (#""stream":0,"#, #""stream":0,"transposed":true,"#)
                        : (#""stream":0"#, #""stream":0,"transposed":true"#)
                let range = try #require(manifest.range(of: part))
                let forged = manifest.replacingCharacters(in: range, with: other)
                zip["manifest.json"] = Array(
                    forged.replacing(#""version":1"#, with: #""version":4"#)
                        .replacing(#""version":3"#, with: #""version":4"#).utf8)
                let hostile = try folder.write(zip.packed, "forged.wcz")
                let error = await expectedError { try await unpack(hostile, to: folder["restored"]) }
                #expect(error != nil, "\(medium), planes: \(usesPlanes)")
            }
        }
    }
}

private func pack(_ model: String, to path: String, force: Bool, medium: String, usesPlanes: Bool) async throws {
    try await pack(model, to: path) {
        $0.force = force
        $0.bits = 8
        $0.medium = medium == "video" ? .video : medium == "audio" ? .audio : .image
        if usesPlanes { $0.quantizer = .fixedPoint(FixedPointChoice(.exponent)) }
    }
}
