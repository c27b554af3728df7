import ModelFiles
import TestSupport
import Testing
import WeightArchive

@testable import Evaluation

/// What `verify` says about a restored model.
struct ModelComparisonTests {
    private static let model = Safetensors([
        .weights("a", [40, 30], seed: 1), .weights("double", [20, 20], dtype: "F64", seed: 2),
        .init("ids", "I32", [4], [UInt8](repeating: 9, count: 16)), .init("empty", "F32", [0], []),
    ])

    private func compare(_ a: [UInt8], _ b: [UInt8]) throws -> ModelComparison {
        let folder = try TemporaryFolder()
        return try ModelComparison(
            ModelFiles.open(try folder.write(a, "a.safetensors")), ModelFiles.open(try folder.write(b, "b.safetensors"))
        )
    }

    @Test func aModelIsIdenticalToItself() throws {
        let result = try compare(Self.model.bytes, Self.model.bytes)
        #expect(result.tensors.map(\.name) == ["a", "double", "ids", "empty"])
        #expect(result.tensors.allSatisfy { $0.isIdentical && $0.error == nil })
        #expect(result.foreignDifferences == 0)
    }

    @Test func errorsAreMeasuredTensorByTensor() throws {
        var changed = Self.model
        // 0.5 more in the first weight of "a", whose bytes are little-endian float32.
        let first = (0..<4).reduce(UInt32(0)) { $0 | UInt32(changed.tensors[0].bytes[$1]) << UInt32(8 * $1) }
        changed.tensors[0].bytes.replaceSubrange(0..<4, with: littleEndian((Float(bitPattern: first) + 0.5).bitPattern))
        changed.tensors[2].bytes[5] = 0
        let result = try compare(Self.model.bytes, changed.bytes)
        #expect(result.tensors.map(\.isIdentical) == [false, true, false, true])
        let error = try #require(result.tensors[0].error)
        #expect((error.maximumError - 0.5).magnitude < 1e-6)
        #expect((error.meanSquaredError - 0.25 / 1200).magnitude < 1e-9)
        // No error can be taken of integers.
        #expect(result.tensors[2].error == nil)
        #expect(result.foreignDifferences == 0)
    }

    @Test func bytesOutsideTheTensorsAreCounted() throws {
        let bytes = Self.model.bytes
        let text = Array("kept as it is".utf8)
        var changed = bytes
        let place = try #require((0..<200).first { Array(bytes[$0..<$0 + text.count]) == text })
        changed[place] = UInt8(ascii: "K")
        changed[place + 2] = UInt8(ascii: "P")
        #expect(try compare(bytes, changed).foreignDifferences == 2)
    }

    @Test func checksumsOfTheFormatAreNoForeignBytes() throws {
        let path = modelFixture("zip_module.pt")
        let folder = try TemporaryFolder()
        let model = try ModelFiles.open(path)
        var bytes = try fileBytes(path)
        let checksum = try #require(model.checksums.first)
        bytes[checksum.covered.offset] ^= 1
        for field in checksum.fields {
            bytes.replaceSubrange(field..<field + 4, with: littleEndian(crc32(bytes[checksum.covered.range])))
        }
        let result = try ModelComparison(model, ModelFiles.open(try folder.write(bytes, "b.pt")))
        #expect(result.foreignDifferences == 0)
        #expect(result.tensors.contains { !$0.isIdentical })
    }

    @Test func otherModelsAreToldApart() throws {
        var renamed = Self.model
        renamed.tensors[0].name = "b"
        var reshaped = Self.model
        reshaped.tensors[0].shape = [30, 40]
        var retyped = Self.model
        retyped.tensors[2].dtype = "U32"
        let fewer = Safetensors(Array(Self.model.tensors.prefix(2)))
        for (other, text) in [(renamed, "tensor a"), (reshaped, "[40, 30]"), (retyped, "I32"), (fewer, "bytes")] {
            #expect {
                _ = try compare(Self.model.bytes, other.bytes)
            } throws: { error in
                "\(error)".contains(text) && !"\(error)".contains("\n")
            }
        }
    }
}
