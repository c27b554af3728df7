import ModelFiles
import Testing

/// The ZIP records around a checkpoint.
struct ZipTests {
    private static let data = [UInt8](repeating: 3, count: 16)

    private static let pickle: [UInt8] = {
        var writer = PickleWriter()
        writer.tensor(shape: [4], strides: [1])
        return writer.bytes + Array(".".utf8)
    }()

    private func zip(_ storage: ZipWriter.Entry) -> ZipWriter {
        var zip = ZipWriter()
        zip.add("m/data.pkl", Self.pickle)
        zip.add(storage, Self.data)
        return zip
    }

    private func error(_ bytes: [UInt8]) throws -> String {
        let folder = try TemporaryFolder()
        return try #require(openingError(try folder.write(bytes)))
    }

    @Test(
        arguments: [
            .init(name: "m/data/0"), .init(name: "m/data/0", hasDescriptor: true),
            .init(name: "m/data/0", isZip64: true),
            .init(name: "m/data/0", hasDescriptor: true, hasDescriptorSignature: false, isZip64: true),
        ] as [ZipWriter.Entry])
    func everyWayToStoreAnEntryIsRead(entry: ZipWriter.Entry) throws {
        for (zip64, comment) in [(false, ""), (true, ""), (false, "PK\u{5}\u{6} a comment")] {
            let folder = try TemporaryFolder()
            let bytes = zip(entry).finished(zip64: zip64, comment: comment)
            let model = try ModelFiles.open(try folder.write(bytes))
            #expect(model.withBytes(of: model.tensors[0].extent) { Array($0) } == Self.data)
            #expect(model.checksums.count == 1)
            for field in model.checksums[0].fields {
                #expect(Array(bytes[field..<(field + 4)]) == littleEndian(crc32(Self.data)))
            }
            #expect(model.checksums[0].fields.count == 2)
        }
    }

    @Test(
        arguments: [
            (.init(name: "m/data/0", method: 9), "compression method 9"),
            (.init(name: "m/data/0", method: 8), "compressed by deflate"),
            (.init(name: "m/data/0", flags: 1), "encryption"),
            (.init(name: "m/data/0", localName: "m/data/1"), "the same name"),
            (.init(name: "m/data/0", localCRC: 1), "CRC-32"),
            (.init(name: "m/data/0", header: 0), "the same name"),
            (.init(name: "m/data/0", header: 1), "a local header"),
            (.init(name: "m/data/0", header: 1 << 30), "bytes at offset"), (.init(name: "m/data.pkl"), "two"),
            (.init(name: "m/data/0", isZip64: true, header: .max), "bytes at offset"),
        ] as [(ZipWriter.Entry, String)])
    func damagedEntriesAreRefused(entry: ZipWriter.Entry, expected: String) throws {
        let error = try error(zip(entry).finished())
        #expect(error.contains("ZIP entry \"\(entry.name)\""))
        #expect(error.contains(expected))
    }

    @Test func overlappingEntriesAreRefused() throws {
        // The inner entry lies, header and all, in the data of the outer one.
        var inner = ZipWriter()
        inner.add("m/data/0", Self.data)
        var outer = ZipWriter()
        outer.add("m/data.pkl", Self.pickle)
        let place = outer.bytes.count + 30 + "outer".utf8.count
        outer.add("outer", inner.bytes)
        outer.add(.init(name: "m/data/0", header: place), Self.data)
        #expect(try error(outer.finished()).contains("an overlap"))
    }

    @Test func aSplitArchiveIsRefused() throws {
        #expect(try error(zip(.init(name: "m/data/0")).finished(disk: 3)).contains("split"))
    }

    @Test(arguments: [
        (["manifest.json"], ".wcz"), (["a.txt", "b.npz"], "PyTorch"), (["readme.txt"], "ZIP archive"),
        (["m/archive_format", "m/models/model.json"], ".pt2"),
    ])
    func otherArchivesAreNamed(entries: [String], expected: String) throws {
        var zip = ZipWriter()
        for entry in entries { zip.add(entry, Self.data) }
        #expect(try error(zip.finished()).contains(expected))
    }

    @Test func bigEndianCheckpointsAreRefused() throws {
        var zip = zip(.init(name: "m/data/0"))
        zip.add("m/byteorder", Array("big".utf8))
        #expect(try error(zip.finished()).contains("\"big\""))
    }
}
