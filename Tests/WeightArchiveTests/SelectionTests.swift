import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Which tensors are packed, as what and with how many bits.
struct SelectionTests {
    private func plan(
        _ model: Safetensors, _ change: (inout PackOptions) -> Void = { _ in }
    ) throws -> [String: Packer.PlannedTensor] {
        let folder = try TemporaryFolder()
        let path = try folder.write(model.bytes, "m.safetensors")
        var options = PackOptions()
        change(&options)
        let packer = try Packer(try ModelFiles.open(path), options)
        return Dictionary(uniqueKeysWithValues: packer.plan.map { ($0.name, $0) })
    }

    @Test func reasonsForKeepingAreTold() throws {
        let model = Safetensors([
            .weights("w", [32, 32]), .weights("small", [31, 33]), .weights("vector", [2048]),
            .weights("scale", [1, 1100, 1, 1]), .weights("lstm.bias", [1, 1024]), .weights("pointwise", [64, 32, 1]),
            .weights("model.optimizer.0.exp_avg", [64, 64]), .weights("state.exp_avg.w", [64, 64]),
            .weights("state.0.exp_avg", [64, 64]), .weights("optimizer_states.0.x", [64, 64]),
            .weights("optimal_transport.weight", [64, 64]),
            .init("ids", "I64", [1024], [UInt8](repeating: 0, count: 8192)),
            .init("f8", "F8_E4M3", [64, 64], [UInt8](repeating: 0, count: 4096)),
        ])
        let planned = try plan(model)
        #expect(
            planned.mapValues(\.kept) == [
                "w": nil, "small": .small, "vector": .vector, "scale": .vector, "lstm.bias": .vector,
                "pointwise": nil, "model.optimizer.0.exp_avg": .optimizer,
                "state.exp_avg.w": .optimizer, "state.0.exp_avg": .optimizer, "optimizer_states.0.x": .optimizer,
                "optimal_transport.weight": nil, "ids": .type, "f8": .type,
            ])
        let blocks = try ModelFiles.open(modelFixture("mixed.gguf"))
        #expect(
            try Packer(blocks, PackOptions()).plan.filter { $0.kept == .quantized }.map { [$0.name, "\($0.bytes)"] }
                == [
                    ["blocks.Q4_0", "36"], ["blocks.Q8_0", "68"], ["blocks.Q4_K", "288"], ["blocks.TQ1_0", "108"],
                    ["blocks.MXFP4", "34"],
                ])
        let views = try ModelFiles.open(modelFixture("zip_views.pt"))
        var options = PackOptions()
        options.include = [""]
        let kept = Dictionary(uniqueKeysWithValues: try Packer(views, options).plan.map { ($0.name, $0.kept) })
        #expect(kept["rows"] == .some(.view) && kept["base"] == .some(.view))
    }

    @Test func oneRunOfBytesIsPackedOnceWhateverItsNamesAreUsedAs() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write([UInt8](repeating: 0, count: 8192), "m.bin")
        let layout = try folder.write(
            Array(
                #"""
                [{"name": "embedding", "shape": [64, 32], "kind": "embedding", "offset": 0},
                 {"name": "output", "shape": [64, 32], "kind": "fc", "offset": 0}]
                """#.utf8), "layout.json")
        let plan = try Packer(try ModelFiles.open(path, layout: layout), PackOptions()).plan
        #expect(plan.map(\.name) == ["embedding"])
        #expect(plan.map(\.kept) == [nil])
    }

    @Test func patternsChoose() throws {
        let planned = try plan(everyKind) {
            $0.include = ["bias$", "^tiny"]
            $0.exclude = ["^rnn", "tiny"]
        }
        #expect(planned["conv.bias"]?.kept == nil)
        #expect(planned["rnn.weight_hh_l0"]?.kept == .excluded)
        // --exclude wins.
        #expect(planned["tiny.weight"]?.kept == .excluded)
        // Integers stay whatever is asked for.
        #expect(planned["steps"]?.kept == .type)
    }

    @Test func kindsAreToldAndOverridden() throws {
        let kinds = try plan(everyKind).mapValues(\.kind)
        #expect(kinds["conv.weight"] == .conv)
        #expect(kinds["depthwise.weight"] == .depthwise)
        #expect(kinds["rnn.weight_ih_l0"] == .lstm && kinds["rnn.weight_hh_l0"] == .lstm)
        #expect(kinds["gru.weight_ih_l0"] == .gru && kinds["gru.weight_hh_l0"] == .gru)
        #expect(kinds["embedding.weight"] == .embedding)
        #expect(kinds["half.weight"] == .fc)
        let changed = try plan(everyKind) { $0.kindsByName = [("rnn|gru", .fc), ("gru", .gru)] }.mapValues(\.kind)
        #expect(changed["rnn.weight_ih_l0"] == .fc)
        // The last match wins.
        #expect(changed["gru.weight_ih_l0"] == .gru)
    }

    @Test func aKindThatDoesNotFitNamesTheTensor() async throws {
        let error = await expectedError { _ = try plan(everyKind) { $0.kindsByName = [("^half", .conv)] } }
        #expect(error?.contains("half.weight") == true)
    }

    @Test func bitsAreChosenByName() throws {
        let bits = try plan(everyKind) {
            $0.bits = 5
            $0.bitsByName = [("weight", 6), ("rnn", 12)]
        }.mapValues(\.bits)
        #expect(bits["conv.weight"] == 6)
        #expect(bits["rnn.weight_ih_l0"] == 12)
        let rest = try plan(everyKind) {
            $0.bits = 5
            $0.bitsByName = [("rnn", 12)]
        }
        #expect(rest["conv.weight"]?.bits == 5)
        #expect(rest["conv.bias"]?.bits == nil)
    }

    enum Option: CaseIterable {
        case include, exclude, bits, kind

        var name: String { "--\(self)" }

        func set(_ options: inout PackOptions, _ pattern: String) {
            switch self {
            case .include: options.include = [pattern]
            case .exclude: options.exclude = [pattern]
            case .bits: options.bitsByName = [(pattern, 4)]
            case .kind: options.kindsByName = [(pattern, .fc)]
            }
        }
    }

    @Test(arguments: Option.allCases, ["nosuch", "^weight$", "(", "[", "*", "a{2,1}"])
    func patternsThatChooseNothingAreErrors(option: Option, pattern: String) async throws {
        let error = await expectedError { _ = try plan(everyKind) { option.set(&$0, pattern) } }
        #expect(error?.contains(option.name) == true && error?.contains("'\(pattern)'") == true)
    }

    @Test(arguments: [0, 17, -1])
    func impossibleBitsAreErrors(bits: Int) async throws {
        #expect(await expectedError { _ = try plan(everyKind) { $0.bits = bits } }?.contains("--bits") == true)
        #expect(
            await expectedError { _ = try plan(everyKind) { $0.bitsByName = [("a", bits)] } }?.contains("--bits")
                == true)
    }

    @Test(arguments: ["F64", "F32", "F16", "BF16"], [0, 1023])
    func nonFiniteWeightsAreAnErrorOrKept(dtype: String, index: Int) async throws {
        let folder = try TemporaryFolder()
        let patterns: [String: [[UInt8]]] = [
            "F64": [littleEndian(Double.nan.bitPattern), littleEndian(Double.infinity.bitPattern)],
            "F32": [littleEndian(Float.nan.bitPattern), littleEndian((-Float.infinity).bitPattern)],
            "F16": [[0x01, 0x7e], [0x00, 0x7c]], "BF16": [[0xc1, 0x7f], [0x80, 0x7f]],
        ]
        for pattern in try #require(patterns[dtype]) {
            var tensor = Safetensors.Tensor.weights("layer.weight", [32, 32], dtype: dtype)
            tensor.bytes.replaceSubrange(index * pattern.count..<(index + 1) * pattern.count, with: pattern)
            let bytes = Safetensors([.weights("other", [32, 32]), tensor]).bytes
            let model = try folder.write(bytes, "m.safetensors")
            let error = await expectedError { try await pack(model, to: folder["m.wcz"]) { $0.force = true } }
            #expect(error?.hasPrefix("tensor layer.weight: \(model): weight \(index) is ") == true, "\(error ?? "")")
            try await pack(model, to: folder["m.wcz"]) {
                $0.nonFinite = .exact
                $0.force = true
            }
            #expect(try PackedModel(folder["m.wcz"]).summary.kept.map(\.reason) == ["nonfinite"])
            try await unpack(folder["m.wcz"], to: folder["restored"], force: true)
            #expect(try fileBytes(folder["restored"]).suffix(tensor.bytes.count) == bytes.suffix(tensor.bytes.count))
            try await pack(model, to: folder["m.wcz"]) {
                $0.exclude = ["layer"]
                $0.force = true
            }
        }
    }

    @Test func weightsSoFarApartThatTheirRangeOverflowsAreAnError() async throws {
        let values = (0..<1024).map { $0 % 2 == 0 ? Double.greatestFiniteMagnitude : -Double.greatestFiniteMagnitude }
        let folder = try TemporaryFolder()
        let tensor = Safetensors.Tensor("w", "F64", [32, 32], values.flatMap { littleEndian($0.bitPattern) })
        let model = try folder.write(Safetensors([tensor]).bytes, "m.safetensors")
        let error = await expectedError { try await pack(model, to: folder["m.wcz"]) }
        #expect(error?.hasPrefix("tensor w: \(model): weight 0 is 1.797") == true, "\(error ?? "")")
        #expect(folder.contents == ["m.safetensors"])
        try await pack(model, to: folder["m.wcz"]) { $0.nonFinite = .exact }
        #expect(try PackedModel(folder["m.wcz"]).summary.kept.map(\.reason) == ["nonfinite"])
    }

    /// What the error recommends helps.
    @Test(arguments: [Goal.bitsPerWeight(4), .maximumError(0.01), .signalToNoise(20)])
    func weightsBeyondFloat32AreKeptWhereAGoalNeedsIt(goal: Goal) async throws {
        let folder = try TemporaryFolder()
        var tensor = Safetensors.Tensor.weights("large", [200, 200], dtype: "F64")
        tensor.bytes.replaceSubrange(8 * 30_001..<8 * 30_002, with: littleEndian(1e39.bitPattern))
        let model = try folder.write(Safetensors([.weights("other", [40, 40]), tensor]).bytes, "m.safetensors")
        let error = await expectedError { try await pack(model, to: folder["m.wcz"]) { $0.goal = goal } }
        let expected =
            "weight 30001 is 1e+39, expected a magnitude of at most 3.4028234663852886e+38 (--nonfinite exact"
        #expect(error?.hasPrefix("tensor large: \(model): \(expected)") == true, "\(error ?? "")")
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.goal = goal
            $0.nonFinite = .exact
        }
        #expect(result.summary.kept.map(\.name) == ["large"])
    }

    @Test(
        arguments: ["F16", "BF16", "F32"],
        [QuantizerChoice.uniform, .trellis, .fixedPoint(FixedPointChoice(.exponent))])
    func weightsNearTheLargestNumberOfTheirTypeStayFinite(dtype: String, quantizer: QuantizerChoice) async throws {
        let folder = try TemporaryFolder()
        // The largest number, 0.987 of it below 0, and many zeros, in whose favor ranges are widened: at 4 bits by more than the
        // type has.
        let (most, least): ([UInt8], [UInt8]) =
            switch dtype {
            case "F16": ([0xff, 0x7b], [0xe4, 0xfb])
            case "BF16": ([0x7f, 0x7f], [0x7c, 0xff])
            default: ([0xff, 0xff, 0x7f, 0x7f], [0xff, 0xff, 0x7c, 0xff])
            }
        let zero = [UInt8](repeating: 0, count: most.count)
        let cycle = [zero, most, zero, least, zero, most]
        let bytes = (0..<64 * 64).flatMap { cycle[$0 % cycle.count] }
        let model = try folder.write(
            Safetensors([.init("w", dtype, [64, 64], bytes)]).bytes, "m.safetensors")
        for bits in [4, 5, 6, 8] {
            let result = try await pack(model, to: folder["m.wcz"]) {
                $0.quantizer = quantizer
                $0.bits = bits
                $0.force = true
            }
            // A float16 that became infinite is infinitely wrong.
            let layer = result.summary.layers[0].statistics
            #expect(layer.maximumError < layer.variance.squareRoot(), "\(bits) bits: \(layer.maximumError)")
        }
    }

    @Test(arguments: [Float.greatestFiniteMagnitude, .leastNonzeroMagnitude, 1e-38])
    func extremeWeightsComeBackWithinTheirInterval(scale: Float) async throws {
        let folder = try TemporaryFolder()
        let values = (0..<1024).map { Float($0 % 33 - 16) / 16 * scale }
        let model = try folder.write(Safetensors([.init("w", [32, 32], values)]).bytes, "m.safetensors")
        try await pack(model, to: folder["m.wcz"])
        try await unpack(folder["m.wcz"], to: folder["restored"])
        try expectFaithful(ModelFiles.open(model), folder["restored"], PackedModel(folder["m.wcz"]), slack: 1)
        #expect(folder.contents.count == 3)
    }
}
