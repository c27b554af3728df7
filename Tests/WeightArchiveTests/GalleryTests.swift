import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// Folders of pictures.
struct GalleryTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let names = [
        "plain", "Plain", "../../up", "a/b", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.weight_hh_l0.1", "💾", ".",
        String(repeating: "long", count: 100),
    ]

    private func model() throws -> ModelFile {
        let tensors = Self.names.enumerated().map { number, name in
            Safetensors.Tensor.weights(
                name, name.contains("weight") ? [128, 32] : [40, 30 + number], seed: UInt64(number))
        }
        return try ModelFiles.open(try folder.write(Safetensors(tensors).bytes, "m.safetensors"))
    }

    private func packed(_ change: (inout PackOptions) -> Void = { _ in }) async throws -> PackedModel {
        var options = PackOptions()
        change(&options)
        _ = try await Packer(try model(), options).pack(to: folder["m.wcz"])
        return try PackedModel(folder["m.wcz"])
    }

    @Test(arguments: ["png", "ffv1", "flac"])
    func everyPictureOfEveryLayerIsThere(codec: String) async throws {
        let packed = try await packed {
            $0.codec = codec
            $0.medium = codec == "png" ? .image : codec == "flac" ? .audio : .video
        }
        let gallery = try await Gallery.write(of: packed, to: folder["pictures"], threads: 3, force: false)
        #expect(Set(gallery.layers.map(\.name)) == Set(Self.names))
        for layer in gallery.layers {
            let files = try layer.files.map { try fileBytes(folder["pictures/\($0)"]) }
            #expect(try files == packed.pictures(of: layer.name), "\(layer.name)")
        }
        let files = gallery.layers.flatMap(\.files)
        // Apart even where the case of letters does not count, and in no other folder.
        #expect(Set(files.map { $0.lowercased() }).count == files.count)
        #expect(files.allSatisfy { !$0.contains("/") && $0.hasSuffix(".png") && $0.utf8.count < 200 })
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["pictures"]).count == files.count)
    }

    @Test func aModelAndItsPackedFileGiveTheSame() async throws {
        let packed = try await packed()
        let a = try await Gallery.write(of: packed, to: folder["a"], threads: 2, force: false)
        let b = try await Gallery.write(of: try model(), PackOptions(), to: folder["b"], threads: 2, force: false)
        #expect(a.layers == b.layers)
        for file in a.layers.flatMap(\.files) {
            #expect(try fileBytes(folder["a/\(file)"]) == fileBytes(folder["b/\(file)"]))
        }
    }

    @Test func anExistingFolderKeepsWhatItHolds() async throws {
        let packed = try await packed()
        try FileManager.default.createDirectory(atPath: folder["a"], withIntermediateDirectories: false)
        try folder.write([1], "a/mine.txt")
        await #expect(throws: ArchiveError.exists(path: folder["a"])) {
            try await Gallery.write(of: packed, to: folder["a"], threads: 2, force: false)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["a"]) == ["mine.txt"])
        let gallery = try await Gallery.write(of: packed, to: folder["a"], threads: 2, force: true)
        #expect(try fileBytes(folder["a/mine.txt"]) == [1])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder["a"]).count
                == 1 + gallery.layers.flatMap(\.files).count)
    }

    @Test func aFailureLeavesNothing() async throws {
        var bytes = Safetensors([.weights("a", [40, 40])])
        bytes.tensors.append(.init("b", [40, 40], [Float](repeating: .nan, count: 1600)))
        let model = try ModelFiles.open(try folder.write(bytes.bytes, "nan.safetensors"))
        await #expect(throws: ArchiveError.self) {
            try await Gallery.write(of: model, PackOptions(), to: folder["a"], threads: 1, force: false)
        }
        #expect(folder.contents == ["nan.safetensors"])
    }
}
