import Foundation
import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// Models written in another format than their own.
struct ConversionTests {
    private struct Expected: Decodable {
        let name: String
        let dtype: String
        let shape: [Int]
        let values: String?
    }

    /// Tensors of the fixtures as their own frameworks see them.
    private static func expected(_ fixture: String) throws -> [Expected] {
        for family in ["", "_torch", "_gguf", "_tflite", "_numpy", "_hdf5"] {
            let all = try JSONDecoder().decode(
                [String: [Expected]].self, from: Data(try fileBytes(modelFixture("expected\(family).json"))))
            if let expected = all[fixture] { return expected }
        }
        return try #require(nil, "\(fixture)")
    }

    private func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Packs a model without changing it, and converts it.
    private func convert(
        _ model: String, to format: ExportFormat, in folder: TemporaryFolder, exact: Bool = true, skips: Bool = true
    ) async throws -> (path: String, result: ExportResult) {
        try await pack(model, to: folder["m.wcz"]) { if exact { $0.exclude = [""] } }
        let path = folder["out.\(format.rawValue)"]
        let unpacker = Unpacker(try PackedModel(folder["m.wcz"]))
        return (
            path, try await unpacker.unpack(to: path, as: format, threads: 2, force: false, skipsUnconvertible: skips)
        )
    }

    /// The arrays of a NumPy archive, read by hand.
    private func arrays(_ path: String) throws -> [String: (header: String, bytes: [UInt8])] {
        let archive = try #require(StoredZip(try fileBytes(path)))
        var arrays: [String: (String, [UInt8])] = [:]
        for (name, bytes) in archive.entries {
            #expect(bytes.starts(with: [0x93] + Array("NUMPY".utf8) + [1, 0]))
            let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
            #expect(start % 64 == 0 && bytes[start - 1] == UInt8(ascii: "\n") && name.hasSuffix(".npy"))
            arrays[String(name.dropLast(4))] = (
                String(decoding: bytes[10..<start], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines),
                Array(bytes[start...])
            )
        }
        return arrays
    }

    @Test(arguments: modelFixtures)
    func tensorsKeepTheirValuesInSafetensors(fixture: String) async throws {
        let folder = try TemporaryFolder()
        let (path, result) = try await convert(modelFixture(fixture), to: .safetensors, in: folder)
        let model = try ModelFiles.open(path)
        #expect(model.format == .safetensors && model.tensors.count == result.tensorCount)
        var left = model.tensors.count
        for expected in try Self.expected(fixture) {
            guard let tensor = model.tensors.first(where: { $0.name == expected.name }) else {
                // Left out is only what is said to be.
                #expect(!result.notes.isEmpty, "\(expected.name)")
                continue
            }
            left -= 1
            #expect(tensor.dtype.rawValue == expected.dtype && tensor.shape == expected.shape)
            #expect(tensor.extent.offset % max((tensor.dtype.bitWidth ?? 8) / 8, 1) == 0)
            if let values = expected.values { #expect(hex(model.withBytes(of: tensor.extent) { Array($0) }) == values) }
        }
        #expect(left == 0)
        #expect(folder.contents == ["m.wcz", "out.safetensors"])
    }

    @Test(arguments: modelFixtures)
    func tensorsKeepTheirValuesInNumPyArchives(fixture: String) async throws {
        let folder = try TemporaryFolder()
        let (path, result) = try await convert(modelFixture(fixture), to: .npz, in: folder)
        let arrays = try arrays(path)
        #expect(arrays.count == result.tensorCount)
        let types = [
            "F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1",
            "BOOL": "|b1", "C64": "<c8",
        ]
        for expected in try Self.expected(fixture) {
            guard let array = arrays[expected.name] else {
                #expect(!result.notes.isEmpty, "\(expected.name)")
                continue
            }
            let shape = expected.shape.map(String.init).joined(separator: ", ") + (expected.shape.count == 1 ? "," : "")
            if let type = types[expected.dtype] {
                #expect(array.header == "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(shape)), }")
            }
            guard let values = expected.values else { continue }
            if expected.dtype == "BF16" {
                #expect(hex(array.bytes.indices.filter { $0 % 4 > 1 }.map { array.bytes[$0] }) == values)
                #expect(array.bytes.indices.allSatisfy { $0 % 4 > 1 || array.bytes[$0] == 0 })
            } else {
                #expect(hex(array.bytes) == values)
            }
        }
    }

    @Test func restoredWeightsAreThoseOfTheRestoredModel() async throws {
        let folder = try TemporaryFolder()
        let source = try folder.write(everyKind.bytes, "m.safetensors")
        let (path, result) = try await convert(source, to: .safetensors, in: folder, exact: false)
        try await unpack(folder["m.wcz"], to: folder["own.safetensors"])
        let (own, converted) = (try ModelFiles.open(folder["own.safetensors"]), try ModelFiles.open(path))
        #expect(result.tensorCount == own.tensors.count && result.notes.isEmpty)
        for tensor in own.tensors {
            let other = try #require(converted.tensors.first { $0.name == tensor.name })
            #expect(
                own.withBytes(of: tensor.extent) { Array($0) } == converted.withBytes(of: other.extent) { Array($0) })
        }
        // The original's own metadata stays.
        #expect(converted.safetensorsMetadata == ["format": "pt", "note": "kept as it is"])
    }

