import TestSupport

/// A tensor as PyTorch pickles it: a window on a storage.
struct PickledView {
    let (name, storage, shape, strides, offset): (String, String, [Int], [Int], Int)

    init(_ name: String, _ storage: String, _ shape: [Int], _ strides: [Int], at offset: Int = 0) {
        (self.name, self.storage, self.shape, self.strides, self.offset) = (name, storage, shape, strides, offset)
    }
}

/// A PyTorch file of float32 tensors on storages "0", "1", … of so many weights.
func checkpoint(_ views: [PickledView], _ storages: [Int]) -> [UInt8] {
    func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
    func text(_ text: String) -> [UInt8] { Array("X".utf8) + littleEndian(UInt32(text.utf8.count)) + text.utf8 }
    func int(_ value: Int) -> [UInt8] { [0x8a, 8] + littleEndian(value) }
    func tuple(_ items: [[UInt8]]) -> [UInt8] { Array("(".utf8) + items.flatMap { $0 } + Array("t".utf8) }
    var pickle: [UInt8] = [0x80, 2] + Array("}(".utf8)
    for view in views {
        let storage = tuple([
            text("storage"), global("torch", "FloatStorage"), text(view.storage), text("cpu"),
            int(Int(view.storage).map { storages[$0] } ?? 0),
        ])
        pickle += text(view.name) + global("torch._utils", "_rebuild_tensor_v2")
        pickle += tuple([
            storage + Array("Q".utf8), int(view.offset), tuple(view.shape.map(int)), tuple(view.strides.map(int)),
            [0x89], Array("}".utf8),
        ])
        pickle += Array("R".utf8)
    }
    var zip = StoredZip()
    zip["m/data.pkl"] = pickle + Array("u.".utf8)
    for (key, count) in storages.enumerated() {
        zip["m/data/\(key)"] = Safetensors.Tensor.weights("", [count], seed: UInt64(key + 1)).bytes
    }
    return zip.bytes(comment: [])
}
