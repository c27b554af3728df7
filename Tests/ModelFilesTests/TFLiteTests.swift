import ModelFiles
import Testing

/// TFLite models: how layers are told, and FlatBuffers that are not sound.
struct TFLiteTests {
    private func tensors(_ file: String) throws -> [String: TensorRecord] {
        let model = try ModelFiles.open(Fixtures.path(file))
        return Dictionary(uniqueKeysWithValues: model.tensors.map { ($0.name, $0) })
    }

    @Test(arguments: ["network.tflite", "outside.tflite"])
    func operatorsTellTheOrderOfAxes(file: String) throws {
        let tensors = try tensors(file)
        // Through the operator that widens float16.
        #expect(tensors["conv/half"]?.conventionHint == "tflite")
        #expect(tensors["depthwise"]?.conventionHint == "tflite")
        #expect(tensors["dense"]?.conventionHint == "tflite")
        #expect(tensors["matrix"]?.conventionHint == "keras")
        #expect(tensors["zero"]?.conventionHint == nil)
    }

    @Test(arguments: ["network.tflite", "outside.tflite"])
    func tensorsOfOneBufferShareTheirExtent(file: String) throws {
        let tensors = try tensors(file)
        let dense = try #require(tensors["dense"])
        #expect(tensors["dense#2"]?.extent == dense.extent)
        #expect(dense.extent.length == 960)
    }

    @Test func sparseTensorsAreLeftOutInOneLine() throws {
        let model = try ModelFiles.open(Fixtures.path("pruned.tflite"))
        #expect(model.tensors.map(\.name).sorted() == ["axis", "begin", "dense"])
        #expect(model.notes == ["3 tensors are sparse and stay as they are, the first \"pruned.0\""])
    }

    @Test func bytesOutsideTheFlatBufferAreFound() throws {
        let inside = try tensors("network.tflite")
        let outside = try tensors("outside.tflite")
        let end = try #require(inside.values.map(\.extent.range.upperBound).max())
        #expect(outside.values.allSatisfy { $0.extent.offset % 16 == 0 })
        #expect(try #require(outside.values.map(\.extent.range.upperBound).max()) > end)
    }

    /// A model whose vectors of subgraphs, tensors and inputs all repeat one element: small, but each level multiplies.
    private func multiplied(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0, 0] + Array("TFL3".utf8)
        func put(_ value: Int, at offset: Int) {
            bytes.replaceSubrange(offset..<(offset + 4), with: littleEndian(Int32(value)))
        }
        func append(_ values: [Int]) -> Int {
            bytes += values.flatMap { littleEndian(Int32($0)) }
            return bytes.count - 4 * values.count
        }
        // Vtables with one field at 4 (the subgraph's tensors) and with a third at 4 (the model's subgraphs).
        let one = bytes.count
        bytes += [6, 0, 8, 0, 4, 0, 0, 0]
        let third = bytes.count
        bytes += [10, 0, 8, 0, 0, 0, 0, 0, 4, 0, 0, 0]
        let model = append([0, 0])
        put(model, at: 0)
        put(model - third, at: model)
        let subgraphs = append([count] + [Int](repeating: 0, count: count))
        put(subgraphs - model - 4, at: model + 4)
        let subgraph = append([0, 0])
        put(subgraph - one, at: subgraph)
        for i in 1...count { put(subgraph - subgraphs - 4 * i, at: subgraphs + 4 * i) }
        let tensors = append([count] + [Int](repeating: 0, count: count))
        put(tensors - subgraph - 4, at: subgraph + 4)
        let tensor = append([0, 0])
        put(tensor - one, at: tensor)
        for i in 1...count { put(tensor - tensors - 4 * i, at: tensors + 4 * i) }
        // The tensor's shape: as many sizes again.
        let shape = append([count] + [Int](repeating: 1, count: count))
        put(shape - tensor - 4, at: tensor + 4)
        return bytes
    }

    @Test func tablesThatAreSharedWithoutEndAreRefused() throws {
        let folder = try TemporaryFolder()
        #expect(openingError(try folder.write(multiplied(20_000)))?.contains("shared a few times over") == true)
        // With one of each the same file is sound, and lacks the buffer only.
        #expect(openingError(try folder.write(multiplied(1)))?.contains("one of 0 buffers") == true)
    }
}