    @Test func tensorsOfPyTorchAreMarkedAsSuch() async throws {
        let folder = try TemporaryFolder()
        let (path, _) = try await convert(modelFixture("zip_module.pt"), to: .safetensors, in: folder)
        #expect(try ModelFiles.open(path).safetensorsMetadata == ["format": "pt"])
    }

    @Test func rawWeightsKeepTheLayoutTheyWerePackedWith() async throws {
        let folder = try TemporaryFolder()
        let weights = Safetensors.Tensor.weights("w", [3000], seed: 4).bytes
        // A name that the work on it could trip over.
        let raw = try folder.write(weights, "layers.json")
        let layout = """
            [{"name": "a", "shape": [40, 50]}, {"name": "b", "shape": [1000], "offset": 8000},
             {"name": "c", "shape": [40, 50], "offset": 0}]
            """
        try folder.write(Array(layout.utf8), "layout")
        let packer = try Packer(try ModelFiles.open(raw, layout: folder["layout"]), PackOptions())
        _ = try await packer.pack(to: folder["m.wcz"])
        let packed = try PackedModel(folder["m.wcz"])
        _ = try await Unpacker(packed).unpack(to: folder["o"], as: .safetensors, threads: 1, force: false)
        let model = try ModelFiles.open(folder["o"])
        #expect(Set(model.tensors.map(\.name)) == ["a", "b", "c"])
        #expect(model.tensors.first { $0.name == "a" }?.shape == [40, 50])
        #expect(model.tensors.first { $0.name == "c" }?.extent.length == 8000)
    }

