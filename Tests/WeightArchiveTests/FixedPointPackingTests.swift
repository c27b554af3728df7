import Codecs
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Models packed with the quantizers `fixed` and `scaled`, alone and as a series.
struct FixedPointPackingTests {
    struct Setting: CustomTestStringConvertible, Sendable {
        let kind: PrecisionKind
        let scope: PrecisionScope?
        let medium: Medium
        let bits: Int
        var testDescription: String { "\(kind) \(scope?.description ?? "model") \(medium) \(bits)" }

        static let all = PrecisionKind.allCases.flatMap { kind in
            [nil, PrecisionScope.layer, .channel, .block(32)].flatMap { scope in
                [(Medium.image, 4), (.image, 8), (.video, 8), (.audio, 12)].map {
                    Setting(kind: kind, scope: scope, medium: $0.0, bits: $0.1)
                }
            }
        }
    }

    /// The weights of a tensor.
    private func weights(_ model: ModelFile, _ name: String) throws -> [Double] {
        let tensor = try #require(model.tensors.first { $0.name == name })
        func read<Scalar: WeightScalar>(_: Scalar.Type) -> [Double] {
            var weights = [Scalar](repeating: 0, count: tensor.count)
            TensorWeights<Scalar>(model, tensor).read(0..<tensor.count, into: &weights)
            return weights.map { Double($0) }
        }
        return tensor.dtype == .f64 ? read(Double.self) : read(Float.self)
    }

    /// Compares every packed weight with its group's step.
    private func expectWithinAStep(_ original: ModelFile, _ restored: ModelFile, _ packed: PackedModel) throws {
        for layer in packed.valid.planed {
            let tensor = packed.valid.manifest.tensors[layer.tensor]
            let codebook = try #require(try packed.codebook(layer) as? FixedPointLayerCodebook).codebook
            let (before, after) = (try weights(original, tensor.name), try weights(restored, tensor.name))
            // What rounding to the type adds.
            let rounding = ["F16": 0x1p-11, "BF16": 0x1p-8][tensor.dtype] ?? 0x1p-23
            for i in before.indices {
                let step = codebook.steps[codebook.groups.group(of: i)]
                // Half a step, or one for the largest of an exponent's range.
                let limit = (codebook.kind == .exponent ? 1 : 0.5) * step * 1.001 + abs(before[i]) * rounding
                #expect(abs(before[i] - after[i]) <= limit, "\(tensor.name) \(i)")
            }
        }
    }

