import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

@testable import Evaluation

/// The compression report as data.
struct ReportDocumentTests {
    private static let names = [
        "plain", "with,comma", "with \"quotes\"", "with\nnewline", "with\r\nboth", "accent,\u{301}", "=1+1", "-2",
        "+x,\"y\"",
        "@a", "\t=1", "right\u{202e}left",
    ]
    /// The same as a spreadsheet is to see them.
    private static let cells = [
        "plain", "with,comma", "with \"quotes\"", "with\u{fffd}newline", "with\u{fffd}\u{fffd}both", "accent,\u{301}",
        "'=1+1",
        "'-2", "'+x,\"y\"", "'@a", "\u{fffd}=1", "right\u{fffd}left",
    ]

    private func report(_ change: (inout PackOptions) -> Void = { _ in }) async throws -> (
        ReportDocument, packed: Int, original: Int
    ) {
        let folder = try TemporaryFolder()
        let tensors = Self.names.enumerated().map { Safetensors.Tensor.weights($1, [32, 40 + $0], seed: UInt64($0)) }
        let model = Safetensors(tensors + [.weights("bias", [40])]).bytes
        let path = try folder.write(model, "m.safetensors")
        var options = PackOptions()
        change(&options)
        _ = try await Packer(try ModelFiles.open(path), options).pack(to: folder["m.wcz"])
        let packed = try PackedModel(folder["m.wcz"])
        var document = ReportDocument(packed.summary)
        document.comparison = .init(
            bins: try await GeneralCompressors.bins(of: packed, threads: 2),
            original: GeneralCompressors.files(of: try ModelFiles.open(path)))
        return (document, try fileBytes(folder["m.wcz"]).count, model.count)
    }

    @Test func figuresFitEachOther() async throws {
        let (report, packed, original) = try await report()
        #expect(report.total.packedBytes == packed && report.total.originalBytes == original)
        #expect((report.total.ratio - Double(original) / Double(packed)).magnitude < 1e-9)
        #expect(report.layers.map(\.name) == Self.names)
        #expect(report.kept.map(\.name) == ["bias"] && report.kept[0].bytes == 160)
        for layer in report.layers {
            #expect(layer.weights == layer.shape.reduce(1, *) && layer.originalBytes == 4 * layer.weights)
            #expect((layer.bitsPerWeight - 8 * Double(layer.packedBytes) / Double(layer.weights)).magnitude < 1e-9)
            #expect((layer.aboveEntropy - (layer.streamBits - layer.entropy)).magnitude < 1e-9)
            #expect(layer.entropy > 4 && layer.entropy <= 8)
            let snr = try #require(layer.snr)
            #expect(snr > 30 && snr < 60)
            #expect(try (#require(layer.aboveRateDistortion) - (layer.bitsPerWeight - snr / 6.0206)).magnitude < 1e-4)
        }
        #expect(report.total.weights == report.layers.reduce(0) { $0 + $1.weights })
        let comparison = try #require(report.comparison)
        #expect(comparison.plainBins == report.total.weights)
        #expect(comparison.zipBins > 0 && comparison.zipBins < comparison.plainBins + 1000)
        #expect(comparison.zstdBins > 0 && comparison.zstdBins <= comparison.plainBins + 1000)
        #expect(try #require(comparison.zipOriginal) > packed && #require(comparison.zstdOriginal) > packed)
    }

    @Test func plainStorageCountsBits() async throws {
        for bits in [1, 5, 12] {
            let (report, _, _) = try await report { $0.bits = bits }
            let expected = report.layers.reduce(0) { $0 + ($1.weights * bits + 7) / 8 }
            #expect(report.comparison?.plainBins == expected)
        }
    }

    @Test func everyFieldIsInTheJSON() async throws {
        let (report, _, _) = try await report()
        let json = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(report))
        let object = try #require(json as? [String: Any])
        #expect(
            Set(object.keys) == ["source", "files", "medium", "quantizer", "total", "comparison", "layers", "kept"])
        let layers = try #require(object["layers"] as? [[String: Any]])
        #expect(layers.map { $0["name"] as? String } == Self.names)
    }

    @Test func csvIsReadBackByItsRules() async throws {
        let (report, _, _) = try await report { $0.codec = "png" }
        let rows = try #require(parseCSV(report.csv))
        #expect(rows.count == 1 + Self.names.count)
        #expect(rows.allSatisfy { $0.count == rows[0].count })
        #expect(rows.dropFirst().map { $0[0] } == Self.cells)
        // A number stays one, also below 0.
        #expect(rows.dropFirst().joined().allSatisfy { Double($0) == nil || !$0.hasPrefix("'") })
        #expect(rows[1][rows[0].firstIndex(of: "shape") ?? 0] == "32x40")
        #expect(rows[1][rows[0].firstIndex(of: "weights") ?? 0] == "1280")
    }

    /// RFC 4180, by its grammar, over bytes; `nil` for text that breaks it.
    private func parseCSV(_ text: String) -> [[String]]? {
        var rows: [[String]] = []
        var row: [String] = []
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            var field: [UInt8] = []
            if bytes.first == UInt8(ascii: "\"") {
                bytes.removeFirst()
                while true {
                    guard let byte = bytes.popFirst() else { return nil }
                    if byte != UInt8(ascii: "\"") {
                        field.append(byte)
                    } else if bytes.first == UInt8(ascii: "\"") {
                        field.append(bytes.removeFirst())
                    } else {
                        break
                    }
                }
            } else {
                while let byte = bytes.first, byte != UInt8(ascii: ","), byte != 13 {
                    guard byte != UInt8(ascii: "\""), byte != 10 else { return nil }
                    field.append(bytes.removeFirst())
                }
            }
            row.append(String(decoding: field, as: UTF8.self))
            switch bytes.popFirst() {
            case UInt8(ascii: ","): continue
            case 13 where bytes.popFirst() == 10:
                rows.append(row)
                row = []
            default: return nil
            }
        }
        return row.isEmpty ? rows : nil
    }
}
