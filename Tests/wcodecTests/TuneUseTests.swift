import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// `tune`, and `run` on what it writes.
@Suite(.enabled(if: Engines.hasOpenBLAS)) struct TuneUseTests {
    private func folder() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write(try fileBytes(Engines.model("convolutions")), "net.onnx")
        var random = SeededGenerator(1)
        let numbers = (0..<3 * 192).map { _ in Float(random.normal()) }
        for count in [3, 1] {
            let bytes = numbers.prefix(count * 192).flatMap { littleEndian($0.bitPattern) }
            try writeArrays(
                [NamedArray(name: "x", type: .f32, shape: [count, 3, 8, 8], bytes: bytes)],
                to: folder[count == 1 ? "x.npy" : "data.npz"], force: true, inputs: [])
        }
        return folder
    }

    /// Native modes only: other engines need not be there.
    private static let options = "--data data.npz --mode native --runs 3 --samples 1"

    @Test func modelsAreTunedAndRunAsTheirMapSays() async throws {
        let folder = try folder()
        let tuned = try await shell("$wcodec tune net.onnx \(Self.options) --first 1 --json", in: folder)
        #expect(tuned.status == 0, "\(tuned.error)")
        let document = try #require(tuned.json as? [String: Any])
        let singles = try #require(document["singles"] as? [[String: Any]])
        #expect(singles.first?["modes"] as? [String] == ["native/NCHW/F32/plain"])
        #expect(singles.allSatisfy { ($0["milliseconds"] as? Double ?? 0) > 0 || $0["refusal"] != nil })
        #expect(document["layers"] as? Int == 6 && document["output"] as? String == "net.tuned.onnx")
        let run = try await shell(
            "$wcodec run net.tuned.onnx --input x.npy -o y.npy && $wcodec graph net.tuned.onnx", in: folder)
        #expect(run.status == 0 && run.output.contains("native"), "\(run.error)")
        let plain = try await shell("$wcodec run net.onnx --engine native --input x.npy -o z.npy -q", in: folder)
        #expect(plain.status == 0, "\(plain.error)")
        let (y, z) = (try floats("y.npy", folder), try floats("z.npy", folder))
        #expect(y.count == 32 && zip(y, z).allSatisfy { abs($0 - $1) < 1e-3 })
        // The model is not written over, nor another file without --force.
        let again = try await shell("$wcodec tune net.onnx \(Self.options) --first 1", in: folder)
        #expect(again.status == 73 && again.errorLines.count == 1, "\(again.error)")
        let itself = try await shell("$wcodec tune net.onnx \(Self.options) -o net.onnx --force", in: folder)
        #expect(itself.status == 73)
        #expect(try fileBytes(folder["net.onnx"]) == fileBytes(Engines.model("convolutions")))
    }

    @Test func packedModelsKeepTheirMap() async throws {
        let folder = try folder()
        for command in [
            "pack net.onnx -q", "tune net.wcz \(Self.options) --first 1 -q",
            "tune net.tuned.wcz \(Self.options) --first 0 -o twice.wcz -q",
            "run net.tuned.wcz --input x.npy -o y.npy -q", "run net.wcz --engine native --input x.npy -o z.npy -q",
            "unpack net.tuned.wcz -o tuned.onnx -q", "run tuned.onnx --input x.npy -o w.npy -q",
        ] {
            let result = try await shell("$wcodec \(command)", in: folder)
            #expect(result.status == 0, "\(command): \(result.error)")
        }
        let (y, z) = (try floats("y.npy", folder), try floats("z.npy", folder))
        #expect(zip(y, z).allSatisfy { abs($0 - $1) < 1e-3 })
        // Tuned twice, a file does not grow; and unpacked, it is the model with its map.
        #expect(abs(try fileBytes(folder["twice.wcz"]).count - fileBytes(folder["net.tuned.wcz"]).count) < 200)
        let packed = try fileBytes(folder["tuned.onnx"])
        #expect(String(decoding: packed, as: UTF8.self).contains("wcodec.run-modes"))
    }

    @Test func aTableSaysWhatWasTried() async throws {
        let folder = try folder()
        let result = try await shell(
            "$wcodec tune net.onnx \(Self.options) --second 2 --kernels 64 --dry-run", in: folder)
        #expect(result.status == 0, "\(result.error)")
        for words in [
            "all layers in one mode", "second, conv of 16 to 64 channels, alone", "1: first, conv of 3 to 16 channels",
            "chosen: ",
        ] {
            #expect(result.output.contains(words), "\(result.output)")
        }
        #expect(!folder.contents.contains { $0.contains("tuned") })
    }

    @Test func mistakesAreOneLineWithTheirStatus() async throws {
        let folder = try folder()
        try folder.write(sample.bytes, "other.safetensors")
        for (command, status, words) in [
            ("tune net.onnx --data data.npz --first 1 --second 2", 64, "--second"),
            ("tune net.onnx --data data.npz --second 2", 64, "--kernels"),
            ("tune net.onnx --data data.npz --kernels 2", 64, "--second"),
            ("tune net.onnx --data data.npz --mode abacus", 64, "abacus"),
            ("tune net.onnx --data data.npz --runs 1", 64, "--runs"),
            ("tune net.onnx --data missing.npz --mode native", 66, "missing.npz"),
            ("tune net.onnx --data x.npy --mode native --designated onnxruntime", 65, "onnxruntime"),
            ("tune net.onnx --data data.npz --mode native/NCHW/F32/packed", 65, "packed"),
            ("tune other.safetensors --data data.npz", 65, "ONNX"),
        ] {
            let result = try await shell("$wcodec \(command)", in: folder)
            #expect(result.status == status && result.error.contains(words), "\(command): \(result.error)")
            if status != 64 { #expect(result.errorLines.count == 1, "\(command): \(result.error)") }
        }
        #expect(!folder.contents.contains { $0.contains("tuned") })
    }

    private func floats(_ name: String, _ folder: TemporaryFolder) throws -> [Float] {
        let bytes = try fileBytes(folder[name]).suffix(128)
        return Array(bytes).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}
