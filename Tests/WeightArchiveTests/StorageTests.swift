import ModelFiles
import TestSupport
import Testing

@testable import WeightArchive

/// PyTorch's storages that tensors are views of.
struct StorageTests {
    /// Columns of a matrix, overlapping rows of another, a slice of a third, and a fourth that its tensors fill.
    private static let views: [PickledView] = [
        .init("even", "0", [100, 50], [100, 2]), .init("odd", "0", [100, 50], [100, 2], at: 1),
        .init("first", "1", [60, 100], [100, 1]), .init("last", "1", [60, 100], [100, 1], at: 4000),
        .init("slice", "2", [50, 50], [50, 1], at: 100), .init("q", "3", [50, 100], [100, 1]),
        .init("k", "3", [50, 100], [100, 1], at: 5000),
    ]
    private static let whole = ["even (storage)", "first (storage)", "slice (storage)"]

    @Test func theyArePackedWholeWithoutLoss() async throws {
        let folder = try TemporaryFolder()
        let bytes = checkpoint(Self.views, [10000, 10000, 10000, 10000])
        let model = try folder.write(bytes, "m.pt")
        try await pack(model, to: folder["m.wcz"]) { $0.quantizer = .exact }
        let summary = try PackedModel(folder["m.wcz"]).summary
        #expect(summary.layers.map(\.name) == Self.whole + ["q", "k"])
        #expect(Set(summary.kept.map(\.name)) == ["even", "odd", "first", "last", "slice"])
        #expect(summary.kept.allSatisfy { $0.reason == "view" })
        try await unpack(folder["m.wcz"], to: folder["restored"])
        #expect(try fileBytes(folder["restored"]) == bytes)
        // The views are read out of the packed file too.
        _ = try await Unpacker(try PackedModel(folder["m.wcz"])).unpack(
            to: folder["m.npz"], as: .npz, threads: 2, force: false)
        let names = try ModelFiles.open(folder["m.npz"]).tensors.map(\.name)
        #expect(Set(names).isSuperset(of: Self.views.map(\.name)))
    }

    @Test func eachIsPackedAgainstThatOfTheModelBefore() async throws {
        let folder = try TemporaryFolder()
        let bytes = checkpoint(Self.views, [10000, 10000, 10000, 10000])
        for name in ["a.pt", "b.pt"] { try folder.write(bytes, name) }
        let model = try ModelFiles.open([folder["a.pt"], folder["b.pt"]])
        var options = PackOptions()
        options.quantizer = .exact
        let result = try await Packer(model, options).pack(to: folder["m.wcz"])
        #expect(result.packedBytes < bytes.count)
        try await unpack(folder["m.wcz"], to: folder["restored"])
        for name in ["a.pt", "b.pt"] { #expect(try fileBytes(folder["restored/\(name)"]) == bytes) }
    }

    @Test func thoseOfExcludedTensorsAndLossyModelsStay() async throws {
        let folder = try TemporaryFolder()
        let model = try folder.write(checkpoint(Self.views, [10000, 10000, 10000, 10000]), "m.pt")
        try await pack(model, to: folder["exact.wcz"]) {
            $0.quantizer = .exact
            $0.exclude = ["odd"]
        }
        #expect(try PackedModel(folder["exact.wcz"]).summary.layers.map(\.name) == Self.whole.dropFirst() + ["q", "k"])
        try await pack(model, to: folder["m.wcz"])
        #expect(try PackedModel(folder["m.wcz"]).summary.layers.map(\.name) == ["slice", "q", "k"])
    }
}
