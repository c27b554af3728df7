/// Writes pickles by hand, hostile ones among them.
struct PickleWriter {
    private(set) var bytes: [UInt8] = [0x80, 2]

    mutating func op(_ opcode: Character) { bytes += opcode.utf8 }
    mutating func raw(_ opcodes: [UInt8]) { bytes += opcodes }

    mutating func string(_ text: String) {
        bytes += Array("X".utf8) + littleEndian(UInt32(text.utf8.count)) + text.utf8
    }

    mutating func int(_ value: Int) { bytes += [0x8a, 8] + littleEndian(value) }

    mutating func global(_ module: String, _ name: String) { bytes += Array("c\(module)\n\(name)\n".utf8) }

    mutating func put(_ index: Int) { bytes += Array("r".utf8) + littleEndian(UInt32(index)) }
    mutating func get(_ index: Int) { bytes += Array("j".utf8) + littleEndian(UInt32(index)) }

    /// `(values…)` as a tuple.
    mutating func tuple(_ values: (inout PickleWriter) -> Void) {
        op("(")
        values(&self)
        op("t")
    }

    mutating func ints(_ values: [Int]) { tuple { writer in values.forEach { writer.int($0) } } }

    /// A tensor in storage "0": float32, or of a PyTorch dtype on an untyped storage.
    mutating func tensor(
        shape: [Int], strides: [Int], offset: Int = 0, elements: Int = 4, key: String = "0", dtype: String? = nil
    ) {
        global("torch._utils", dtype == nil ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3")
        tuple { arguments in
            arguments.tuple {
                $0.string("storage")
                $0.global("torch", dtype == nil ? "FloatStorage" : "UntypedStorage")
                $0.string(key)
                $0.string("cpu")
                $0.int(elements)
            }
            arguments.op("Q")
            arguments.int(offset)
            arguments.ints(shape)
            arguments.ints(strides)
            arguments.raw([0x89])
            arguments.op("}")
            if let dtype { arguments.global("torch", dtype) }
        }
        op("R")
    }

    /// A checkpoint of this pickle and storages of float32 values in the ZIP format.
    func checkpoint(storages: [String: [UInt8]] = ["0": [UInt8](repeating: 1, count: 16)]) -> [UInt8] {
        var zip = ZipWriter()
        zip.add("m/data.pkl", bytes + Array(".".utf8))
        for (key, data) in storages.sorted(by: { $0.key < $1.key }) { zip.add("m/data/\(key)", data) }
        return zip.finished()
    }
}
