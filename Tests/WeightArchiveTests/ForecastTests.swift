import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightMapper

@testable import WeightArchive

/// What `--dry-run` says of a packed file's size.
struct ForecastTests {
    /// Layers small and large, square and not; channels of like and of unlike scale.
    private static func model(step: Float = 0) -> Safetensors {
        var random = SeededGenerator(11)
        func tensor(_ name: String, _ shape: [Int], _ scale: (Int) -> Float) -> Safetensors.Tensor {
            let row = shape[1]
            let weights = (0..<shape[0] * row).map { random.normal() * scale($0 / row) * (1 + step * random.normal()) }
            return .init(name, shape, weights)
        }
        return Safetensors([
            tensor("square.weight", [300, 300]) { _ in 1 },
            tensor("scales.weight", [2000, 100]) { Float(1 + $0 % 7) },
            // Sliced.
            tensor("large.weight", [1000, 1200]) { _ in 1 },
            tensor("tall/kernel", [400, 3000]) { _ in 0.5 },
        ])
    }

    static let cases: [(quantizer: QuantizerChoice, goal: Goal?, isAuto: Bool)] = [
        (.uniform, nil, false), (.uniform, nil, true), (.trellis, nil, false), (.trellis, .signalToNoise(15), false),
        (.trellis, .signalToNoise(15), true), (.trellis, .maximumError(0.1), false),
        (.trellis, .bitsPerWeight(2.5), false), (.trellis, .size(900_000), true), (.exact, nil, false),
    ]

    private func expectClose(_ path: String, _ options: PackOptions, to target: String, _ name: String) async throws {
        let packer = try Packer(try ModelFiles.open(path), options)
        let forecast = Double(try await packer.forecast().bytes)
        _ = try await packer.pack(to: target)
        let size = Double(try fileBytes(target).count)
        #expect(abs(forecast / size - 1) < 0.03, "\(name): forecast \(forecast), packed \(size)")
    }

    @Test(arguments: cases) func sizesAreForeseen(
        quantizer: QuantizerChoice, goal: Goal?, isAuto: Bool
    ) async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(Self.model().bytes, "m.safetensors")
        var options = PackOptions()
        options.quantizer = quantizer
        options.goal = goal
        options.choosesMedium = isAuto
        options.bits = 4
        options.threads = 2
        try await expectClose(path, options, to: folder["m.wcz"], "\(quantizer) \(String(describing: goal))")
    }

    @Test func sizesAgainstABaseAreForeseen() async throws {
        let folder = try TemporaryFolder()
        let base = try folder.write(Self.model().bytes, "base.safetensors")
        let tuned = try folder.write(Self.model(step: 1e-3).bytes, "tuned.safetensors")
        var options = PackOptions()
        options.quantizer = .exact
        options.base = try ModelFiles.open(base)
        try await expectClose(tuned, options, to: folder["m.wcz"], "delta")
    }
}