    @Test(arguments: Setting.all) func everyKindOfLayerAndTypeComesBack(setting: Setting) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "model.safetensors")
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.quantizer = .fixedPoint(FixedPointChoice(setting.kind, scope: setting.scope))
            $0.medium = setting.medium
            $0.bits = setting.bits
        }
        #expect(result.summary.layers.count == 12)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        let (original, restored) = (try ModelFiles.open(model), try ModelFiles.open(folder["restored"]))
        try expectWithinAStep(original, restored, PackedModel(folder["m.wcz"]))
        for tensor in original.tensors where result.summary.kept.contains(where: { $0.name == tensor.name }) {
            let bytes = original.withBytes(of: tensor.extent) { Array($0) }
            #expect(restored.withBytes(of: tensor.extent) { Array($0) } == bytes)
        }
        #expect(folder.contents == ["m.wcz", "model.safetensors", "restored"])
    }

    @Test(arguments: PrecisionKind.allCases) func theLargestHalfStaysFinite(kind: PrecisionKind) async throws {
        let folder = try TemporaryFolder()
        // 65,504 and its negative, between small ones.
        let halves: [UInt16] = (0..<1600).map { $0 % 2 == 0 ? 0x7bff : 0xfbff - UInt16($0) }
        let model = try folder.write(
            Safetensors([.init("w", "F16", [40, 40], halves.flatMap { littleEndian($0) })]).bytes, "m.safetensors")
        for bits in [2, 3, 8, 16] {
            try await pack(model, to: folder["m.wcz"]) {
                $0.quantizer = .fixedPoint(FixedPointChoice(kind, scope: .layer))
                $0.bits = bits
                $0.force = true
            }
            try await unpack(folder["m.wcz"], to: folder["restored"], force: true)
            #expect(try weights(ModelFiles.open(folder["restored"]), "w").allSatisfy { $0.isFinite })
        }
    }

    // MARK: - Series

    /// Checkpoints whose weights are those of the first times these factors.
    private func series(_ folder: TemporaryFolder, _ factors: [Float]) throws -> [String] {
        try factors.enumerated().map { index, factor in
            let model = Safetensors([
                .weights("a.weight", [32, 40], scale: 0.1 * factor, seed: 1),
                .weights("b.weight", [40, 32], scale: 0.7, seed: 2), .weights("a.bias", [32], seed: 3),
            ])
            return try folder.write(model.bytes, "step\(index).safetensors")
        }
    }

    private func packSeries(
        _ folder: TemporaryFolder, _ paths: [String], _ choice: FixedPointChoice,
        _ change: (inout PackOptions) -> Void = { _ in }
    ) async throws -> PackResult {
        var options = PackOptions()
        options.quantizer = .fixedPoint(choice)
        options.threads = 2
        change(&options)
        return try await Packer(try ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
    }

    /// Precisions of a layer, model by model.
    private func precisions(_ folder: TemporaryFolder, _ layer: String) throws -> [[Precision]] {
        let packed = try PackedModel(folder["run.wcz"])
        return try packed.valid.planed.filter { $0.name.hasSuffix(":\(layer)") }.map { layer in
            let codebook = try #require(try packed.codebook(layer) as? FixedPointLayerCodebook).codebook
            return codebook.steps.indices.map(codebook.precision(ofGroup:))
        }
    }

    @Test func aSeriesSharesPrecisionsAndReportsEachAdjustment() async throws {
        let folder = try TemporaryFolder()
        // Up by a factor of 8 in the third, down to 1 in the fifth.
        let paths = try series(folder, [1, 1.05, 8, 7, 1])
        let result = try await packSeries(folder, paths, FixedPointChoice(.exponent, scope: .layer))
        let found = try precisions(folder, "a.weight").map { $0[0] }
        #expect(found[0] == found[1] && found[2] == found[3] && found[4] == found[0])
        #expect(found[2].step == 8 * found[0].step)
        #expect(Set(try precisions(folder, "b.weight")).count == 1)
        let later = result.adjustments.filter { $0.raised + $0.lowered > 0 }
        #expect(later.map(\.model) == ["step2.safetensors", "step4.safetensors"])
        #expect(later.allSatisfy { $0.layer == "a.weight" && $0.groups == 1 && $0.changes.count == 1 })
        #expect(later.map { $0.changes[0].old } == [found[0], found[2]])
        #expect(later.map { $0.changes[0].new } == [found[2], found[0]])
        #expect(result.adjustments.count == 4)
        try await unpack(folder["run.wcz"], to: folder["run"])
        for (index, path) in paths.enumerated() {
            let restored = try ModelFiles.open("\(folder["run"])/step\(index).safetensors")
            let original = try ModelFiles.open(path)
            #expect(restored.tensors == original.tensors)
            let bias = try weights(original, "a.bias")
            #expect(try weights(restored, "a.bias") == bias)
        }
    }

    @Test func strategiesDecideHowPrecisionsMove() async throws {
        let folder = try TemporaryFolder()
        let paths = try series(folder, [1, 7, 7, 7, 7, 1])
        func steps(_ strategy: String) async throws -> [Double] {
            let choice = FixedPointChoice(
                .scale, scope: .layer, strategy: try #require(AdjustmentStrategy(strategy)))
            _ = try await packSeries(folder, paths, choice) { $0.force = true }
            let found = try precisions(folder, "a.weight").map { $0[0].step }
            return found.map { $0 / found[0] }
        }
        #expect(try await steps("up-step") == [1, 2, 4, 8, 8, 8])
        #expect(try await steps("down") == [1, 1, 1, 1, 1, 1])
        let both = try await steps("up+down")
        #expect(both[5] == 1 && abs(both[1] - 7) < 1e-5 && both[1] == both[4])
    }

    @Test(arguments: [PrecisionScope.channel, .block(8)]) func groupsAdjustThemselves(scope: PrecisionScope)
        async throws
    {
        let folder = try TemporaryFolder()
        let result = try await packSeries(
            folder, try series(folder, [1, 8]), FixedPointChoice(.exponent, scope: scope))
        let found = try precisions(folder, "a.weight")
        #expect(found[0].count == (scope == .channel ? 32 : 160))
        #expect(zip(found[0], found[1]).allSatisfy { $1.step == 8 * $0.step })
        let adjustment = try #require(result.adjustments.first { $0.raised > 0 })
        #expect(adjustment.raised == found[0].count && adjustment.groups == found[0].count)
        #expect(adjustment.changes.count == (scope == .channel ? 32 : 1))
    }

    @Test func onePrecisionForAllLayers() async throws {
        let folder = try TemporaryFolder()
        let result = try await packSeries(
            folder, try series(folder, [1, 40]), FixedPointChoice(.exponent, scope: nil))
        #expect(try precisions(folder, "a.weight") == precisions(folder, "b.weight"))
        #expect(result.adjustments.count == 2 && result.adjustments.allSatisfy { $0.layer == nil })
        // A model alone has one, too.
        _ = try await packSeries(folder, [folder["step0.safetensors"]], FixedPointChoice(.scale, scope: nil)) {
            $0.force = true
        }
        let packed = try PackedModel(folder["run.wcz"])
        let parameters = try packed.valid.planed.map { try packed.codebook($0).serialized }
        #expect(parameters.count == 2 && parameters[0] == parameters[1])
    }

    @Test func layersOfOtherShapesHaveSeriesOfTheirOwn() async throws {
        let folder = try TemporaryFolder()
        let paths = try [[32, 40], [33, 40]].enumerated().map { index, shape in
            try folder.write(
                Safetensors([.weights("w", shape, scale: index == 0 ? 1 : 8, seed: 1)]).bytes, "\(index).safetensors")
        }
        let result = try await packSeries(folder, paths, FixedPointChoice(.exponent))
        #expect(result.adjustments.allSatisfy { $0.raised == 0 && $0.lowered == 0 })
        #expect(try precisions(folder, "w").map(\.count) == [32, 33])
    }

    @Test(arguments: [nil, PrecisionScope.channel]) func theFileDoesNotDependOnThreads(scope: PrecisionScope?)
        async throws
    {
        let folder = try TemporaryFolder()
        let paths = try series(folder, [1, 2, 9])
        var files: [[UInt8]] = []
        for threads in [1, 2, 7] {
            _ = try await packSeries(folder, paths, FixedPointChoice(.scale, scope: scope)) {
                $0.threads = threads
                $0.force = true
            }
            files.append(try fileBytes(folder["run.wcz"]))
        }
        #expect(files[0] == files[1] && files[0] == files[2])
    }

    @Test func weightsThatAreNotFiniteAreNamed() async throws {
        let folder = try TemporaryFolder()
        var paths = try series(folder, [1])
        var values = [Float](repeating: 0.5, count: 1280)
        values[77] = .nan
        paths.append(try folder.write(Safetensors([.init("a.weight", [32, 40], values)]).bytes, "bad.safetensors"))
        let error = await expectedError {
            _ = try await packSeries(folder, paths, FixedPointChoice(.exponent))
        }
        #expect(error?.contains("bad.safetensors:a.weight") == true && error?.contains("77") == true)
        #expect(!folder.contents.contains("run.wcz"))
    }

    @Test func forgedCodebooksAreRefused() throws {
        let layer = try LayerGeometry(kind: .fc, shape: [4, 8])
        func read(
            _ name: String = "fixed", _ range: String? = "channel", _ precision: String? = "int8", count: Int = 4,
            bits: Int = 8
        ) throws -> any LayerCodebook {
            let bytes = [UInt8](repeating: 1, count: count)
            return try layerCodebook(
                .init(name: name, range: range, precision: precision), bytes.span, layer, bits: bits)
        }
        #expect(try read().record == .init(name: "fixed", range: "channel", precision: "int8"))
        #expect(try read("fixed", "group:2", count: 16).serialized.count == 16)
        let attempts: [() throws -> any LayerCodebook] = [
            { try read("scaled") }, { try read("fixd") }, { try read("fixed", nil) }, { try read("fixed", "galaxy") },
            { try read("fixed", "group:0") }, { try read("fixed", "group:99999999999999999999", count: 4) },
            { try read("fixed", "group:9223372036854775807", count: 3) }, { try read("fixed", "group:-1") },
            { try read("fixed", "channel", nil) }, { try read("fixed", "channel", "float32", count: 16) },
            { try read(count: 3) }, { try read(count: 0) }, { try read(bits: 1) }, { try read(bits: 17) },
        ]
        for (index, attempt) in attempts.enumerated() {
            #expect(throws: MapperError.self, "\(index)") { _ = try attempt() }
        }
        // A plane of another size than the layer.
        let bins = Plane(bits: 8, shape: .layer, samples: .narrow([1, 2, 3]))
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 8)
        defer { target.deallocate() }
        for planes in [[], [bins], [bins, bins]] {
            #expect(throws: MapperError.self) { try read().restore(planes, layer, .f32, into: target) }
        }
    }

    @Test func oneBitIsTooFew() async throws {
        let folder = try TemporaryFolder()
        let paths = try series(folder, [1])
        let error = await expectedError {
            _ = try await packSeries(folder, paths, FixedPointChoice(.exponent)) { $0.bits = 1 }
        }
        #expect(error?.contains("2 to 16") == true)
    }
}
