import Codecs
import ModelFiles
import TestSupport
import Testing
import WeightArchive
import WeightMapper

/// How many bits a layer gets when nobody says.
struct DefaultBitsTests {
    /// Rows of weights, the first `outliers` of which hold one that is `factor` times larger.
    private func model(outliers: Int, factor: Float) -> Safetensors {
        var generator = SeededGenerator(71)
        let values = (0..<64 * 64).map { index -> Float in
            let isOutlier = index % 64 == 5 && index / 64 < outliers
            return generator.normal() * 0.01 * (isOutlier ? factor : 1)
        }
        return Safetensors([.init("w", [64, 64], values)])
    }

    private func bits(_ model: Safetensors, _ change: (inout PackOptions) -> Void = { _ in }) throws -> Int? {
        let folder = try TemporaryFolder()
        var options = PackOptions()
        change(&options)
        return try Packer(try ModelFiles.open(try folder.write(model.bytes, "m")), options).plan[0].bits
    }

    @Test func outliersGetMoreBitsUnlessBitsAreGiven() throws {
        #expect(try bits(model(outliers: 0, factor: 1)) == 8)
        let more = try #require(try bits(model(outliers: 64, factor: 300)))
        #expect(more > 8 && more <= 12)
        #expect(try bits(model(outliers: 64, factor: 300)) { $0.bits = 8 } == 8)
        #expect(try bits(model(outliers: 64, factor: 300)) { $0.bits = 3 } == 3)
        #expect(try bits(model(outliers: 64, factor: 300)) { $0.bitsByName = [("w", 7)] } == 7)
        #expect(try bits(model(outliers: 64, factor: 300)) { $0.range = .layer } == 8)
    }

    @Test(arguments: [("utvideo", 8), ("h264", 10), ("ffv1", 12)])
    func aCodecThatWasAskedForGetsNoMoreBitsThanItHolds(codec: String, most: Int) throws {
        let found = try bits(model(outliers: 64, factor: 3000)) {
            $0.codec = codec; $0.medium = .video
        }
        #expect(found == most)
    }

    @Test func moreBitsKeepTheWeightsApart() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(model(outliers: 64, factor: 3000).bytes, "m.safetensors")
        for (name, bits) in [("default", nil), ("eight", 8)] as [(String, Int?)] {
            try await pack(path, to: folder["\(name).wcz"]) { $0.bits = bits }
            try await unpack(folder["\(name).wcz"], to: folder[name])
        }
        func distinct(_ name: String) throws -> Int {
            let restored = try ModelFiles.open(folder[name])
            var weights = [Float](repeating: 0, count: 64 * 64)
            TensorWeights<Float>(restored, restored.tensors[0]).read(0..<weights.count, into: &weights)
            return Set(weights).count
        }
        let (many, few) = (try distinct("default"), try distinct("eight"))
        #expect(many > 3 * few)
    }

    @Test func theNumberOfBitsFollowsTheSpread() {
        // The median deviation is 2 and the range r: the least n does where 2^n >= r, else it takes 2^n >= 4 r.
        func channel(_ range: Float) -> [Float] { (0..<128).map { $0 == 0 ? range - 1 : $0 % 2 == 0 ? 1 : -1 } }
        #expect(bitsThatResolve([channel(2)], atLeast: 8) == 8)
        #expect(bitsThatResolve([channel(0x1p20)], atLeast: 8) == 12)
        #expect(bitsThatResolve([channel(0x1p20)], atLeast: 8, atMost: 16) == 16)
        let answers = (1...20).map { bitsThatResolve([channel(Float(1 << $0))], atLeast: 1, atMost: 16) }
        #expect(answers == [1] + (2...20).map { min($0 + 2, 16) })
        // One channel in a hundred and fifty may be lost.
        #expect(bitsThatResolve([channel(0x1p20)] + Array(repeating: channel(2), count: 149), atLeast: 8) == 8)
        #expect(bitsThatResolve([], atLeast: 8) == 8)
        #expect(bitsThatResolve([[], [1], [.nan, 1, 2], [0, 0, 0, 0], [.infinity, 1, 2]], atLeast: 8) == 8)
    }
}
