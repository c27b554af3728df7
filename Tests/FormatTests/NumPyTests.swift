import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// Converted models as NumPy itself reads them.
@Suite(.enabled(if: Python.hasModules, "needs the packages of docs/requirements.txt; ./test installs them"))
struct NumPyTests {
    @Test(arguments: ["zip_views.pt", "zip_module.pt", "single.safetensors", "sharded"])
    func numpyLoadsWhatSafetensorsHolds(fixture: String) async throws {
        let folder = try TemporaryFolder()
        let path = Python.repository.appending(path: "Tests/ModelFilesTests/Fixtures/\(fixture)").path
        var options = PackOptions()
        options.include = ["."]
        _ = try await Packer(try ModelFiles.open(path), options).pack(to: folder["m.wcz"])
        let unpacker = Unpacker(try PackedModel(folder["m.wcz"]))
        for format in ExportFormat.allCases {
            _ = try await unpacker.unpack(
                to: folder["m.\(format.rawValue)"], as: format, threads: 1, force: false, skipsUnconvertible: true)
        }
        let script = """
            import sys, numpy as np
            with np.load(sys.argv[1], allow_pickle=False) as archive:
                for name in archive.files:
                    array = archive[name]
                    print(name, array.dtype.name, *array.shape, array.tobytes().hex() or "-")
            """
        let result = try Python.run(["-c", script, folder["m.npz"]])
        #expect(result.status == 0)
        let names = ["F32": "float32", "F16": "float16", "F64": "float64", "I64": "int64", "BOOL": "bool"]
        let model = try ModelFiles.open(folder["m.safetensors"])
        var expected: [String] = []
        for tensor in model.tensors {
            guard let type = names[tensor.dtype.rawValue] else { continue }
            let bytes = model.withBytes(of: tensor.extent) { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) } }
            let fields = [tensor.name, type] + tensor.shape.map(String.init) + [bytes.isEmpty ? "-" : bytes.joined()]
            expected.append(fields.joined(separator: " "))
        }
        let known = Set(names.values)
        let found = result.output.split(separator: "\n").map(String.init).filter {
            known.contains(String($0.split(separator: " ").dropFirst().first ?? ""))
        }
        // bfloat16, which became float32, is the one that the file beside has otherwise.
        let widened = Set(model.tensors.filter { $0.dtype == .bf16 }.map(\.name))
        #expect(
            found.filter { !widened.contains(String($0.prefix { $0 != " " })) }.sorted() == expected.sorted())
        #expect(!expected.isEmpty)
    }
}
