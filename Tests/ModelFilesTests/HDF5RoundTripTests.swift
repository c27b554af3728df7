import TestSupport
import Testing

@testable import ModelFiles

/// Files of h5py's with chunks of every shape, in their plain form and restored, and read by h5py again.
@Suite(.enabled(if: hasHDF5 && Python.has("h5py"))) struct HDF5RoundTripTests {
    @Test(arguments: ["earliest", "v110"])
    func chunksBeyondTheSidesComeBack(form: String) throws {
        let tensors = try expectSame(Self.beyond, form)
        // All but those that this libhdf5 cannot compress.
        #expect(tensors.count { !$0.hasPrefix("lzf/") } == 4 * 6)
    }

    @Test func thousandsOfChunksComeBack() throws {
        #expect(try expectSame(Self.many, "earliest") == ["rows"])
    }

    /// Has h5py write a file, restores it from its plain form, and has h5py compare both.
    ///
    /// - Returns: names of the tensors.
    private func expectSame(_ content: String, _ form: String) throws -> [String] {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/m.h5"
        let written = try Python.run(["-c", Self.opening + content, path, form])
        #expect(written.status == 0, "\(written.output)")
        let model = try ModelFiles.open(path)
        let copy = try restored(try #require(model.files[0].recoding), model.files[0].file, in: folder)
        let compared = try Python.run(["-c", Self.comparison, path, try folder.write(copy, "restored.h5")])
        #expect(compared.status == 0, "\(compared.output)")
        return model.tensors.map(\.name)
    }

    private static let opening = """
        import sys
        import h5py, numpy as np
        random = np.random.default_rng(1)
        file = h5py.File(sys.argv[1], "w", libver=(sys.argv[2], "v110"))

        """

    private static let beyond = """
        filters = {
            "plain": {}, "gzip": {"compression": "gzip"}, "shuffle": {"compression": "gzip", "shuffle": True},
            "fletcher32": {"compression": "gzip", "fletcher32": True}, "lzf": {"compression": "lzf"},
        }
        shapes = {
            "rows": ((20, 16), (32, 16)), "columns": ((16, 20), (16, 32)), "line": ((500,), (1024,)),
            "corner": ((14, 14), (32, 32)), "several": ((20, 20), (13, 10)), "steps": ((20, 16), (6, 16)),
        }
        for name, options in filters.items():
            for part, (shape, chunks) in shapes.items():
                values = random.standard_normal(shape).astype("f4")
                file.create_dataset(
                    f"{name}/{part}", data=values, chunks=chunks, maxshape=(None,) * len(shape), **options)
        file.close()
        """

    private static let many = """
        values = random.standard_normal((17000, 2)).astype("f4")
        file.create_dataset("rows", data=values, chunks=(1, 2), compression="gzip")
        file.create_dataset("ids", data=np.arange(17000), chunks=(1,))
        file.close()
        """

    private static let comparison = """
        import sys
        import h5py, numpy as np
        with h5py.File(sys.argv[1]) as before, h5py.File(sys.argv[2]) as after:
            def compare(name, item):
                if isinstance(item, h5py.Dataset):
                    other = after[name]
                    assert other.chunks == item.chunks and other.compression == item.compression, name
                    assert item[()].tobytes() == other[()].tobytes(), name
            before.visititems(compare)
        """
}
