import Foundation

/// A folder of a test's own, removed with everything in it when the test lets go of it.
public final class TemporaryFolder: Sendable {
    /// Where it is.
    public let path: String

    public init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("wcodec-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in it.
    public subscript(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file and returns its path.
    @discardableResult
    public func write(_ bytes: [UInt8], _ name: String) throws -> String {
        try writeFile(bytes, self[name])
        return self[name]
    }

    /// Makes a folder in it and returns its path.
    public func makeFolder(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: self[name], withIntermediateDirectories: true)
        return self[name]
    }

    /// Every file and folder in it, by path from here.
    public var contents: [String] { (try? FileManager.default.subpathsOfDirectory(atPath: path).sorted()) ?? [] }
}

/// Writes a file without waiting for the disk, as Foundation would: tests write thousands.
public func writeFile(_ bytes: [UInt8], _ path: String) throws {
    guard let file = fopen(path, "wb") else { throw CocoaError(.fileWriteUnknown) }
    let wrote = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, wrote == bytes.count else { throw CocoaError(.fileWriteUnknown) }
}

/// The bytes of a file.
public func fileBytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

/// The folder that holds what the build made: the tests, the program, the tests' resources.
public let productsFolder: String = {
    let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return executable.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
}()

/// A model file that the tests of ModelFiles carry.
public func modelFixture(_ name: String) -> String {
    "\(productsFolder)/wcodec_ModelFilesTests.resources/Fixtures/\(name)"
}

/// Names of those model files that can be packed.
public let modelFixtures =
    [
        "legacy_checkpoint.pt", "legacy_dtypes.pt", "legacy_module.pt", "legacy_protocol3.pt", "legacy_protocol4.pt",
        "legacy_protocol5.pt", "legacy_storage_views.pt", "legacy_tensor.pt", "legacy_views.pt",
        "sharded/model.safetensors.index.json", "single.safetensors", "zip_checkpoint.pt", "zip_dtypes.pt",
        "zip_module.pt", "zip_newer_dtypes.pt", "zip_protocol3.pt", "zip_protocol4.pt", "zip_protocol5.pt",
        "zip_tensor.pt", "zip_views.pt", "torchscript.pt", "zip_lightning.ckpt",
        "sharded_zip/pytorch_model.bin.index.json", "sharded_legacy/pytorch_model.bin.index.json", "mixed.gguf",
        "version2.gguf", "split_gguf/model-00001-of-00003.gguf", "network.tflite", "outside.tflite", "pruned.tflite",
        "array_f4.npy",
        "array_fortran.npy", "array_version2.npy", "arrays.npz", "arrays_compressed.npz", "mixed_descriptors.npz",
        "compressed_otherwise.npz",
    ]
    + (hasHDF5 ? ["hdf5_plain.h5", "hdf5_user_block.h5", "keras2.h5", "keras3.keras", "keras3_compressed.keras"] : [])

/// Whether this machine has libhdf5, which Keras and HDF5 files need.
public let hasHDF5 = ["libhdf5_serial.so.103", "libhdf5_serial.so.310", "libhdf5.so.310"].contains { (name: String) in
    dlopen(name, RTLD_NOW | RTLD_LOCAL) != nil
}

/// Names of the ONNX models among them.
public let onnxFixtures = [
    "branches", "dtypes", "external/model", "functions", "numbers", "operators", "runs", "torch", "unknown",
].map { "onnx/\($0).onnx" }
