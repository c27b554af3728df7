import ModelFiles
import TestSupport
import Testing

/// What is read out of files that PyTorch and safetensors wrote, and how they are written back.
struct FixtureTests {
    // The tests below would pass over an empty list.
    @Test func theFixturesArePresent() {
        #expect(Fixtures.all.count == 49)
        #expect(Fixtures.all.values.allSatisfy { !$0.isEmpty })
    }

    @Test(arguments: Fixtures.names)
    func tensorsAreThoseOfTheFramework(file: String) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        let expected = try #require(Fixtures.all[file])
        if file.hasSuffix(".pt") {
            #expect(model.tensors.map(\.name) == expected.map(\.name))
        } else {
            #expect(Set(model.tensors.map(\.name)) == Set(expected.map(\.name)))
        }
        for want in expected {
            let tensor = try #require(model.tensors.first { $0.name == want.name })
            #expect(tensor.dtype.rawValue == want.dtype, "\(want.name)")
            #expect(tensor.shape == want.shape, "\(want.name)")
            #expect(tensor.isPackable == want.packable, "\(want.name)")
            #expect(tensor.kindHint == want.kind, "\(want.name)")
            if let values = want.values {
                #expect(hex(model.values(of: tensor)) == values, "\(want.name)")
            } else {
                #expect(tensor.memoryOrder == nil, "\(want.name)")
            }
        }
    }

    @Test(arguments: ["zip", "legacy"])
    func sharedTensorsShareTheirExtent(prefix: String) throws {
        let model = try ModelFiles.open(Fixtures.path("\(prefix)_views.pt"))
        func tensor(_ name: String) throws -> TensorRecord { try #require(model.tensors.first { $0.name == name }) }
        #expect(try tensor("encoder").extent == tensor("decoder").extent)
        #expect(try tensor("base").extent == tensor("transposed").extent)
        #expect(try tensor("transposed").memoryOrder == [1, 0])
        #expect(try tensor("rows").extent.offset == tensor("base").extent.offset + 24)
        #expect(try tensor("channels_last").memoryOrder == [0, 2, 3, 1])
        #expect(try tensor("pointwise").memoryOrder == [0, 1, 2, 3])
        // Views that no order describes have strides; a pending negation makes their values others.
        #expect(try tensor("kept.columns").strides == [6, 2])
        #expect(try tensor("kept.expanded").strides == [1, 0])
        #expect(try tensor("kept.window").strides == [6, 1])
        #expect(try tensor("kept.negated").strides == nil)
        #expect(try tensor("transposed").strides == nil)
    }

    @Test(arguments: Fixtures.names.filter { $0.hasPrefix("zip") || $0.hasPrefix("torchscript") })
    func checksumFieldsHoldTheCRCOfWhatTheyCover(file: String) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        let bytes = try Fixtures.bytes(file)
        for checksum in model.checksums {
            let crc = littleEndian(crc32(bytes[checksum.covered.range]))
            #expect(checksum.fields.count == 2)
            for field in checksum.fields { #expect(Array(bytes[field..<(field + 4)]) == crc) }
        }
        for tensor in model.tensors where tensor.extent.length > 0 {
            #expect(model.checksums.contains { $0.covered.range.contains(tensor.extent.offset) }, "\(tensor.name)")
        }
    }

    @Test(arguments: Fixtures.uncompressed.filter { !$0.contains("/") })
    func replacedExtentsAreReadBackAndNothingElseChanges(file: String) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        let original = try Fixtures.bytes(file)
        var restored = original
        var generator = SeededGenerator(7)
        var changed: Set<Int> = []
        for tensor in model.tensors where tensor.isPackable {
            for offset in tensor.extent.range { restored[offset] = generator.next() }
            changed.formUnion(tensor.extent.range)
        }
        for checksum in model.checksums {
            for field in checksum.fields {
                restored.replaceSubrange(
                    field..<(field + 4), with: littleEndian(crc32(restored[checksum.covered.range])))
                changed.formUnion(field..<(field + 4))
            }
        }
        let folder = try TemporaryFolder()
        let again = try ModelFiles.open(try folder.write(restored))
        #expect(again.tensors == model.tensors)
        #expect(again.checksums == model.checksums)
        for tensor in again.tensors {
            #expect(again.withBytes(of: tensor.extent) { Array($0) } == Array(restored[tensor.extent.range]))
        }
        #expect(zip(original, restored).enumerated().allSatisfy { $1.0 == $1.1 || changed.contains($0) })
    }

    @Test func aShardedModelListsItsIndexFirstAndThenItsShards() throws {
        let model = try ModelFiles.open(Fixtures.path("sharded/model.safetensors.index.json"))
        #expect(model.format == .safetensorsSharded)
        #expect(
            model.files.map(\.name) == [
                "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            ])
        #expect(Set(model.tensors.map(\.extent.file)) == [1, 2])
    }

    @Test(arguments: [
        ("torchscript.pt", "tied.encoder.weight", "tied.decoder.weight"),
        ("zip_lightning.ckpt", "state_dict.tied.encoder.weight", "state_dict.tied.decoder.weight"),
    ])
    func tiedWeightsShareTheirExtent(file: String, one: String, other: String) throws {
        let model = try ModelFiles.open(Fixtures.path(file))
        let tied = model.tensors.filter { $0.name == one || $0.name == other }
        #expect(tied.count == 2 && tied[0].extent == tied[1].extent)
    }

    @Test func theFormatIsToldFromTheContentWhateverTheName() throws {
        let folder = try TemporaryFolder()
        for (file, format) in [
            ("single.safetensors", ModelFormatName.safetensors), ("zip_tensor.pt", .pytorch),
            ("legacy_tensor.pt", .pytorchLegacy), ("torchscript.pt", .torchScript), ("mixed.gguf", .gguf),
            ("network.tflite", .tflite),
        ] {
            let path = try folder.write(try Fixtures.bytes(file), "weights.bin")
            #expect(try ModelFiles.open(path).format == format)
        }
    }
}

extension SeededGenerator {
    mutating func next() -> UInt8 { UInt8(truncatingIfNeeded: next() as UInt64) }
}
