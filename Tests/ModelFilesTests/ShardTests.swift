import ModelFiles
import Testing

/// PyTorch checkpoints in several files beside an index.
struct ShardTests {
    private static let shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func index(_ map: [String: String]) -> String {
        #"{"weight_map": {"#
            + map.sorted { $0.key < $1.key }.map { #""\#($0.key)": "\#($0.value)""# }.joined(separator: ", ")
            + "}}"
    }

    @Test(arguments: ["sharded_zip", "sharded_legacy"])
    func anIndexOpensItsShards(place: String) throws {
        let model = try ModelFiles.open(Fixtures.path("\(place)/pytorch_model.bin.index.json"))
        #expect(model.format == .pytorchSharded)
        #expect(model.files.map(\.name) == ["pytorch_model.bin.index.json"] + Self.shards)
        #expect(model.tensors.map(\.name) == ["a.weight", "b.count", "a.bias", "b.weight"])
        #expect(model.tensors.map(\.extent.file) == [1, 1, 2, 2])
        #expect(Set(model.checksums.map(\.covered.file)) == (place == "sharded_zip" ? [1, 2] : []))
        for checksum in model.checksums {
            let crc = littleEndian(crc32(model.withBytes(of: checksum.covered) { Array($0) }))
            for field in checksum.fields {
                let place = Extent(file: checksum.covered.file, offset: field, length: 4)
                #expect(model.withBytes(of: place) { Array($0) } == crc)
            }
        }
    }

    @Test func theFolderOfAShardedModelHoldsItOnce() throws {
        let model = try ModelFiles.open(Fixtures.path("sharded_zip"))
        #expect(model.format == .directory)
        #expect(model.files.count == 3)
        #expect(Set(model.tensors.map(\.name)) == ["a.weight", "b.count", "a.bias", "b.weight"])
    }

    @Test func shardsAreOfOneKind() throws {
        try folder.write(try Fixtures.bytes("sharded_zip/\(Self.shards[0])"), "1.bin")
        try folder.write(try Fixtures.bytes("sharded/model-00001-of-00002.safetensors"), "2.bin")
        let map = ["a.weight": "1.bin", "b.count": "1.bin", "fc.weight": "2.bin", "half": "2.bin"]
        #expect(openingError(try folder.write(index(map), "index.json"))?.contains("shards of one kind") == true)
        // Old and new PyTorch files are.
        try folder.write(try Fixtures.bytes("sharded_legacy/\(Self.shards[1])"), "2.bin")
        let mixed = ["a.weight": "1.bin", "b.count": "1.bin", "a.bias": "2.bin", "b.weight": "2.bin"]
        #expect(try ModelFiles.open(try folder.write(index(mixed), "index.json")).format == .pytorchSharded)
    }

    @Test func indexAndShardsMustAgree() throws {
        try folder.write(try Fixtures.bytes("sharded_zip/\(Self.shards[0])"), "1.bin")
        func error(_ map: [String: String]) throws -> String? {
            openingError(try folder.write(index(map), "index.json"))
        }
        #expect(try error(["a.weight": "1.bin"])?.contains("tensor \"b.count\"") == true)
        #expect(
            try error(["a.weight": "1.bin", "b.count": "1.bin", "c": "1.bin"])?.contains("no such tensor there") == true
        )
        try folder.write(try Fixtures.bytes("torchscript.pt"), "2.bin")
        #expect(try error(["x": "2.bin"])?.contains("found TorchScript") == true)
        try folder.write(index(["x": "index.json"]), "2.bin")
        #expect(try error(["x": "2.bin"])?.contains("a safetensors file or a PyTorch checkpoint") == true)
    }
}
