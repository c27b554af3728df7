import Foundation
import TestSupport
import Testing

@testable import ModelFiles

/// NumPy's arrays and archives, the compressed ones in their plain form.
struct NumPyTests {
    @Test(arguments: [
        ("arrays.npz", false), ("arrays_compressed.npz", true), ("mixed_descriptors.npz", true),
        ("compressed_otherwise.npz", true),
    ])
    func compressedArchivesAreOpenedInAPlainForm(file: String, isCompressed: Bool) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        #expect(model.format == .npz)
        #expect(model.files[0].originalSize == (try Fixtures.bytes(file)).count)
        #expect((model.files[0].recoding != nil) == isCompressed)
        #expect((model.files[0].file.size == model.files[0].originalSize) == !isCompressed)
    }

    @Test(arguments: ["arrays.npz", "arrays_compressed.npz"])
    func whatIsNoNumberIsNotedAndLeft(file: String) throws {
        let notes = try ModelFiles.open(Fixtures.path(file)).notes
        for (name, type) in [
            ("big", ">f4"), ("text", "<U3"), ("objects", "|O"), ("structured", "structured"), ("dates", "<M8[D]"),
        ] {
            #expect(notes.contains { $0.contains("\"\(name)\"") && $0.contains(type) }, "\(name)")
        }
        #expect(notes.count == 5)
    }

    /// Python's zipfile uses the same libraries and levels, so that even its bytes come back.
    @Test(arguments: ["arrays_compressed.npz", "mixed_descriptors.npz", "compressed_otherwise.npz"])
    func thePlainFormIsAStoredZipThatIsCompressedToTheOriginal(file: String) throws {
        let source = try ModelFiles.open(Fixtures.path(file)).files[0]
        let plain = source.file.withBytes(0..<source.file.size) { Array($0) }
        let directory = try plain.withUnsafeBytes {
            try ZipDirectory($0, path: "plain").storedEntries($0, path: "plain")
        }
        for entry in directory {
            let crc = littleEndian(crc32(plain[entry.extent.range]))
            for field in entry.crcFields { #expect(Array(plain[field..<(field + 4)]) == crc, "\(entry.name)") }
        }
        let folder = try TemporaryFolder()
        let recoding = try #require(source.recoding)
        #expect(try restored(recoding, source.file, in: folder) == Fixtures.bytes(file))
    }

    @Test func aRecodingThatDoesNotFitThePlainFormIsRefused() throws {
        let source = try ModelFiles.open(Fixtures.path("arrays_compressed.npz")).files[0]
        let folder = try TemporaryFolder()
        for recoding in [
            Recoding.deflate(entries: [99], level: 6), .deflate(entries: [-1], level: 6),
            .deflate(entries: [0, 0], level: 6), .deflate(entries: [0], level: 10),
            .deflate(entries: [0], level: -1), .deflate(entries: [0], level: 6, methods: []),
            .deflate(entries: [0], level: 6, methods: [0]), .deflate(entries: [0], level: 6, methods: [8, 8]),
        ] {
            #expect(throws: ModelFileError.self) { _ = try restored(recoding, source.file, in: folder) }
        }
        // Entries that are compressed already.
        let compressed = try MappedFile(Fixtures.path("arrays_compressed.npz"))
        #expect(throws: ModelFileError.self) {
            _ = try restored(.deflate(entries: [0], level: 6), compressed, in: folder)
        }
    }

    @Test func aBombIsRefusedBeforeItIsUnpacked() throws {
        var bytes = try Fixtures.bytes("arrays_compressed.npz")
        let directory = try bytes.withUnsafeBytes { try ZipDirectory($0, path: "") }
        let field = directory.entries[0].crcField + 8
        bytes.replaceSubrange(field..<(field + 4), with: littleEndian(UInt32(3_000_000_000)))
        let folder = try TemporaryFolder()
        let error = try #require(openingError(try folder.write(bytes)))
        #expect(error.contains("layer1/kernel.npy") && error.contains("3000000000") && error.contains("1032"))
    }

    /// Such methods make a byte of millions: what counts is what the entry says, and what the disk has.
    @Test(arguments: [(0, "bzip2.npy"), (1, "lzma.npy")])
    func anEntryOfAnotherMethodGivesNoMoreThanItSays(index: Int, name: String) throws {
        let good = try Fixtures.bytes("compressed_otherwise.npz")
        let entry = try good.withUnsafeBytes { try ZipDirectory($0, path: "") }.entries[index]
        let folder = try TemporaryFolder()
        for size in [entry.size - 1, entry.size + 1, 0] {
            var bytes = good
            let field = entry.crcField + 8
            bytes.replaceSubrange(field..<(field + 4), with: littleEndian(UInt32(size)))
            let error = try #require(openingError(try folder.write(bytes)))
            #expect(error.contains(name) && error.contains("\(size) bytes"), "\(error)")
        }
    }

    @Test(arguments: [
        ("arrays_compressed.npz", 0, "layer1/kernel.npy"), ("compressed_otherwise.npz", 0, "bzip2.npy"),
        ("compressed_otherwise.npz", 1, "lzma.npy"),
    ])
    func aChangedByteOfCompressedContentIsAnError(file: String, index: Int, name: String) throws {
        let good = try Fixtures.bytes(file)
        let entry = try good.withUnsafeBytes { try ZipDirectory($0, path: "") }.entries[index]
        let folder = try TemporaryFolder()
        for offset in [entry.header + 80, entry.crcField] {
            var bytes = good
            bytes[offset] ^= 1
            let error = try #require(openingError(try folder.write(bytes)))
            #expect(error.contains(name), "\(error)")
        }
    }

    @Test(arguments: [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", nil),
        ("{\"shape\": [2, 2], 'fortran_order': True, 'descr': \"<f4\"}", nil),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4L,)}", nil),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (5,)}", "16"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "bytes"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': 4}", "shape"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (4,)}", "fortran_order"),
        ("{'descr': '<f4', 'fortran_order': False}", "shape"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", "descr"),
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (4,)}", ">f4"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}", "structured"),
        ("__import__('os').system('true')", "dictionary"), (String(repeating: "(", count: 5000), "dictionary"),
        ("", "dictionary"), ("{'descr': '<f4', 'fortran_order': False, 'shape': (4,)} + {}", "dictionary"),
    ])
    func headersAreReadAsTheLiteralsTheyAre(header: String, problem: String?) throws {
        let folder = try TemporaryFolder()
        let length = littleEndian(UInt32(header.utf8.count))
        let bytes = NumPyHeader.magic + [2, 0] + length + Array(header.utf8) + [UInt8](repeating: 63, count: 16)
        let path = try folder.write(bytes)
        guard let problem else {
            let tensor = try #require(try ModelFiles.open(path).tensors.first)
            #expect(tensor.count == 4 && tensor.extent.range == bytes.count - 16..<bytes.count)
            return
        }
        let error = try #require(openingError(path))
        #expect(error.contains(problem), "\(error)")
        #expect(!error.contains("\n"))
    }

    @Test func aCheckpointOfPyTorchThatWasZippedAgainIsOpened() throws {
        let folder = try TemporaryFolder()
        let model = try ModelFiles.open(Fixtures.path("zip_checkpoint.pt"))
        let directory = try model.files[0].file.withAllBytes { try ZipDirectory($0, path: "") }
        // The recoding of every entry of a stored ZIP is the ZIP with every entry compressed.
        let bytes = try restored(
            .deflate(entries: Array(directory.entries.indices), level: 9), model.files[0].file, in: folder)
        let path = try folder.write(bytes, "again.pt")
        let again = try ModelFiles.open(path)
        #expect(again.format == .pytorch && again.tensors == model.tensors && again.checksums == model.checksums)
        #expect(again.files[0].originalSize == bytes.count && again.files[0].file.size == model.files[0].file.size)
        for tensor in model.tensors { #expect(again.values(of: tensor) == model.values(of: tensor)) }
    }
}

/// What a recoding makes of a plain form.
func restored(_ recoding: Recoding, _ plain: MappedFile, in folder: borrowing TemporaryFolder) throws -> [UInt8] {
    let path = try folder.write([], "restored")
    let descriptor = open(path, O_RDWR)
    defer { close(descriptor) }
    try recoding.restore(plain, to: descriptor, path: path)
    let file = try MappedFile(path)
    return file.withBytes(0..<file.size) { Array($0) }
}
