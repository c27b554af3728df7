import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// Checksums that a model's file keeps over its tensors, also such as were never right.
struct ChecksumTests {
    private static let files = ["zip_module.pt", "torchscript.pt", "arrays.npz"] + (hasHDF5 ? ["keras3.keras"] : [])

    /// A model whose first checksum is none of the bytes it is over.
    private func forged(_ file: String) throws -> (bytes: [UInt8], fields: [Int]) {
        var bytes = try fileBytes(modelFixture(file))
        let checksum = try #require(try ModelFiles.open(modelFixture(file)).checksums.first)
        for field in checksum.fields { bytes.replaceSubrange(field..<field + 4, with: [1, 2, 3, 4]) }
        return (bytes, checksum.fields)
    }

    @Test(arguments: files)
    func withoutLossTheyComeBackWhateverTheyAre(file: String) async throws {
        let folder = try TemporaryFolder()
        let bytes = try forged(file).bytes
        try await pack(try folder.write(bytes, "model"), to: folder["m.wcz"]) {
            $0.quantizer = .exact
            $0.include = [""]
        }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == bytes)
    }

    @Test(arguments: files)
    func onlyThoseThatWereRightAreRenewed(file: String) async throws {
        let folder = try TemporaryFolder()
        let (bytes, fields) = try forged(file)
        try await pack(try folder.write(bytes, "model"), to: folder["m.wcz"]) { $0.include = [""] }
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let restored = try fileBytes(folder["restored"])
        #expect(restored != bytes)
        for checksum in try ModelFiles.open(folder["restored"]).checksums {
            let crc = littleEndian(crc32(restored[checksum.covered.range]))
            for field in checksum.fields {
                #expect(Array(restored[field..<field + 4]) == (fields.contains(field) ? [1, 2, 3, 4] : crc))
            }
        }
    }
}
