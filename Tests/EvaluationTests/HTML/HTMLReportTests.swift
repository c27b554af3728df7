import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

@testable import Evaluation

/// The page as text; `Tests/browser` looks at it as a person does.
struct HTMLReportTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func pack(
        _ name: String, _ tensors: [Safetensors.Tensor], _ change: (inout PackOptions) -> Void = { _ in }
    ) async throws -> PackedModel {
        let path = try folder.write(Safetensors(tensors).bytes, "\(name).safetensors")
        var options = PackOptions()
        change(&options)
        _ = try await Packer(try ModelFiles.open(path), options).pack(to: folder["\(name).wcz"])
        return try PackedModel(folder["\(name).wcz"])
    }

    private func page(_ models: PackedModel..., pictures: PictureChoice = .auto, threads: Int = 2) async throws
        -> String
    {
        let report = try await HTMLReport(models.map { HTMLReport.Source($0) }, pictures: pictures, threads: threads)
        return String(decoding: try report.html(), as: UTF8.self)
    }

    private static let network: [Safetensors.Tensor] = [
        .weights("first", [48, 40], seed: 1), .weights("second", [40, 48], seed: 2), .weights("bias", [48]),
    ]

    @Test func thePageDoesNotDependOnThreads() async throws {
        let model = try await pack("m", Self.network)
        #expect(try await page(model, threads: 1) == page(model, threads: 7))
    }

    @Test func thePageNamesNothingOutsideItself() async throws {
        let html = try await page(try await pack("m", Self.network))
        // The name space of SVG is a name, not a place.
        let text = html.replacingOccurrences(of: "http://www.w3.org/2000/svg", with: "")
        #expect(!text.contains("http:") && !text.contains("https:") && !text.contains("//cdn"))
        #expect(html.contains("default-src 'none'") && !html.contains("unsafe"))
        #expect(!html.contains("{{"))
    }

    @Test(arguments: [PictureChoice.none, .preview, .full])
    func picturesAreThoseChosen(choice: PictureChoice) async throws {
        let model = try await pack("m", [.weights("wide", [100, 400])])
        let html = try await page(model, pictures: choice)
        let full = Data(try model.pictures(of: "wide")[0]).base64EncodedString()
        #expect(html.contains(full) == (choice == .full))
        #expect(html.contains("data:image/png;base64,i") == (choice != .none))
    }

    @Test func layersOfSeveralFilesAreMatchedByName() async throws {
        let a = try await pack("a", Self.network)
        let b = try await pack("b", Self.network) { $0.exclude = ["first"] }
        let matches = try LayerMatch.all([("a", a.summary), ("b", b.summary)])
        #expect(matches.map(\.name) == ["first", "second"])
        #expect(matches.map(\.places) == [[0, nil], [1, 0]])
        let html = try await page(a, b)
        #expect(html.contains("2 packed files of one model") && html.contains(">kept<"))
    }

    @Test func otherModelsAreRefused() async throws {
        let a = try await pack("a", Self.network)
        let b = try await pack("b", [.weights("other", [50, 50])])
        await #expect(throws: EvaluationError.differentModels("expected layers of a.wcz in b.wcz, found none")) {
            try await page(a, b)
        }
    }

    /// The bound is that of independent weights; those that are predicted from another checkpoint take fewer bits.
    @Test func layersBelowTheBoundAreToldOf() async throws {
        let alone = try await page(try await pack("m", Self.network))
        #expect(alone.contains("Half of the layers lie within "))
        let again = try folder.write(Safetensors(Self.network).bytes, "again.safetensors")
        var options = PackOptions()
        options.choosesMedium = true
        let paths = [folder["m.safetensors"], again]
        _ = try await Packer(try ModelFiles.open(paths), options).pack(to: folder["run.wcz"])
        let run = try await page(try PackedModel(folder["run.wcz"]))
        #expect(run.contains("foreseen from others") && !run.contains("within -"))
    }

    @Test func aModelWithoutLayersHasAPage() async throws {
        let html = try await page(try await pack("m", [.weights("bias", [48])]))
        #expect(html.contains("1 tensor") && html.contains("0 layers"))
    }

    @Test func automaticPicturesKeepThePageOpenable() throws {
        let megabyte = 1 << 20
        #expect(try PicturePlan(.auto, layers: 10, full: 10 * megabyte) == PicturePlan(hasFull: true, previews: 1))
        #expect(try PicturePlan(.auto, layers: 10, full: 40 * megabyte) == PicturePlan(hasFull: false, previews: 4))
        #expect(try PicturePlan(.auto, layers: 4000, full: 40 * megabyte) == PicturePlan(hasFull: false, previews: 1))
        #expect(try PicturePlan(.auto, layers: 9000, full: 40 * megabyte) == PicturePlan(hasFull: false, previews: 0))
        #expect(try PicturePlan(.full, layers: 10, full: 40 * megabyte) == PicturePlan(hasFull: true, previews: 1))
        let error = #expect(throws: EvaluationError.self) { try PicturePlan(.full, layers: 10, full: 400 * megabyte) }
        #expect(error?.description.contains("--gallery") == true)
    }

    @Test func theLossIsThatOfTheVerification() async throws {
        let model = try await pack("m", Self.network)
        let json =
            #"{"accepted":true,"foreignDifferences":0,"metric":{"before":0.5,"after":0.25,"loss":0.25,"relativeLoss":0.5}}"#
        let path = try folder.write(Array(json.utf8), "v.json")
        let report = try await HTMLReport(
            [HTMLReport.Source(model, verification: try Verification(path: path))], threads: 1)
        #expect(String(decoding: try report.html(), as: UTF8.self).contains("0.250 (50.000 %)"))
    }

    @Test(arguments: [("{}", "something else"), ("not JSON", "something else"), (#"{"accepted":true}"#, "none")])
    func otherFilesAreNoVerification(text: String, found: String) throws {
        let path = try folder.write(Array(text.utf8), "v.json")
        let error = #expect(throws: EvaluationError.self) { try Verification(path: path) }
        #expect(error?.description.contains("v.json") == true && error?.description.hasSuffix("found \(found)") == true)
    }
}
