import Codecs
import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// A restored GGUF model as gguf-py, the format's own library, sees it.
@Suite(.enabled(if: Python.hasGGUF, "needs the Python package gguf"))
struct GGUFReaderTests {
    @Test(arguments: Medium.allCases)
    func metadataPlacesAndKeptTensorsAreThoseOfTheOriginal(medium: Medium) async throws {
        let folder = try TemporaryFolder()
        let original = Python.repository.appending(path: "Tests/ModelFilesTests/Fixtures/mixed.gguf").path
        var options = PackOptions()
        options.medium = medium
        options.include = ["."]
        _ = try await Packer(try ModelFiles.open(original), options).pack(to: folder["m.wcz"])
        try await Unpacker(try PackedModel(folder["m.wcz"])).unpack(to: folder["m.gguf"], threads: 1, force: false)
        let script = """
            import sys
            import numpy as np
            from gguf import GGUFReader
            a, b = GGUFReader(sys.argv[1]), GGUFReader(sys.argv[2])
            def raw(field): return [part.tobytes() for part in field.parts]
            assert list(a.fields) == list(b.fields)
            assert all(raw(a.fields[key]) == raw(b.fields[key]) for key in a.fields)
            assert (a.alignment, a.data_offset) == (64, b.data_offset)
            for one, other in zip(a.tensors, b.tensors, strict=True):
                assert raw(one.field) == raw(other.field)
                if one.tensor_type.name in ("F32", "F16", "F64"):
                    assert np.abs(one.data - other.data).max() < 0.1, one.name
                elif one.tensor_type.name != "BF16":
                    assert np.array_equal(one.data, other.data), one.name
            """
        let result = try Python.run(["-c", script, original, folder["m.gguf"]])
        #expect(result.status == 0, "\(result.output)")
    }
}

extension Python {
    /// Whether it has gguf-py.
    fileprivate static let hasGGUF = has("gguf")
}
