/// Writes safetensors files by hand.
public struct Safetensors: Sendable {
    /// A tensor to write.
    public struct Tensor: Sendable {
        public var name: String
        public var dtype: String
        public var shape: [Int]
        public var bytes: [UInt8]

        public init(_ name: String, _ dtype: String, _ shape: [Int], _ bytes: [UInt8]) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }

        /// A float32 tensor.
        public init(_ name: String, _ shape: [Int], _ values: [Float]) {
            self.init(name, "F32", shape, values.flatMap { littleEndian($0.bitPattern) })
        }

        /// A tensor of seeded bell-shaped weights of any floating-point type, scaled differently for each row.
        public static func weights(
            _ name: String, _ shape: [Int], dtype: String = "F32", scale: Float = 0.1, seed: UInt64 = 1
        ) -> Tensor {
            var generator = SeededGenerator(seed)
            let count = shape.reduce(1, *)
            let row = count / max(shape.first ?? 1, 1)
            let values = (0..<count).map { generator.normal() * scale * (1 + Float($0 / max(row, 1) % 3)) }
            let bytes: [UInt8] =
                switch dtype {
                case "F64": values.flatMap { littleEndian((Double($0) + 1e-12).bitPattern) }
                case "BF16": values.flatMap { littleEndian(UInt16($0.bitPattern >> 16)) }
                case "F16": values.flatMap { littleEndian(halfBits($0)) }
                default: values.flatMap { littleEndian($0.bitPattern) }
                }
            return Tensor(name, dtype, shape, bytes)
        }
    }

    public var tensors: [Tensor]

    public init(_ tensors: [Tensor]) { self.tensors = tensors }

    /// The file.
    public var bytes: [UInt8] {
        var entries: [String] = [#""__metadata__":{"format":"pt","note":"kept as it is"}"#]
        var offset = 0
        for tensor in tensors {
            let name = tensor.name.unicodeScalars.map { scalar in
                scalar.value < 32 || scalar == "\"" || scalar == "\\" ? "\\u" + hex4(scalar.value) : "\(scalar)"
            }.joined()
            let end = offset + tensor.bytes.count
            entries.append(
                #""\#(name)":{"dtype":"\#(tensor.dtype)","shape":\#(tensor.shape),"data_offsets":[\#(offset),\#(end)]}"#
            )
            offset = end
        }
        let json = "{" + entries.joined(separator: ",") + "}"
        let header = Array(json.utf8) + Array(repeating: 32, count: (8 - json.utf8.count % 8) % 8)
        return littleEndian(UInt64(header.count)) + header + tensors.flatMap(\.bytes)
    }
}

private func hex4(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
}

/// binary16 bits of a normal number of moderate size, rounded towards zero; 0 below.
private func halfBits(_ value: Float) -> UInt16 {
    guard value.magnitude >= 0x1p-14 else { return 0 }
    let bits = value.bitPattern
    return UInt16(bits >> 16 & 0x8000) | UInt16(((bits & 0x7fff_ffff) - 0x3800_0000) >> 13)
}
