import ModelFiles
import TestSupport
import Testing

/// Files without description, the layouts that describe them, and files that are something else.
struct RawWeightsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func floats(_ values: some Sequence<Float>) -> [UInt8] { values.flatMap { littleEndian($0.bitPattern) } }

    private func weights(_ count: Int, seed: UInt64 = 1) -> [Float] {
        var generator = SeededGenerator(seed)
        return (0..<count).map { _ in Float.random(in: -0.2...0.2, using: &generator) }
    }

    @Test(arguments: [1, 2, 63, 64, 65, 1000, 70000])
    func plausibleFloatsAreOneTensor(count: Int) throws {
        let model = try ModelFiles.open(try folder.write(floats(weights(count))))
        #expect(model.format == .raw)
        #expect(
            model.tensors == [
                TensorRecord(
                    name: "weights", dtype: .f32, shape: [count], extent: Extent(file: 0, offset: 0, length: 4 * count),
                    memoryOrder: [0])
            ])
    }

    @Test func zerosAndAFewNonfiniteValuesAreStillWeights() throws {
        var values = [Float](repeating: 0, count: 500) + weights(500)
        values[700] = .nan
        values[800] = .infinity
        #expect(try ModelFiles.open(try folder.write(floats(values))).format == .raw)
    }

    @Test func randomBytesAndDoublesAreNoWeights() throws {
        var generator = SeededGenerator(3)
        let noise = (0..<4096).map { _ in generator.next() as UInt8 }
        #expect(openingError(try folder.write(noise))?.contains("not a model") == true)
        let doubles = weights(500).flatMap { littleEndian(Double($0).bitPattern) }
        #expect(openingError(try folder.write(doubles))?.contains("not a model") == true)
    }

    @Test(arguments: [
        ("GGUF\u{3}\0\0\0", "GGUF header"), ("\0\0\0\0TFL3", "FlatBuffer"), ("%PDF-1.7", "PDF"),
        ("import torch\nprint(1)\n", "a text file"), ("RIFF....WAVE", "RIFF"), ("{\"a\": 1}", "a text file"),
    ])
    func knownContentIsNamed(text: String, expected: String) throws {
        #expect(openingError(try folder.write(text, "weights.bin"))?.contains(expected) == true)
    }

    @Test(
        arguments: [
            ([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "PNG"),
            ([0x1f, 0x8b, 0x08, 0], "gzip"),
            ([0x80, 0x04, 0x4e, 0x2e], "Python pickle"), ([0x08, 0x07, 0x12, 0x02, 0x41, 0x42, 0x3a, 0x10], "ONNX"),
            ([], "empty"),
            ([0x1, 0x2, 0x3], "3 bytes"),
        ] as [([UInt8], String)])
    func knownSignaturesAreNamed(bytes: [UInt8], expected: String) throws {
        #expect(openingError(try folder.write(bytes))?.contains(expected) == true)
    }

    @Test func aTarIsNamedAsTheOldestCheckpoints() throws {
        var tar = [UInt8](repeating: 0, count: 1024)
        tar.replaceSubrange(0..<8, with: Array("sys_info".utf8))
        tar.replaceSubrange(257..<262, with: Array("ustar".utf8))
        #expect(openingError(try folder.write(tar))?.contains("PyTorch before 0.1.10") == true)
    }

    @Test func theWeightsOfCoreMLAreNotTakenForRawOnes() throws {
        var blob = weights(1024).flatMap { littleEndian($0.bitPattern) }
        blob.replaceSubrange(0..<64, with: [UInt8](repeating: 0, count: 64))
        blob.replaceSubrange(64..<68, with: [0xef, 0xbe, 0xad, 0xde])
        #expect(openingError(try folder.write(blob, "weight.bin"))?.contains("Core ML") == true)
    }

    @Test func missingFilesEmptyFoldersAndDevicesAreRefused() {
        #expect(openingError("\(folder.path)/none")?.contains("no such file") == true)
        #expect(openingError(folder.path)?.contains("a folder without a model file") == true)
        #expect(openingError("\(folder.path)\0x")?.contains("zero byte") == true)
        #expect(openingError("/dev/null")?.contains("regular file") == true)
    }

    @Test(arguments: [true, false])
    func aLayoutNamesTheTensors(wrapped: Bool) throws {
        let tensors = """
            [{"name": "a", "shape": [2, 3], "kind": "fc", "convention": "pytorch"},
             {"name": "b", "dtype": "F16", "shape": [4]},
             {"name": "c", "shape": [], "offset": 40}, {"name": "d", "shape": [1], "comment": "ignored"}]
            """
        let layout = try folder.write(wrapped ? "{\"tensors\": \(tensors)}" : "\n" + tensors, "layout.json")
        let model = try ModelFiles.open(try folder.write(floats(weights(20))), layout: layout)
        #expect(model.tensors.map(\.name) == ["a", "b", "c", "d"])
        #expect(model.tensors.map(\.extent.offset) == [0, 24, 40, 44])
        #expect(model.tensors.map(\.extent.length) == [24, 8, 4, 4])
        #expect(model.tensors[0].kindHint == "fc")
        #expect(model.tensors[0].conventionHint == "pytorch")
        #expect(model.tensors[1].dtype == .f16)
    }

    @Test(arguments: [
        (#"[{"name":"a","shape":[21]}]"#, "at most 80 bytes in \"model\", found F32 [21] of 84 bytes at offset 0"),
        (#"[{"name":"a","shape":[1],"offset":80}]"#, "at most 80 bytes"),
        (#"[{"name":"a","shape":[1],"offset":-4}]"#, "at most 80 bytes"),
        (#"[{"name":"a","shape":[4611686018427387904,4]}]"#, "tensor \"a\""),
        (#"[{"name":"a","shape":[-1]}]"#, "tensor \"a\""),
        (#"[{"name":"a","shape":[1]},{"name":"a","shape":[1]}]"#, "second time"),
        (#"[{"name":"a","dtype":"float","shape":[1]}]"#, "dtype"),
        (#"[{"name":"a","shape":[1],"kind":"cnov"}]"#, "\"cnov\""),
        (#"[{"name":"a","shape":[1],"convention":"jax"}]"#, "\"jax\""),
        (#"[{"shape":[1]}]"#, "name"), ("[]", "at least one tensor"), ("{}", "tensors"), ("tensors", "JSON"),
    ])
    func brokenLayoutsAreRefused(layout: String, expected: String) throws {
        let path = try folder.write(layout, "layout.json")
        let error = try #require(openingError(try folder.write(floats(weights(20))), layout: path))
        #expect(error.contains("layout.json"))
        #expect(error.contains(expected))
    }

    @Test func aLayoutForAFileThatDescribesItselfIsRefused() throws {
        let layout = try folder.write(#"[{"name":"a","shape":[1]}]"#, "layout.json")
        #expect(openingError(Fixtures.path("single.safetensors"), layout: layout)?.contains("describes itself") == true)
    }
}
