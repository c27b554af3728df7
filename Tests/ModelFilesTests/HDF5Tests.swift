import TestSupport
import Testing

@testable import ModelFiles

/// HDF5 files and what Keras makes of them.
@Suite(.enabled(if: hasHDF5)) struct HDF5Tests {
    @Test(arguments: [
        ("hdf5_plain.h5", ModelFormatName.hdf5), ("hdf5_latest.h5", .hdf5), ("hdf5_user_block.h5", .hdf5),
        ("hdf5_chunked.h5", .hdf5), ("keras2.h5", .keras), ("keras3.weights.h5", .keras), ("keras3.keras", .keras),
        ("keras3_compressed.keras", .keras),
    ])
    func kerasIsToldFromOtherPrograms(file: String, format: ModelFormatName) throws {
        #expect(try ModelFiles.open(Fixtures.path(file)).format == format)
    }

    @Test(arguments: ["hdf5_plain.h5", "hdf5_latest.h5", "hdf5_user_block.h5"])
    func linksToTheSameDatasetAreTiedAndOthersAreNotFollowed(file: String) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        func extent(_ name: String) -> Extent? { model.tensors.first { $0.name == name }?.extent }
        #expect(extent("loop/up/a") != nil && extent("loop/up/a") == extent("loop/up/b"))
        for name in ["big", "text", "mask", "unwritten"] {
            #expect(model.notes.contains { $0.contains("\"\(name)\"") }, "\(name)")
        }
        #expect(model.notes.count == 4)
        #expect(model.files[0].recoding == nil)
    }

    @Test(arguments: ["hdf5_chunked.h5", "hdf5_chunked_latest.h5"])
    func compressedDatasetsAreOpenedInAPlainForm(file: String) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        #expect(model.files[0].originalSize == (try Fixtures.bytes(file)).count)
        for name in ["ids", "lzf", "rounded", "sparse"] {
            #expect(model.notes.contains { $0.contains("\"\(name)\"") }, "\(name)")
        }
        #expect(model.notes.count == 4)
        // Restored, it may be laid out anew, but holds the same.
        let folder = try TemporaryFolder()
        let recoding = try #require(model.files[0].recoding)
        let path = try folder.write(try restored(recoding, model.files[0].file, in: folder), "again.h5")
        let again = try ModelFiles.open(path)
        #expect(again.tensors.map(\.name) == model.tensors.map(\.name))
        for (a, b) in zip(model.tensors, again.tensors) {
            #expect(model.values(of: a) == again.values(of: b), "\(a.name)")
        }
        #expect(again.notes == model.notes)
    }

    @Test func chunksAreFoundInTheFileAsTheLibraryFindsThem() throws {
        let bytes = try Fixtures.bytes("hdf5_chunked.h5")
        guard case .chunks(let recoding) = try ModelFiles.open(Fixtures.path("hdf5_chunked.h5")).files[0].recoding
        else { return }
        let found = bytes.withUnsafeBytes { bytes in
            // Object headers lie at multiples of 8 bytes.
            [(2, 8), (2, 9), (2, 3), (3, 12)].flatMap { rank, count in
                stride(from: 0, to: UInt64(bytes.count), by: 8).flatMap {
                    HDF5ChunkTree.chunks(of: bytes, header: $0, rank: rank, count: count) ?? []
                }
            }
        }
        #expect(Set(found.map { [$0.offset, $0.length] }).isSuperset(of: recoding.gaps))
    }

    @Test func damagedTreesOfChunksAreSafe() throws {
        let bytes = try Fixtures.bytes("hdf5_chunked.h5")
        let headers = bytes.withUnsafeBytes { bytes in
            stride(from: 0, to: UInt64(bytes.count), by: 8).filter {
                HDF5ChunkTree.chunks(of: bytes, header: $0, rank: 2, count: 9) != nil
            }
        }
        let tree = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("TREE".utf8) + [1]) })
        var generator = SeededGenerator(19)
        for header in headers {
            for place in [Int(header), tree] {
                for _ in 0..<1000 {
                    var damaged = bytes
                    let offset = place + Int.random(in: 0..<400, using: &generator)
                    guard offset + 8 <= damaged.count else { continue }
                    let value: UInt64 = Bool.random(using: &generator) ? .max : generator.next()
                    damaged.replaceSubrange(offset..<offset + 8, with: littleEndian(value))
                    let chunks = damaged.withUnsafeBytes {
                        HDF5ChunkTree.chunks(of: $0, header: header, rank: 2, count: 9)
                    }
                    #expect(chunks == nil || chunks?.count == 9)
                }
            }
        }
        #expect(!headers.isEmpty)
    }

    @Test func aRecodingThatDoesNotFitThePlainFormIsRefused() throws {
        let source = try ModelFiles.open(Fixtures.path("hdf5_chunked.h5")).files[0]
        guard case .chunks(let good) = try #require(source.recoding) else { return }
        let folder = try TemporaryFolder()
        let first = good.datasets[0]
        for chunks in [
            HDF5Chunks(size: good.size, gaps: good.gaps.reversed(), datasets: good.datasets),
            HDF5Chunks(size: good.size + 1, gaps: good.gaps, datasets: good.datasets),
            HDF5Chunks(size: .max, gaps: good.gaps, datasets: good.datasets),
            HDF5Chunks(size: good.size, gaps: [[0, .max]] + good.gaps, datasets: good.datasets),
            HDF5Chunks(size: good.size, gaps: [[-1, 1]], datasets: good.datasets),
            HDF5Chunks(size: good.size, gaps: [[]], datasets: good.datasets),
            HDF5Chunks(size: good.size, gaps: good.gaps, datasets: [.init(path: "nowhere", at: first.at)]),
            HDF5Chunks(size: good.size, gaps: good.gaps, datasets: [.init(path: first.path, at: [0, .max])]),
            HDF5Chunks(size: good.size, gaps: good.gaps, datasets: [.init(path: first.path, at: [first.at[0], 4])]),
            HDF5Chunks(size: good.size, gaps: good.gaps, datasets: [.init(path: "contiguous", at: [0, 144])]),
            HDF5Chunks(size: good.size, gaps: good.gaps, datasets: [.init(path: "/", at: first.at)]),
        ] {
            #expect(throws: ModelFileError.self, "\(chunks)") {
                _ = try restored(.chunks(chunks), source.file, in: folder)
            }
        }
    }

    @Test(
        arguments: [
            ("layers/dense/vars/0", [8, 4], "fc"), ("layers/functional_2/layers/dense_3/vars/0", [8, 4], "fc"),
            ("layers/dense/vars/1", [4], nil), ("layers/gru_1/cell/vars/0", [8, 12], "gru"),
            ("layers/bidirectional/backward_layer/cell/vars/1", [3, 12], "lstm"),
            ("layers/simple_rnn/cell/vars/1", [4, 4], "fc"),
            ("layers/separable_conv2d/vars/0", [3, 3, 8, 1], "depthwise"),
            ("layers/separable_conv2d/vars/1", [1, 1, 8, 4], "conv"),
            ("layers/token_embedding/vars/0", [9, 4], "embedding"),
            ("optimizer/vars/0", [8, 4], nil), ("model_weights/dense/dense/kernel:0", [8, 4], nil),
        ] as [(String, [Int], String?)])
    func pathsOfKeras3TellTheKindOfLayer(path: String, shape: [Int], kind: String?) {
        #expect(KerasLayer.hint(path: path, shapes: [path: shape])?.kind == kind)
    }

    @Test func aCellInAWrapperIsToldByItsRecurrentKernel() {
        let shapes = [
            "l/bidirectional/forward_layer/cell/vars/0": [7, 12], "l/bidirectional/forward_layer/cell/vars/1": [4, 12],
        ]
        for path in shapes.keys { #expect(KerasLayer.hint(path: path, shapes: shapes)?.kind == "gru") }
    }
}
