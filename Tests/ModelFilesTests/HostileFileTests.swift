import ModelFiles
import TestSupport
import Testing

/// Damaged files: opening one gives a model whose extents lie in its file, or a one-line error; it never crashes.
struct HostileFileTests {
    private static let files = [
        "zip_checkpoint.pt", "zip_views.pt", "zip_module.pt", "legacy_checkpoint.pt", "legacy_views.pt",
        "legacy_module.pt",
        "legacy_storage_views.pt", "single.safetensors", "torchscript.pt", "zip_lightning.ckpt", "mixed.gguf",
        "network.tflite", "outside.tflite", "pruned.tflite", "arrays.npz", "arrays_compressed.npz",
        "mixed_descriptors.npz", "compressed_otherwise.npz",
        "array_f4.npy",
        "onnx/branches.onnx", "onnx/unknown.onnx", "onnx/numbers.onnx", "onnx/dtypes.onnx", "onnx/torch.onnx",
    ]
    private static let small = [
        "zip_protocol4.pt", "legacy_protocol4.pt", "legacy_storage_views.pt", "single.safetensors", "outside.tflite",
        "array_f4.npy", "mixed_descriptors.npz",
    ]

    /// Opens bytes as a file and checks what comes of it; true when it opened.
    @discardableResult
    private func probe(_ bytes: [UInt8], in folder: TemporaryFolder, _ name: String = "model") throws -> Bool {
        let path = try folder.write(bytes, name)
        do throws(ModelFileError) {
            let model = try ModelFiles.open(path)
            for tensor in model.tensors {
                #expect(tensor.extent.range.lowerBound >= 0)
                #expect(tensor.extent.range.upperBound <= model.files[tensor.extent.file].file.size)
                if tensor.memoryOrder != nil, let bits = tensor.dtype.bitWidth {
                    #expect(tensor.count * bits == tensor.extent.length * 8, "\(tensor)")
                }
            }
            for checksum in model.checksums {
                let size = model.files[checksum.covered.file].file.size
                #expect(checksum.covered.range.upperBound <= size)
                #expect(checksum.fields.allSatisfy { $0 >= 0 && $0 + 4 <= size })
            }
            return true
        } catch {
            #expect(!error.description.contains("\n"))
            #expect(error.description.hasPrefix(path))
            return false
        }
    }

    @Test(arguments: small)
    func everyTruncationIsRefused(file: String) throws {
        let bytes = try Fixtures.bytes(file)
        let folder = try TemporaryFolder()
        for length in 0..<bytes.count {
            #expect(try !probe(Array(bytes[..<length]), in: folder), "\(length) of \(bytes.count) bytes")
        }
    }

    @Test(
        arguments: [
            "single.safetensors", "mixed.gguf", "outside.tflite", "array_f4.npy", "legacy_checkpoint.pt",
            "zip_checkpoint.pt", "arrays.npz",
        ] + (hasHDF5 ? ["hdf5_plain.h5", "hdf5_latest.h5", "hdf5_chunked.h5"] : []))
    func aFileThatLacksItsEndIsSaidToBeTruncated(file: String) throws {
        let bytes = try Fixtures.bytes(file)
        let folder = try TemporaryFolder()
        for length in [bytes.count - 60, bytes.count - 40] {
            let error = try #require(openingError(try folder.write(Array(bytes[..<length]))))
            #expect(error.contains("truncated") || error.contains("cut short"), "\(error)")
        }
    }

    @Test(arguments: files)
    func truncationsOfLargerFilesAreSafe(file: String) throws {
        let bytes = try Fixtures.bytes(file)
        let folder = try TemporaryFolder()
        for length in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 300) {
            try probe(Array(bytes[..<length]), in: folder)
        }
    }

    /// libhdf5 notices them; other damage may crash it, see the README.
    @Test(
        .enabled(if: hasHDF5),
        arguments: ["hdf5_plain.h5", "hdf5_latest.h5", "hdf5_chunked.h5", "keras2.h5", "keras3.weights.h5"])
    func truncatedHDF5FilesAreRefused(file: String) throws {
        let bytes = try Fixtures.bytes(file)
        let folder = try TemporaryFolder()
        for length in stride(from: 0, to: bytes.count, by: 1 + bytes.count / 50) {
            #expect(try !probe(Array(bytes[..<length]), in: folder), "\(length) of \(bytes.count) bytes")
        }
    }

    @Test(arguments: files)
    func flippedBitsAreSafe(file: String) throws {
        let bytes = try Fixtures.bytes(file)
        let folder = try TemporaryFolder()
        var generator = SeededGenerator(11)
        for _ in 0..<1000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                damaged[Int.random(in: 0..<bytes.count, using: &generator)] ^=
                    1 << UInt8.random(in: 0..<8, using: &generator)
            }
            try probe(damaged, in: folder)
        }
    }

    @Test(arguments: files)
    func mutatedFilesAreSafe(file: String) throws {
        let bytes = try Fixtures.bytes(file)
        let folder = try TemporaryFolder()
        var generator = SeededGenerator(13)
        // Values at the edges of the integer types are what sizes and offsets break on.
        let edges: [[UInt8]] = [
            [0xff, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0], [0xff, 0xff], [0x80], Array(")R".utf8),
            [UInt8](repeating: 0xff, count: 8), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ]
        for _ in 0..<500 {
            var damaged = bytes
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                let edge = edges[Int.random(in: 0..<edges.count, using: &generator)]
                damaged.replaceSubrange(place..<min(place + edge.count, bytes.count), with: edge)
            case 1:
                damaged.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...64, using: &generator)))
            case 2:
                let end = min(bytes.count, place + Int.random(in: 1...64, using: &generator))
                damaged.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0..<bytes.count, using: &generator))
            default:
                for offset in place..<min(bytes.count, place + 16) { damaged[offset] = generator.next() }
            }
            try probe(damaged, in: folder)
        }
    }

    @Test(arguments: [
        ("sharded", "model.safetensors.index.json", "model", "safetensors"),
        ("sharded_zip", "pytorch_model.bin.index.json", "pytorch_model", "bin"),
    ])
    func damagedShardIndexesAreSafe(place: String, name: String, stem: String, suffix: String) throws {
        let folder = try TemporaryFolder()
        let index = try Fixtures.bytes("\(place)/\(name)")
        for shard in ["\(stem)-00001-of-00002.\(suffix)", "\(stem)-00002-of-00002.\(suffix)"] {
            try folder.write(try Fixtures.bytes("\(place)/\(shard)"), shard)
        }
        #expect(try probe(index, in: folder, "index.json"))
        var generator = SeededGenerator(17)
        for _ in 0..<500 {
            var damaged = index
            damaged[Int.random(in: 0..<index.count, using: &generator)] ^=
                1 << UInt8.random(in: 0..<8, using: &generator)
            let path = try folder.write(damaged, "index.json")
            // The error may name the index, a shard beside it, or a path that a damaged name leads to.
            if let error = openingError(path) { #expect(error.hasPrefix(folder.path) && !error.contains("\n")) }
        }
    }
}