    @Test func aDirectoryBecomesOneFile() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.makeFolder("model")
        try folder.write(smallModel.bytes, "model/m.safetensors")
        try folder.write([1], "model/other")
        let (one, _) = try await convert(path, to: .safetensors, in: folder)
        #expect(Set(try ModelFiles.open(one).tensors.map(\.name)) == Set(smallModel.tensors.map(\.name)))
        _ = try folder.makeFolder("model/sub")
        try folder.write(smallModel.bytes, "model/sub/m.safetensors")
        try await pack(path, to: folder["two.wcz"])
        let unpacker = Unpacker(try PackedModel(folder["two.wcz"]))
        _ = try await unpacker.unpack(to: folder["two"], as: .npz, threads: 1, force: false)
        #expect(
            Set(try arrays(folder["two"]).keys)
                == Set(smallModel.tensors.flatMap { ["m.safetensors:\($0.name)", "sub/m.safetensors:\($0.name)"] }))
    }

    @Test(arguments: ExportFormat.allCases)
    func theSameModelGivesTheSameBytes(format: ExportFormat) async throws {
        let folder = try TemporaryFolder()
        let source = try folder.write(everyKind.bytes, "m.safetensors")
        let (path, _) = try await convert(source, to: format, in: folder, exact: false)
        let unpacker = Unpacker(try PackedModel(folder["m.wcz"]))
        let again = try await unpacker.unpack(to: folder["again"], as: format, threads: 1, force: false)
        #expect(try fileBytes(path) == fileBytes(folder["again"]))
        #expect(try fileBytes(path).count == again.bytes)
    }

    @Test func typesThatTheFormatDoesNotHaveAreAnErrorUnlessTheyMayBeLeftOut() async throws {
        let folder = try TemporaryFolder()
        let model = Safetensors([
            .init("known", "I32", [2], [UInt8](repeating: 1, count: 8)),
            .init("eighth.a", "F8_E4M3", [4], [1, 2, 3, 4]), .init("eighth.b", "F8_E4M3", [4], [1, 2, 3, 4]),
            .init("strange", "X7", [4], [1, 2, 3, 4]),
        ])
        let source = try folder.write(model.bytes, "m.safetensors")
        let refused = await expectedError {
            _ = try await convert(source, to: .npz, in: folder, exact: false, skips: false)
        }
        #expect(
            refused == "\(folder["m.wcz"]): expected tensors that npz can hold, found 3 of 4 that it cannot "
                + "(2 of type F8_E4M3, 1 of type X7): eighth.a, eighth.b, strange; --skip-unconvertible leaves them out"
        )
        #expect(folder.contents == ["m.safetensors", "m.wcz"])
        try FileManager.default.removeItem(atPath: folder["m.wcz"])
        let (path, result) = try await convert(source, to: .npz, in: folder, exact: false)
        #expect(try arrays(path).keys.sorted() == ["known"])
        #expect(result.notes == ["tensors left out: 2 of type F8_E4M3, 1 of type X7"])
        let only = try folder.write(Safetensors([.init("strange", "X7", [4], [1, 2, 3, 4])]).bytes, "x.safetensors")
        try await pack(only, to: folder["x.wcz"])
        for format in ExportFormat.allCases {
            let error = await expectedError {
                let unpacker = Unpacker(try PackedModel(folder["x.wcz"]))
                _ = try await unpacker.unpack(to: folder["x"], as: format, threads: 1, force: false)
            }
            #expect(error?.contains("1 of type X7") == true && error?.contains(format.rawValue) == true)
        }
        #expect(!folder.contents.contains("x"))
    }

    @Test(arguments: ExportFormat.allCases)
    func outputsAppearWholeOrNotAtAll(format: ExportFormat) async throws {
        let folder = try TemporaryFolder()
        let source = try folder.write(everyKind.bytes, "m.safetensors")
        try await pack(source, to: folder["m.wcz"])
        try folder.write([1], "taken")
        let unpacker = Unpacker(try PackedModel(folder["m.wcz"]))
        for path in [folder["taken"], folder["nofolder/x"], folder["m.wcz"]] {
            let error = await expectedError {
                _ = try await unpacker.unpack(to: path, as: format, threads: 1, force: false)
            }
            #expect(error?.contains(folder.path) == true)
        }
        let path = folder["cancelled"]
        let task = Task {
            try await unpacker.unpack(to: path, as: format, threads: 1, force: false) { progress in
                // At the end of restoring, before the first tensor is written.
                if progress.done == progress.total { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        await #expect(throws: ArchiveError.cancelled) { _ = try await task.value }
        #expect(folder.contents == ["m.safetensors", "m.wcz", "taken"])
        _ = try await unpacker.unpack(to: folder["taken"], as: format, threads: 1, force: true)
        #expect(try fileBytes(folder["taken"]).count > 1)
    }

    /// Orders, gaps and sizes that no fixture has, against a plain computation.
    @Test(arguments: [1, 2, 4, 8, 16])
    func anyOrderOfMemoryIsReadRowMajor(size: Int) throws {
        let types = [1: "U8", 2: "I16", 4: "F32", 8: "I64", 16: "C128"]
        let folder = try TemporaryFolder()
        // 70 KiB and more: several pieces that end inside of rows.
        let shape = [7, 3, 113, 31]
        let count = shape.reduce(1, *)
        let bytes = (0..<count * size * 2).map { UInt8(truncatingIfNeeded: $0 / size * 31 + $0 % size * 7 + $0 / 256) }
        let path = try folder.write(Safetensors([.init("x", "U8", [bytes.count], bytes)]).bytes, "m")
        let model = try ModelFiles.open(path)
        let base = model.tensors[0].extent
        for (order, strides) in [([3, 1, 0, 2], nil), ([0, 1, 3, 2], nil), (nil, [1, 0, 14, 14 * 113])]
            as [([Int]?, [Int]?)]
        {
            var tensor = TensorRecord(
                name: "x", dtype: DType(rawValue: types[size] ?? ""), shape: shape,
                extent: Extent(file: 0, offset: base.offset, length: order == nil ? base.length : count * size),
                memoryOrder: order)
            tensor.strides = strides
            var steps = [Int](repeating: 1, count: 4)
            var step = 1
            for dimension in (order ?? []).reversed() {
                steps[dimension] = step
                step *= shape[dimension]
            }
            if let strides { steps = strides }
            var expected: [UInt8] = []
            for i in 0..<shape[0] {
                for j in 0..<shape[1] {
                    for k in 0..<shape[2] {
                        for l in 0..<shape[3] {
                            let place = (i * steps[0] + j * steps[1] + k * steps[2] + l * steps[3]) * size
                            expected += bytes[place..<place + size]
                        }
                    }
                }
            }
            let reader = try #require(RowMajorBytes(model, tensor))
            var found: [UInt8] = []
            while found.count < reader.count { found += reader.piece(at: found.count) }
            #expect(found == expected)
        }
        // Strides that lead out of the extent.
        for strides in [[1, 1, 1, 1 << 40], [-1, 1, 1, 1], [Int.max, 1, 1, 1], [1, 1]] {
            var tensor = TensorRecord(
                name: "x", dtype: DType(rawValue: types[size] ?? ""), shape: shape, extent: base, memoryOrder: nil)
            tensor.strides = strides
            #expect(RowMajorBytes(model, tensor) == nil)
        }
    }
}
