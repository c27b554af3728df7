import Foundation
import ModelFiles
import TestSupport
import Testing
import WeightArchive

/// `docs/decode.py`, NumPy and h5py on files that compress their tensors.
@Suite(.enabled(if: Python.hasModules)) struct RecodingDecoderTests {
    static let files =
        ["arrays.npz", "arrays_compressed.npz", "mixed_descriptors.npz", "compressed_otherwise.npz"]
        + (hasHDF5 ? ["keras2.h5", "keras3.keras", "keras3_compressed.keras", "hdf5_chunked.h5"] : [])

    @Test(arguments: files)
    func pythonRestoresAndReadsThem(file: String) async throws {
        let folder = try TemporaryFolder()
        let original = Python.repository.appending(path: "Tests/ModelFilesTests/Fixtures/\(file)").path
        var options = PackOptions()
        options.include = ["."]
        options.bits = 8
        _ = try await Packer(try ModelFiles.open(original), options).pack(to: folder["m.wcz"])
        try await Unpacker(PackedModel(folder["m.wcz"])).unpack(to: folder["swift"], threads: 1, force: false)
        #expect(try Python.decode([(folder["m.wcz"], folder["python"])]) == [nil])
        let (a, b) = (try ModelFiles.open(folder["swift"]), try ModelFiles.open(folder["python"]))
        #expect(a.tensors.map(\.name) == b.tensors.map(\.name) && a.notes == b.notes)
        for (x, y) in zip(a.tensors, b.tensors) {
            let same = a.withBytes(of: x.extent) { Array($0) } == b.withBytes(of: y.extent) { Array($0) }
            #expect(same, "\(x.name)")
        }
        // Their own libraries read both, and find what was not packed as it was.
        let kept = try PackedModel(folder["m.wcz"]).summary.kept.map(\.name)
        for restored in [folder["swift"], folder["python"]] {
            let result = try Python.run(["-c", Self.comparison, original, restored] + kept)
            #expect(result.status == 0 && result.output.hasPrefix("compared"), "\(result.output)")
        }
    }

    private static let comparison = """
        import io, sys, zipfile
        import h5py, numpy as np
        original, restored, *kept = sys.argv[1:]
        def arrays(path):
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    assert archive.testzip() is None
                    if "model.weights.h5" in archive.namelist():
                        return hdf5(io.BytesIO(archive.read("model.weights.h5")))
                with np.load(path, allow_pickle=True) as archive:
                    return {name: archive[name] for name in archive if name != "README.txt"}
            return hdf5(path)
        def hdf5(path):
            found = {}
            with h5py.File(path) as file:
                def visit(name, item):
                    if isinstance(item, h5py.Dataset):
                        found[name] = item[()]
                file.visititems(visit)
            return found
        before, after = arrays(original), arrays(restored)
        assert before.keys() == after.keys()
        changed = 0
        for name in before:
            a, b = np.asarray(before[name]), np.asarray(after[name])
            assert a.shape == b.shape and a.dtype == b.dtype, name
            if a.dtype.kind != "f" or name in kept:
                assert a.tobytes() == b.tobytes() or a.dtype.kind == "O", name
            elif a.size:
                changed += a.tobytes() != b.tobytes()
                assert np.abs(a.astype("f8") - b.astype("f8")).max() <= 0.05 * np.ptp(a.astype("f8")) + 1e-9, name
        assert changed
        print("compared", len(before))
        """
}
