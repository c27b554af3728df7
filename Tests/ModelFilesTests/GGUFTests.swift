import ModelFiles
import Testing

/// GGUF files: split ones, ones of other versions, and hostile headers.
struct GGUFTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Writes GGUF files by hand.
    private struct Writer {
        var version: UInt32 = 3
        var tensorCount: UInt64?
        var metadataCount: UInt64?
        var metadata: [[UInt8]] = []
        var tensors: [[UInt8]] = []
        var data = [UInt8](repeating: 1, count: 64)
        var alignment = 32

        static func string(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + text.utf8 }

        mutating func add(_ key: String, type: UInt32, _ value: [UInt8]) {
            metadata.append(Self.string(key) + littleEndian(type) + value)
        }

        mutating func add(tensor name: String, _ sizes: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) {
            tensors.append(
                Self.string(name) + littleEndian(UInt32(sizes.count)) + sizes.flatMap { littleEndian($0) }
                    + littleEndian(type) + littleEndian(offset))
        }

        var bytes: [UInt8] {
            var bytes = Array("GGUF".utf8) + littleEndian(version)
            bytes += littleEndian(tensorCount ?? UInt64(tensors.count))
            bytes += littleEndian(metadataCount ?? UInt64(metadata.count))
            bytes += metadata.flatMap { $0 } + tensors.flatMap { $0 }
            return bytes + [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment) + data
        }
    }

    private func open(_ writer: Writer) throws -> ModelFile { try ModelFiles.open(try folder.write(writer.bytes)) }

    private func error(_ writer: Writer) throws -> String? { openingError(try folder.write(writer.bytes)) }

    private func writer(_ change: (inout Writer) -> Void = { _ in }) -> Writer {
        var writer = Writer()
        writer.add(tensor: "w", [4, 4])
        change(&writer)
        return writer
    }

    @Test func theFirstSizeIsThatOfTheFastestDimension() throws {
        let model = try open(
            writer {
                $0.add(tensor: "v", [1, 2, 3], type: 1, offset: 32)
            })
        #expect(model.tensors.map(\.shape) == [[4, 4], [3, 2, 1]])
        #expect(model.tensors.map(\.dtype) == [.f32, .f16])
        #expect(model.tensors[1].extent.offset == model.tensors[0].extent.offset + 32)
    }

    @Test(arguments: [32, 64, 4096])
    func theDataBeginsAtTheAlignment(alignment: Int) throws {
        let model = try open(
            writer {
                $0.add("general.alignment", type: 4, littleEndian(UInt32(alignment)))
                $0.alignment = alignment
            })
        #expect(model.tensors[0].extent.offset % alignment == 0)
        #expect(model.withBytes(of: model.tensors[0].extent) { Array($0) } == [UInt8](repeating: 1, count: 64))
    }

    @Test func blocksHaveTheSizeOfTheirType() throws {
        let model = try open(writer { $0.add(tensor: "q", [32, 2], type: 2) })
        #expect(model.tensors[1].extent.length == 36)
        #expect(model.tensors[1].dtype.rawValue == "Q4_0")
        #expect(model.tensors[1].dtype.isBlockQuantized && !model.tensors[1].isPackable)
        #expect(!model.tensors[0].dtype.isBlockQuantized)
        #expect(try error(writer { $0.add(tensor: "q", [16, 4], type: 2) })?.contains("whole blocks of 32") == true)
    }

    @Test(arguments: ["00001", "00002", "00003"])
    func anyPartOpensTheWhole(part: String) throws {
        let model = try ModelFiles.open(Fixtures.path("split_gguf/model-\(part)-of-00003.gguf"))
        #expect(model.files.map(\.name) == (1...3).map { "model-0000\($0)-of-00003.gguf" })
        #expect(model.tensors.map(\.name) == (0..<5).map { "blk.\($0).weight" })
        #expect(model.tensors.map(\.extent.file) == [0, 0, 1, 1, 2])
    }

    @Test func theFolderOfASplitModelHoldsItOnce() throws {
        let model = try ModelFiles.open(Fixtures.path("split_gguf"))
        #expect(model.format == .directory)
        #expect(model.tensors.map(\.name) == (0..<5).map { "blk.\($0).weight" })
        #expect(model.tensors.map(\.extent.file) == [0, 0, 1, 1, 2])
    }

    @Test func aPartThatIsMissingOrRenamedIsNamed() throws {
        let first = try Fixtures.bytes("split_gguf/model-00001-of-00003.gguf")
        let path = try folder.write(first, "m-00001-of-00003.gguf")
        #expect(openingError(path)?.contains("m-00002-of-00003.gguf: cannot be read") == true)
        #expect(openingError(try folder.write(first, "m.gguf"))?.contains("NAME-00001-of-00003.gguf") == true)
        try folder.write(first, "m-00002-of-00003.gguf")
        try folder.write(first, "m-00003-of-00003.gguf")
        #expect(openingError(path)?.contains("found it in two") == true)
        try folder.write(writer().bytes, "m-00002-of-00003.gguf")
        #expect(openingError(path)?.contains("split.count") == true)
        try folder.write([1, 2, 3], "m-00002-of-00003.gguf")
        #expect(openingError(path)?.contains("a part of a GGUF model") == true)
    }

    @Test func otherVersionsAndByteOrdersAreNamed() throws {
        let error = try #require(openingError(Fixtures.path("big_endian.gguf")))
        #expect(error.contains("big-endian") && error.contains("convert"))
        #expect(try self.error(writer { $0.version = 1 })?.contains("GGUF version 1") == true)
        #expect(try self.error(writer { $0.tensors = [] })?.contains("at least one tensor") == true)
    }

    @Test(arguments: [0, 3, 33] as [UInt32])
    func alignmentsArePowersOfTwo(alignment: UInt32) throws {
        let error = try error(writer { $0.add("general.alignment", type: 4, littleEndian(alignment)) })
        #expect(error?.contains("a power of two") == true)
    }

    @Test func valuesOfEveryTypeArePassedOver() throws {
        let strings = littleEndian(UInt32(8)) + littleEndian(UInt64(2)) + Writer.string("a") + Writer.string("")
        let model = try open(
            writer {
                for (type, size) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8), (11, 8)] {
                    $0.add("k\(type)", type: UInt32(type), [UInt8](repeating: 9, count: size))
                }
                $0.add("string", type: 8, Writer.string("text"))
                $0.add("strings", type: 9, strings)
                $0.add(
                    "nested", type: 9, littleEndian(UInt32(9)) + littleEndian(UInt64(2)) + strings + strings)
                $0.add(
                    "doubles", type: 9, littleEndian(UInt32(12)) + littleEndian(UInt64(1)) + [0, 0, 0, 0, 0, 0, 0, 0])
            })
        #expect(model.tensors.map(\.name) == ["w"])
    }

    @Test func impossibleMetadataIsRefused() throws {
        func refused(_ expected: String, _ change: (inout Writer) -> Void) throws {
            #expect(try error(writer(change))?.contains(expected) == true, "\(expected)")
        }
        try refused("metadata within") { $0.metadataCount = 1 << 62 }
        try refused("a size below 2^63") { $0.metadataCount = .max }
        try refused("tensors within") { $0.tensorCount = 1 << 40 }
        try refused("a value type") { $0.add("k", type: 13, []) }
        try refused("twice") {
            $0.metadata =
                [Writer.string("k") + littleEndian(UInt32(7)) + [1]] + [
                    Writer.string("k") + littleEndian(UInt32(7)) + [1]
                ]
        }
        try refused("bytes at offset") { $0.add("k", type: 8, littleEndian(UInt64(1 << 40))) }
        try refused("bytes at offset") {
            $0.add("k", type: 9, littleEndian(UInt32(12)) + littleEndian(UInt64(1 << 61)))
        }
        try refused("an array within") { $0.add("k", type: 9, littleEndian(UInt32(8)) + littleEndian(UInt64(1 << 40))) }
        let nested = (0..<100_000).flatMap { _ in littleEndian(UInt32(9)) + littleEndian(UInt64(1)) }
        try refused("nested arrays") { $0.add("k", type: 9, nested) }
        try refused("uint32") { $0.add("general.alignment", type: 10, littleEndian(UInt64(32))) }
    }

    @Test func impossibleTensorsAreRefused() throws {
        func refused(_ expected: String, _ sizes: [UInt64], type: UInt32 = 0, offset: UInt64 = 0, name: String = "x")
            throws
        {
            let error = try error(writer { $0.add(tensor: name, sizes, type: type, offset: offset) })
            #expect(error?.contains(expected) == true, "\(sizes): \(error ?? "")")
        }
        try refused("at most 4 dimensions", [1, 1, 1, 1, 1])
        try refused("a known type", [4], type: 4)
        try refused("a known type", [4], type: 999)
        try refused("aligned to 32", [4], offset: 8)
        try refused("68 bytes", [17])
        try refused("of data", [4], offset: 64)
        try refused("of data", [4], offset: 1 << 62)
        try refused("rows of whole blocks", [1 << 31, 1 << 31, 1 << 31])
        try refused("a size below 2^63", [.max])
        try refused("twice", [4], name: "w")
    }
}
