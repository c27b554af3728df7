import Foundation
import TestSupport
import Testing

@testable import ModelFiles

/// What is read out of models that ONNX's own library and PyTorch's exporter wrote.
struct ONNXTests {
    /// A tensor as ONNX's library sees it.
    struct Expected: Decodable {
        let name: String
        let dtype: String
        let shape: [Int]
        let kind: String?
        let convention: String?
        /// CRC-32 of its elements; nil for types of less than a byte.
        let crc: UInt32?
    }

    static let expected: [String: [Expected]] = {
        guard let data = FileManager.default.contents(atPath: Fixtures.path("onnx/expected.json")),
            let expected = try? JSONDecoder().decode([String: [Expected]].self, from: data)
        else { return [:] }
        return expected
    }()

    static func open(_ name: String) throws -> ModelFile { try ModelFiles.open(Fixtures.path("onnx/\(name)")) }

    // The tests below would pass over an empty list.
    @Test func theFixturesArePresent() {
        #expect(Set(Self.expected.keys.map { "onnx/\($0)" }) == Set(onnxFixtures))
        #expect(Self.expected.values.allSatisfy { !$0.isEmpty })
    }

    @Test(arguments: expected.keys.sorted())
    func tensorsAreThoseOfTheLibrary(file: String) throws {
        let model = try Self.open(file)
        let expected = try #require(Self.expected[file])
        #expect(model.format == .onnx)
        #expect(model.tensors.map(\.name).sorted() == expected.map(\.name).sorted())
        for want in expected {
            let tensor = try #require(model.tensors.first { $0.name == want.name })
            #expect(tensor.dtype.rawValue == want.dtype, "\(want.name)")
            #expect(tensor.shape == want.shape, "\(want.name)")
            #expect(tensor.kindHint == want.kind, "\(want.name)")
            #expect(tensor.conventionHint == want.convention, "\(want.name)")
            if let crc = want.crc {
                #expect(tensor.memoryOrder == Array(want.shape.indices), "\(want.name)")
                #expect(crc32(model.withBytes(of: tensor.extent) { Array($0) }) == crc, "\(want.name)")
            }
        }
    }

    @Test(arguments: expected.keys.sorted().filter { $0 != "external/model.onnx" })
    func replacedExtentsAreReadBackAndNothingElseChanges(file: String) throws {
        let model = try Self.open(file)
        var restored = model.files[0].file.withAllBytes { Array($0) }
        var generator = SeededGenerator(7)
        for tensor in model.tensors where tensor.isPackable {
            for offset in tensor.extent.range { restored[offset] = generator.next() }
        }
        let folder = try TemporaryFolder()
        let again = try ModelFiles.open(try folder.write(restored))
        #expect(again.tensors == model.tensors)
        #expect(again.notes.isEmpty || file == "numbers.onnx")
        for tensor in again.tensors {
            #expect(again.withBytes(of: tensor.extent) { Array($0) } == Array(restored[tensor.extent.range]))
        }
    }

    @Test func valuesThatAreNoRunOfBytesGetOne() throws {
        let original = try Fixtures.bytes("onnx/numbers.onnx")
        let model = try Self.open("numbers.onnx")
        #expect(model.files[0].originalSize == original.count)
        let note = try #require(model.notes.first)
        for name in ["half", "brain", "switch/then_branch/apart"] {
            #expect(note.contains("\"\(name)\""))
            #expect(model.tensors.contains { $0.name == name && $0.isPackable })
        }
        // Runs of bytes, small tensors and integers stay in the fields they are in.
        #expect(!note.contains("\"float\"") && !note.contains("half.small") && !note.contains("integers"))
        #expect(model.notes.last == "1 tensor of 1,024 elements or more is held as numbers and stays as it is")
        let plain = model.files[0].file.withAllBytes { Array($0) }
        let names = ["half.small", "integers", "graph", "fixtures", "switch", "then_branch"]
        for name in names {
            #expect(occurrences(of: name, in: plain) == occurrences(of: name, in: original), "\(name)")
        }
    }

    private func occurrences(of text: String, in bytes: [UInt8]) -> Int {
        let key = Array(text.utf8)
        return bytes.indices.count { bytes[$0...].starts(with: key) }
    }

    @Test func aModelWithoutSuchTensorsIsMappedAsItIs() throws {
        let model = try Self.open("runs.onnx")
        #expect(model.files[0].file.withAllBytes { Array($0) } == (try Fixtures.bytes("onnx/runs.onnx")))
        #expect(model.notes.isEmpty)
    }

    @Test func externalFilesAreNamedByTheirPathFromTheModel() throws {
        let model = try Self.open("external/model.onnx")
        #expect(model.files.map(\.name) == ["model.onnx", "external.bin", "data/more.bin"])
        let extents = Dictionary(uniqueKeysWithValues: model.tensors.map { ($0.name, $0.extent) })
        #expect(extents["first"] == Extent(file: 1, offset: 64, length: 32 * 33 * 4))
        #expect(extents["again"] == extents["first"])
        #expect(extents["second"]?.file == 2)
        #expect(extents["inside"]?.file == 0)
    }

