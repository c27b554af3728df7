import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// Networks that are run: `run`, and `verify --data`.
@Suite(.enabled(if: Engines.onnxruntime != nil)) struct RunUseTests {
    private let environment = ["WCODEC_ONNXRUNTIME": Engines.onnxruntime ?? ""]

    /// A folder with the models, an input and labeled data of the classifier.
    private func folder() async throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for name in ["linear", "lookup", "picture", "classifier"] {
            try folder.write(try fileBytes(Engines.model(name)), "\(name).onnx")
        }
        try write([("x", "F32", [1, 4], floats([1, 0, 0, 1]))], "x.npy", folder)
        try write(
            [
                ("ids", "I64", [2], [2, 0].flatMap { littleEndian(Int64($0)) }), ("scale", "F32", [], floats([10])),
            ], "lookup.npz", folder)
        var random = SeededGenerator(1)
        let rows = floats((0..<200 * 64).map { _ in random.normal() })
        let labels = (0..<200).flatMap { littleEndian(Int32($0 % 32)) }
        try write([("x", "F32", [200, 64], rows), ("y", "I32", [200], labels)], "data.npz", folder)
        try write([("x", "F32", [200, 64], rows)], "plain.npz", folder)
        _ = try await wcodec("pack", "classifier.onnx", "-q", in: folder)
        return folder
    }

    private func floats(_ numbers: [Float]) -> [UInt8] { numbers.flatMap { littleEndian($0.bitPattern) } }

    private func write(
        _ arrays: [(String, String, [Int], [UInt8])], _ name: String, _ folder: TemporaryFolder
    ) throws {
        try writeArrays(
            arrays.map { NamedArray(name: $0.0, type: .init(rawValue: $0.1), shape: $0.2, bytes: $0.3) },
            to: folder[name], force: true, inputs: [])
    }

    private func run(_ arguments: String, in folder: TemporaryFolder) async throws -> ProgramResult {
        try await shell(
            "WCODEC_ONNXRUNTIME='\(environment["WCODEC_ONNXRUNTIME"] ?? "")' $wcodec \(arguments)", in: folder)
    }

    @Test func modelsRunOnArraysAndWriteThem() async throws {
        let folder = try await folder()
        let linear = try await run("run linear.onnx --input x.npy -o y.npy", in: folder)
        #expect(linear.status == 0 && linear.output.contains("ONNX Runtime"), "\(linear.error)")
        #expect(try fileBytes(folder["y.npy"]).suffix(12) == floats([109, 211, 313])[...])
        let lookup = try await run("run lookup.onnx --input lookup.npz -o out.npz --json", in: folder)
        let outputs = (lookup.json as? [String: Any])?["outputs"] as? [[String: Any]]
        #expect(outputs?.map { $0["name"] as? String } == ["vectors", "same"], "\(lookup.error)")
        #expect(folder.contents.contains("out.npz"))
        let named = try await run("run linear.onnx --input x=x.npy -q", in: folder)
        #expect(named.status == 0 && named.output.isEmpty)
    }

    @Test func packedModelsRunAsRestoredOnesDo() async throws {
        let folder = try await folder()
        try write([("x", "F32", [1, 64], floats([Float](repeating: 0.5, count: 64)))], "v.npy", folder)
        for command in [
            "run classifier.wcz --input v.npy -o packed.npy -q", "unpack classifier.wcz -o restored.onnx -q",
            "run restored.onnx --input v.npy -o restored.npy -q",
        ] { #expect(try await run(command, in: folder).status == 0) }
        #expect(try fileBytes(folder["packed.npy"]) == fileBytes(folder["restored.npy"]))
    }

    @Test(
        "packed models run layer by layer as restored ones do",
        .enabled(if: Engines.hasOpenBLAS),
        arguments: ["", "--as video", "--as audio --bits 12", "--quantizer trellis --bits 4", "--lossless"])
    func layersAreRestoredWhenTheyRun(options: String) async throws {
        let folder = try await folder()
        try write([("x", "F32", [1, 64], floats([Float](repeating: 0.5, count: 64)))], "v.npy", folder)
        for command in [
            "pack classifier.onnx \(options) -o p.wcz -q", "unpack p.wcz -o restored.onnx -q",
            "run p.wcz --engine native --input v.npy -o packed.npy -q",
            "run restored.onnx --engine native --input v.npy -o restored.npy -q",
        ] {
            let result = try await run(command, in: folder)
            #expect(result.status == 0, "\(command): \(result.error)")
        }
        #expect(try fileBytes(folder["packed.npy"]) == fileBytes(folder["restored.npy"]))
        // So they are judged too.
        let verify = "verify classifier.onnx p.wcz --data data.npz --json --engine native/NCHW/F32"
        let plain = try await run("\(verify)/plain", in: folder)
        let packed = try await run("\(verify)/packed", in: folder)
        #expect(plain.status == 0 && packed.output == plain.output, "\(packed.error)")
        // Nothing is run with weights that are not those that were packed.
        var bytes = try fileBytes(folder["p.wcz"])
        bytes[bytes.count / 2] ^= 1
        try folder.write(bytes, "damaged.wcz")
        let damaged = try await run("run damaged.wcz --engine native --input v.npy -o d.npy -q", in: folder)
        #expect(damaged.status != 0 && damaged.error.contains("damaged.wcz"), "\(damaged.error)")
        #expect(!folder.contents.contains("d.npy"))
    }

    @Test func mistakesAreOneLineWithTheirStatus() async throws {
        let folder = try await folder()
        try folder.write(sample.bytes, "other.safetensors")
        for (command, status, words) in [
            ("run linear.onnx", 65, "\"x\": expected F32 batchx4, found no value"),
            ("run linear.onnx --input y=x.npy", 65, "one of x"),
            ("run lookup.onnx --input x.npy", 65, "ids, scale"),
            ("run linear.onnx --input missing.npy", 66, "missing.npy"),
            ("run linear.onnx --input x.npy --shape x=5x5", 65, "5x5"),
            ("run other.safetensors --input x.npy", 65, "ONNX"),
            ("run linear.onnx --input x.npy -o x.npy", 73, "x.npy"),
            ("run lookup.onnx --input lookup.npz -o a.npy", 65, ".npz"),
            ("run linear.onnx --input x.npy --onnxruntime nosuch.so", 69, "pip install onnxruntime"),
            ("run linear.onnx --input x.npy --engine abacus", 64, "abacus"),
            ("run linear.onnx --input x.npy --std 0", 64, "--std"),
            ("run linear.onnx --input x.npy --mean 1,2", 64, "--mean"),
            ("verify classifier.onnx classifier.wcz --data x.npy", 65, "F32 batchx64"),
            ("verify classifier.onnx classifier.wcz --data plain.npz --metric top5", 65, "labels"),
            ("verify classifier.onnx classifier.wcz --data plain.npz --max-loss 1", 65, "--metric"),
            ("verify classifier.onnx classifier.wcz --metric top1", 64, "--data"),
            ("verify classifier.onnx classifier.wcz --data data.npz --eval 'echo {}'", 64, "both"),
        ] {
            let result = try await run(command, in: folder)
            #expect(result.status == status, "\(command): \(result.error)")
            #expect(result.error.contains(words), "\(command): \(result.error)")
            if status != 64 { #expect(result.errorLines.count == 1, "\(command): \(result.error)") }
        }
    }

    @Test func verifyRunsBothNetworksOnData() async throws {
        let folder = try await folder()
        let labeled = try await run(
            "verify classifier.onnx classifier.wcz --data data.npz --max-loss 50% --json", in: folder)
        #expect(labeled.status == 0, "\(labeled.error)")
        let document = labeled.json as? [String: Any]
        let data = try #require(document?["data"] as? [String: Any])
        #expect(data["metric"] as? String == "top1" && data["samples"] as? Int == 200)
        #expect((document?["metric"] as? [String: Any])?["before"] as? Double != nil)
        let again = try await run(
            "verify classifier.onnx classifier.wcz --data data.npz --max-loss 50% --json --threads 1", in: folder)
        #expect(again.output == labeled.output)

        let plain = try await run("verify classifier.onnx classifier.wcz --data plain.npz", in: folder)
        #expect(plain.output.contains("agreement") && plain.output.contains("against the original"), "\(plain.error)")
        #expect(!plain.output.contains("before"))
        let limit = try await run(
            "verify classifier.onnx classifier.wcz --data plain.npz --metric kl --max-loss 0", in: folder)
        #expect(limit.status == 2 && limit.error.contains("loss"), "\(limit.error)")
    }
}
