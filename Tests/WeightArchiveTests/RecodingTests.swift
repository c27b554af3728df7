import Codecs
import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// Files that compress their tensors: packed in a plain form, and compressed again.
struct RecodingTests {
    private static let compressed =
        ["arrays_compressed.npz", "mixed_descriptors.npz", "compressed_otherwise.npz"]
        + (hasHDF5 ? ["keras3_compressed.keras"] : [])
    private static let chunked = hasHDF5 ? ["hdf5_chunked.h5", "hdf5_chunked_latest.h5"] : []

    @Test(arguments: compressed + chunked, Medium.allCases)
    func theyComeBackCompressed(file: String, medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let original = try ModelFiles.open(modelFixture(file))
        let result = try await pack(modelFixture(file), to: folder["m.wcz"]) {
            $0.medium = medium
            $0.include = [""]
        }
        // Sizes are those of the file that people have.
        let size = try fileBytes(modelFixture(file)).count
        #expect(result.originalBytes == size)
        let packed = try PackedModel(folder["m.wcz"])
        #expect(packed.summary.originalBytes == size)
        #expect(packed.valid.manifest.version >= 2)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(folder.contents == ["m.wcz", "restored"])
        let restored = try ModelFiles.open(folder["restored"])
        #expect(restored.format == original.format)
        #expect(restored.files[0].originalSize == (try fileBytes(folder["restored"])).count)
        #expect(restored.notes == original.notes)
        let layers = Set(packed.summary.layers.flatMap { [$0.name] + $0.aliases })
        #expect(!layers.isEmpty && restored.tensors.count == original.tensors.count)
        for (a, b) in zip(original.tensors, restored.tensors) {
            #expect(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.memoryOrder == b.memoryOrder)
            let before = original.withBytes(of: a.extent) { Array($0) }
            let after = restored.withBytes(of: b.extent) { Array($0) }
            #expect(before.count == after.count)
            if !layers.contains(a.name) { #expect(before == after, "\(a.name)") }
        }
    }

    @Test(arguments: compressed)
    func whatIsOutsideOfTheWeightsComesBackByteForByte(file: String) async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture(file), to: folder["m.wcz"]) { $0.include = [""] }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        try expectFaithful(
            ModelFiles.open(modelFixture(file)), folder["restored"], PackedModel(folder["m.wcz"]))
    }

    @Test(arguments: compressed + chunked)
    func theSameBytesComeBackEachTime(file: String) async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture(file), to: folder["m.wcz"]) { $0.include = [""] }
        try await unpack(folder["m.wcz"], to: folder["a"])
        try await unpack(folder["m.wcz"], to: folder["b"])
        #expect(try fileBytes(folder["a"]) == fileBytes(folder["b"]))
    }

    @Test func aFolderMayHoldThem() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.makeFolder("model")
        for file in ["arrays_compressed.npz", "single.safetensors"] {
            try folder.write(try fileBytes(modelFixture(file)), "model/\(file)")
        }
        try folder.write(Array("{}".utf8), "model/config.json")
        try await pack(model, to: folder["m.wcz"]) { $0.exclude = [""] }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        for file in ["arrays_compressed.npz", "single.safetensors", "config.json"] {
            #expect(try fileBytes(folder["restored/\(file)"]) == fileBytes(folder["model/\(file)"]), "\(file)")
        }
        #expect(folder.contents.filter { $0.hasPrefix("restored/") }.count == 3)
    }

    @Test(arguments: ["\"entries\":[99]", "\"entries\":[-1]", "\"entries\":[0,0]"])
    func aForgedRecodingIsAnErrorAndLeavesNothing(entries: String) async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture("arrays_compressed.npz"), to: folder["m.wcz"])
        var zip = try #require(StoredZip(fileBytes(folder["m.wcz"])))
        let manifest = String(decoding: try #require(zip["manifest.json"]), as: UTF8.self)
        let old = try #require(manifest.firstRange(of: "\"entries\":["))
        let end = try #require(manifest[old.upperBound...].firstIndex(of: "]"))
        zip["manifest.json"] = Array(
            (manifest[..<old.lowerBound] + entries + manifest[manifest.index(after: end)...]).utf8)
        try folder.write(zip.packed, "forged.wcz")
        let error = await expectedError { try await unpack(folder["forged.wcz"], to: folder["restored"]) }
        #expect(error?.contains("distinct entries") == true, "\(error ?? "none")")
        #expect(folder.contents == ["forged.wcz", "m.wcz"])
    }

    /// Datasets as h5py makes them: libhdf5 does not write all of them again.
    @Test(
        .enabled(if: hasHDF5 && Python.has("h5py")),
        arguments: [
            "chunks=(100, 100), maxshape=(None, None), compression='gzip'", "chunks=(10, 10), compression='gzip'",
            "chunks=(16, 16), maxshape=(None, 64), compression='gzip', shuffle=True, fletcher32=True",
        ])
    func whatIsPackedCanBeRestored(dataset: String) async throws {
        let folder = try TemporaryFolder()
        let made = try Python.run([
            "-c",
            """
            import sys, h5py, numpy
            weights = numpy.random.default_rng(1).standard_normal((64, 64)).astype('f4')
            with h5py.File(sys.argv[1], 'w') as file: file.create_dataset('w', data=weights, \(dataset))
            """, folder["m.h5"],
        ])
        #expect(made.status == 0, "\(made.output)")
        if let error = await expectedError({ try await pack(folder["m.h5"], to: folder["m.wcz"]) }) {
            #expect(error.contains("m.h5"))
            #expect(folder.contents == ["m.h5"])
        } else {
            try await unpack(folder["m.wcz"], to: folder["restored.h5"])
            let (before, after) = (try ModelFiles.open(folder["m.h5"]), try ModelFiles.open(folder["restored.h5"]))
            #expect(before.tensors.map(\.name) == after.tensors.map(\.name))
            #expect(zip(try weights(before, "w"), try weights(after, "w")).allSatisfy { abs($0 - $1) < 0.05 })
        }
    }

    @Test(.enabled(if: hasHDF5), arguments: ["keras2.h5", "keras3.keras"])
    func stateOfKerasOptimizersIsKept(file: String) async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture(file), to: folder["m.wcz"])
        let kept = try PackedModel(folder["m.wcz"]).summary.kept
        #expect(kept.filter { $0.name.hasPrefix("optimizer") }.map(\.reason) == ["optimizer"])
    }

    @Test(.enabled(if: hasHDF5), arguments: ["keras2.h5", "keras3.keras"])
    func layersOfKerasHaveTheirKinds(file: String) async throws {
        let folder = try TemporaryFolder()
        try await pack(modelFixture(file), to: folder["m.wcz"]) {
            $0.include = [""]
            $0.exclude = ["optimizer"]
        }
        for layer in try PackedModel(folder["m.wcz"]).summary.layers where layer.shape.count > 1 {
            let kind = ["depthwise", "embedding", "lstm", "gru", "conv"].first { layer.name.contains($0) }
            // A wrapper's cell is told by its recurrent kernel.
            #expect(layer.kind == (layer.name.contains("bidirectional") ? "gru" : kind ?? "fc"), "\(layer.name)")
        }
    }
}