    @Test func aFolderWithExternalFilesIsOneModel() throws {
        let model = try ModelFiles.open(Fixtures.path("onnx/external"))
        #expect(model.format == .directory)
        #expect(model.tensors.map(\.name) == ["first", "second", "again", "inside"])
        #expect(model.notes.isEmpty)
    }

    @Test(arguments: [
        "../secret.bin", "data/../../secret.bin", "/etc/hostname", "", ".", "data//more.bin", "data/", "link.bin",
        "model.onnx", "linked/more.bin",
    ])
    func externalDataOutsideTheFolderIsRefused(location: String) throws {
        let folder = try TemporaryFolder()
        let files = FileManager.default
        for name in ["inner/data", "elsewhere"] {
            try files.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        }
        let zeros = [UInt8](repeating: 0, count: 64)
        for name in ["secret.bin", "inner/data/more.bin", "elsewhere/more.bin"] { try folder.write(zeros, name) }
        try files.createSymbolicLink(
            atPath: "\(folder.path)/inner/link.bin", withDestinationPath: "\(folder.path)/secret.bin")
        try files.createSymbolicLink(
            atPath: "\(folder.path)/inner/linked", withDestinationPath: "\(folder.path)/elsewhere")
        let model = try folder.write(ONNXBytes.model(external: [("location", location)]), "inner/model.onnx")
        let error = try #require(openingError(model))
        #expect(error.contains("model's folder"))
        #expect(error.hasPrefix(model) && error.contains("\"w\""))
    }

    @Test(arguments: [
        ([("location", "w.bin"), ("offset", "1")], "64"), ([("location", "w.bin"), ("length", "17")], "17"),
        ([("location", "w.bin"), ("offset", "-1")], "offset"), ([("location", "w.bin"), ("length", "x")], "length"),
        ([("location", "w.bin"), ("offset", "99999999999999999999")], "offset"),
        ([("location", "w.bin"), ("offset", "9223372036854775807")], "9223372036854775807"), ([], "location"),
        ([("location", "missing.bin")], "missing.bin"),
    ])
    func brokenExternalDataIsRefused(entries: [(String, String)], expected: String) throws {
        let folder = try TemporaryFolder()
        try folder.write([UInt8](repeating: 0, count: 64), "w.bin")
        let model = try folder.write(ONNXBytes.model(external: entries), "model.onnx")
        #expect(try #require(openingError(model)).contains(expected))
    }

    @Test func aLengthOfZeroIsNone() throws {
        let folder = try TemporaryFolder()
        try folder.write([UInt8](repeating: 0, count: 80), "w.bin")
        let bytes = ONNXBytes.model(external: [("location", "w.bin"), ("offset", "8"), ("length", "0")])
        let model = try ModelFiles.open(try folder.write(bytes, "model.onnx"))
        #expect(model.tensors.map(\.extent) == [Extent(file: 1, offset: 8, length: 64)])
    }

    @Test func filesOfTensorsThatAreNotListedAreCarriedAlong() throws {
        let folder = try TemporaryFolder()
        for name in ["w.bin", "odd.bin"] { try folder.write([UInt8](repeating: 0, count: 64), name) }
        func external(_ name: String, type: UInt64) -> [UInt8] {
            let location = ONNXBytes.field(13, ONNXBytes.text(1, "location") + ONNXBytes.text(2, "\(name).bin"))
            let header = ONNXBytes.number(1, 16) + ONNXBytes.number(2, type) + ONNXBytes.text(8, name)
            return ONNXBytes.field(5, header + location + ONNXBytes.number(14, 1))
        }
        let bytes = ONNXBytes.model(graph: external("odd", type: 99) + external("w", type: 1))
        let model = try ModelFiles.open(try folder.write(bytes, "model.onnx"))
        #expect(model.files.map(\.name) == ["model.onnx", "odd.bin", "w.bin"])
        #expect(model.tensors.map(\.name) == ["w"])
        #expect(model.tensors[0].extent == Extent(file: 2, offset: 0, length: 64))
    }

    @Test func linkedCachesAreFollowed() throws {
        let folder = try TemporaryFolder()
        for name in ["blobs", "snapshot"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
        }
        try folder.write([UInt8](repeating: 1, count: 64), "blobs/b")
        try folder.write(ONNXBytes.model(external: [("location", "./w.bin")]), "blobs/a")
        for (name, blob) in [("model.onnx", "a"), ("w.bin", "b")] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder.path)/snapshot/\(name)", withDestinationPath: "../blobs/\(blob)")
        }
        let model = try ModelFiles.open("\(folder.path)/snapshot/model.onnx")
        #expect(model.files.map(\.name) == ["model.onnx", "w.bin"])
        #expect(model.withBytes(of: model.tensors[0].extent) { Array($0) } == [UInt8](repeating: 1, count: 64))
    }
}
