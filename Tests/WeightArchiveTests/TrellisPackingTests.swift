import Codecs
import Foundation
import ModelFiles
import Synchronization
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// Models whose layers become planes.
struct TrellisPackingTests {
    @Test(arguments: Medium.allCases, [2, 4, 9]) func everyKindOfLayerAndTypeComesBack(
        medium: Medium, bits: Int
    ) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "model.safetensors")
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.quantizer = .trellis
            $0.medium = medium
            $0.bits = bits
        }
        #expect(result.summary.layers.count == 12 && result.summary.medium == medium.rawValue)
        _ = try await unpackedLoss(model, folder["m.wcz"], in: folder)
        #expect(folder.contents == ["m.wcz", "model.safetensors", "restored"])
    }

    @Test(arguments: modelFixtures) func filesOfOtherProgramsComeBack(file: String) async throws {
        let folder = try TemporaryFolder()
        // Most of their tensors are of a few weights.
        try await pack(modelFixture(file), to: folder["m.wcz"]) {
            $0.quantizer = .trellis
            $0.choosesMedium = true
            $0.include = [""]
        }
        _ = try await unpackedLoss(modelFixture(file), folder["m.wcz"], in: folder)
    }

    @Test(arguments: Trellis.stateCounts) func everyTrellisComesBack(states: Int) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(smallModel.bytes, "m.safetensors")
        let effort = try Effort(7, states: states)
        try await pack(model, to: folder["m.wcz"]) {
            $0.quantizer = .trellis
            $0.bits = 3
            $0.effort = effort
        }
        let packed = try PackedModel(folder["m.wcz"])
        for tensor in packed.valid.manifest.tensors {
            guard let planes = tensor.packed?.planes else { continue }
            #expect(planes.quantizer.name == "trellis" && planes.quantizer.states == states)
        }
        _ = try await unpackedLoss(model, folder["m.wcz"], in: folder)
    }

    @Test(arguments: [Goal.bitsPerWeight(1), .bitsPerWeight(9), .signalToNoise(8), .maximumError(9000)])
    func theLargestHalvesStayFinite(goal: Goal) async throws {
        let folder = try TemporaryFolder()
        let halves: [UInt16] = (0..<8000).map { $0 % 2 == 0 ? 0x7bff : 0xfbff - UInt16($0 % 1600) }
        let brains: [UInt16] = (0..<8000).map { $0 % 2 == 0 ? 0x7f7f : 0xff7f - UInt16($0 % 90) }
        for (dtype, bits) in [("F16", halves), ("BF16", brains)] {
            let tensor = Safetensors.Tensor("w", dtype, [80, 100], bits.flatMap { littleEndian($0) })
            let model = try folder.write(Safetensors([tensor]).bytes, "m.safetensors")
            // No bound of this size can be met among the largest numbers of all.
            if dtype == "BF16", case .maximumError = goal { continue }
            try await pack(model, to: folder["m.wcz"]) {
                $0.goal = goal
                $0.force = true
            }
            try await unpack(folder["m.wcz"], to: folder["restored"], force: true)
            #expect(try weights(ModelFiles.open(folder["restored"]), "w").allSatisfy { $0.isFinite }, "\(dtype)")
        }
    }

    @Test(arguments: [Goal?.none, .bitsPerWeight(3), .signalToNoise(20), .maximumError(0.01)], [Float.nan, .infinity])
    func weightsThatAreNotFiniteAreNamed(goal: Goal?, value: Float) async throws {
        let folder = try TemporaryFolder()
        var values = [Float](repeating: 0.5, count: 1024)
        values[777] = value
        let model = try folder.write(
            Safetensors([.init("odd", [32, 32], values), .weights("w", [48, 48])]).bytes, "m.safetensors")
        let error = await expectedError {
            try await pack(model, to: folder["m.wcz"]) {
                $0.quantizer = .trellis
                $0.goal = goal
            }
        }
        #expect(error?.contains("tensor odd") == true && error?.contains("\(value)") == true, "\(error ?? "none")")
        #expect(error?.contains("777") == true)
        #expect(folder.contents == ["m.safetensors"])
        let result = try await pack(model, to: folder["m.wcz"]) {
            $0.quantizer = .trellis
            $0.goal = goal
            $0.nonFinite = .exact
        }
        #expect(result.summary.kept.map(\.name) == ["odd"])
        _ = try await unpackedLoss(model, folder["m.wcz"], in: folder)
    }

    @Test("indices far beyond a byte have wider samples", arguments: Medium.allCases) func verySmallSteps(
        medium: Medium
    ) async throws {
        let folder = try TemporaryFolder()
        let model = Safetensors([
            .init("constant.weight", [40, 40], [Float](repeating: 0.25, count: 1600)),
            .weights("w", [48, 40], seed: 84),
        ])
        let path = try folder.write(model.bytes, "m.safetensors")
        let result = try await pack(path, to: folder["m.wcz"]) {
            $0.goal = .maximumError(5e-5)
            $0.medium = medium
        }
        #expect(result.summary.layers.allSatisfy { $0.bitsPerWeight < 24 })
        #expect(try await unpackedLoss(path, folder["m.wcz"], in: folder).maximumError <= 5e-5)
    }

    // MARK: - Media

    @Test(arguments: [Goal?.none, .signalToNoise(25)], [QuantizerChoice.uniform, .trellis])
    func theSmallestMediumIsChosen(goal: Goal?, quantizer: QuantizerChoice) async throws {
        let folder = try TemporaryFolder()
        let model = Safetensors([
            .weights("wide.weight", [100, 300], seed: 81), .weights("conv.weight", [64, 32, 3, 3], seed: 82),
            .weights("tiny.weight", [40, 40], seed: 83),
            .init("zero.weight", [64, 64], [Float](repeating: 0, count: 4096)),
        ])
        let path = try folder.write(model.bytes, "m.safetensors")
        func size(_ change: @Sendable (inout PackOptions) -> Void) async throws -> Int {
            try await pack(path, to: folder["m.wcz"]) {
                $0.quantizer = quantizer
                $0.goal = goal
                $0.bits = 6
                $0.force = true
                change(&$0)
            }.packedBytes
        }
        var single: [Int] = []
        for medium in Medium.allCases { single.append(try await size { $0.medium = medium }) }
        let chosen = try await size { $0.choosesMedium = true }
        // Searches go by the codec where there is one only, which moves errors and bits by a little.
        let slack = goal == nil && quantizer == .uniform ? 1.0 : 1.01
        #expect(Double(chosen) <= slack * Double(single.min() ?? 0), "\(chosen) \(single)")
        _ = try await unpackedLoss(path, folder["m.wcz"], in: folder)
    }

    @Test func autoTriesJPEGXLFromTheDefaultEffortOn() async throws {
        let folder = try TemporaryFolder()
        // The scale of a weight is that of its neighbors, which a code with contexts knows.
        var random = SeededGenerator(84)
        let weights = (0..<256 * 256).map { random.normal() * exp(2 * sin(Float($0 % 256 + $0 / 256) / 20)) }
        let path = try folder.write(Safetensors([.init("w.weight", [256, 256], weights)]).bytes, "m.safetensors")
        var codecs: [String] = []
        for level in [4, 5, 9] {
            let effort = try Effort(level)
            try await pack(path, to: folder["\(level).wcz"]) {
                $0.quantizer = .trellis
                $0.bits = 4
                $0.choosesMedium = true
                $0.effort = effort
            }
            codecs.append(try PackedModel(folder["\(level).wcz"]).valid.manifest.streams[0].codec)
        }
        #expect(codecs[0] != codecs[1] && codecs[1...] == ["jxl", "jxl:effort=9"], "\(codecs)")
    }

    // MARK: - The same bytes

    @Test(arguments: [Goal?.none, .signalToNoise(20), .maximumError(0.02), .size(40_000)])
    func threadsAndPlacesDoNotShow(goal: Goal?) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "model.safetensors")
        var packed: [[UInt8]] = []
        for threads in [1, 2, 7] {
            try await pack(model, to: folder["\(threads).wcz"]) {
                $0.quantizer = .trellis
                $0.goal = goal
                $0.choosesMedium = true
                $0.threads = threads
            }
            packed.append(try fileBytes(folder["\(threads).wcz"]))
        }
        #expect(packed.allSatisfy { $0 == packed[0] })
    }

    @Test(arguments: [Goal?.none, .size(20_000), .maximumError(0.01)], [1, 5])
    func packingGoesOnWhereItWasStopped(goal: Goal?, layers: Int) async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(everyKind.bytes, "m.safetensors")
        var options = PackOptions()
        options.quantizer = .trellis
        options.goal = goal
        let packer = try Packer(try ModelFiles.open(model), options)
        _ = try await packer.pack(to: folder["whole.wcz"])
        let target = folder["m.wcz"]
        let finished = Mutex(0)
        let task = Task {
            try await packer.pack(to: target) { progress in
                let isLast = finished.withLock {
                    $0 += progress.done > progress.resumed ? 1 : 0
                    return $0 >= layers
                }
                if isLast { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        #expect(await expectedError { _ = try await task.value }?.contains("goes on from there") == true)
        #expect(folder.contents == ["m.safetensors", "m.wcz.partial", "whole.wcz"])
        let resumed = Mutex(0)
        _ = try await packer.pack(to: target) { progress in resumed.withLock { $0 = max($0, progress.resumed) } }
        #expect(resumed.withLock { $0 } > 0)
        #expect(try fileBytes(target) == fileBytes(folder["whole.wcz"]))
        #expect(folder.contents == ["m.safetensors", "m.wcz", "whole.wcz"])
    }

    // MARK: - Forgeries

    @Test func forgedCodebooksAreRefused() throws {
        let layer = try LayerGeometry(kind: .fc, shape: [4, 8])
        func read(_ states: Int?, sorted: String? = nil, centers: String? = nil, count: Int = 4) throws {
            // A step of 2^-125, and classes or centers of 1.
            let bytes = [UInt8](repeating: 1, count: count)
            _ = try layerCodebook(
                .init(name: "trellis", states: states, sorted: sorted, centers: centers), bytes.span, layer, .f32,
                bits: 8)
        }
        try read(8)
        try read(1, sorted: "channels", count: 8)
        try read(256, sorted: "both", centers: "places", count: 24)
        let attempts: [() throws -> Void] = [
            { try read(nil) }, { try read(0) }, { try read(7) }, { try read(-8) }, { try read(.max) },
            { try read(8, sorted: "rows", count: 8) }, { try read(8, sorted: "", count: 4) },
            { try read(8, centers: "both", count: 12) }, { try read(8, sorted: "channels", count: 16) },
            { try read(8, sorted: "both", count: 8) }, { try read(8, count: 0) }, { try read(8, count: 3) },
        ]
        for (index, attempt) in attempts.enumerated() {
            #expect(throws: MapperError.self, "\(index)") { try attempt() }
        }
    }
}
