import Foundation
import ModelFiles
import TestSupport

/// A model with a small tensor of every kind, type and layout that a packed file can hold.
enum ExampleModel {
    struct Tensor {
        let name: String
        let dtype: String
        let shape: [Int]
        var scale = 0.1
    }

    static let tensors = [
        Tensor(name: "fc.weight", dtype: "F32", shape: [24, 37]),
        Tensor(name: "conv.weight", dtype: "F32", shape: [8, 6, 3, 5]),
        Tensor(name: "conv1.weight", dtype: "F32", shape: [8, 6, 5]),
        Tensor(name: "conv3.weight", dtype: "F32", shape: [4, 3, 2, 3, 2]),
        Tensor(name: "depthwise.weight", dtype: "F32", shape: [21, 1, 3, 3]),
        Tensor(name: "lstm.weight_ih_l0", dtype: "F32", shape: [28, 10]),
        Tensor(name: "lstm.weight_hh_l0", dtype: "F32", shape: [28, 7]),
        Tensor(name: "gru.weight_ih_l0", dtype: "F32", shape: [15, 4]),
        Tensor(name: "gru.weight_hh_l0", dtype: "F32", shape: [15, 5]),
        Tensor(name: "embedding.weight", dtype: "F32", shape: [50, 8]),
        Tensor(name: "experts.weight", dtype: "F32", shape: [3, 34, 33]),
        Tensor(name: "dense/kernel", dtype: "F32", shape: [12, 20]),
        Tensor(name: "separable/depthwise_kernel", dtype: "F32", shape: [3, 3, 5, 2]),
        Tensor(name: "half.weight", dtype: "F16", shape: [20, 30]),
        Tensor(name: "brain.weight", dtype: "BF16", shape: [20, 30]),
        Tensor(name: "double.weight", dtype: "F64", shape: [15, 20], scale: 1e-3),
        Tensor(name: "huge.weight", dtype: "F64", shape: [9, 11], scale: 1e200),
        Tensor(name: "large.weight", dtype: "F16", shape: [9, 11], scale: 2e4),
        Tensor(name: "tiny.weight", dtype: "F32", shape: [9, 11], scale: 1e-40),
        Tensor(name: "constant.weight", dtype: "F32", shape: [6, 7], scale: 0),
        Tensor(name: "bias", dtype: "F32", shape: [39]),
        Tensor(name: "one", dtype: "F32", shape: [1, 1]),
        Tensor(name: "scalar", dtype: "F32", shape: []),
        Tensor(name: "empty", dtype: "F32", shape: [0, 4]),
        Tensor(name: "steps", dtype: "I64", shape: [3]),
        Tensor(name: "näme with/ \"signs\"", dtype: "F32", shape: [5, 9]),
    ]

    /// Writes the model as a safetensors file.
    static func write(to path: String) throws {
        var data = Data()
        var header: [String: Any] = ["__metadata__": ["format": "pt"]]
        var seed: UInt64 = 42
        /// About Gaussian, with an outlier now and then, by SplitMix64.
        func sample() -> Double {
            func uniform() -> Double {
                seed &+= 0x9E37_79B9_7F4A_7C15
                var z = seed
                z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
                z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
                return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
            }
            let value = (0..<4).reduce(-2) { (sum, _) in sum + uniform() }
            return uniform() < 0.01 ? 3 * value : value
        }
        for tensor in tensors {
            let start = data.count
            for _ in 0..<tensor.shape.reduce(1, *) {
                // The scale differs by a factor of up to 8 along the tensor, so that channels have ranges of their own.
                let value =
                    tensor.scale == 0 ? 0.25 : sample() * tensor.scale * Double(1 + (data.count - start) / 64 % 8)
                switch tensor.dtype {
                case "F64": withUnsafeBytes(of: value) { data.append(contentsOf: $0) }
                case "F16": withUnsafeBytes(of: Float16(max(min(value, 65504), -65504))) { data.append(contentsOf: $0) }
                case "BF16":
                    withUnsafeBytes(of: UInt16(Float(value).bitPattern >> 16)) { data.append(contentsOf: $0) }
                case "I64": withUnsafeBytes(of: Int64(value * 1000)) { data.append(contentsOf: $0) }
                default: withUnsafeBytes(of: Float(value)) { data.append(contentsOf: $0) }
                }
            }
            header[tensor.name] = [
                "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, data.count],
            ]
        }
        var json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
        json.append(Data(repeating: 0x20, count: (8 - json.count % 8) % 8))
        let file = withUnsafeBytes(of: UInt64(json.count)) { Data($0) } + json + data
        try file.write(to: URL(filePath: path))
    }
}

extension ExampleModel {
    /// Writes layers that a trellis sorts by the scale of channels and places, gives centers, and splits by unions, and one that is
    /// longer than a run of it.
    static func writeScales(to path: String) throws {
        var random = SeededGenerator(5)
        func scales(_ count: Int) -> [Float] { (0..<count).map { _ in exp(1.5 * random.normal()) } }
        func tensor(_ name: String, _ shape: [Int], _ weight: (_ row: Int, _ column: Int) -> Float)
            -> Safetensors.Tensor
        {
            let columns = shape[shape.count - 1]
            let count = shape.reduce(1, *)
            return .init(name, shape, (0..<count).map { weight($0 / columns, $0 % columns) })
        }
        let (rows, columns) = (scales(192), scales(96))
        let centers = (0..<192).map { _ in 30 * random.normal() }
        let tensors = [
            tensor("rows.weight", [128, 96]) { row, _ in rows[row] * random.normal() },
            tensor("lstm.weight_ih_l0", [128, 66]) { row, _ in rows[row] * random.normal() },
            tensor("experts.weight", [3, 64, 66]) { row, _ in rows[row] * random.normal() },
            tensor("both.weight", [128, 96]) { row, column in rows[row] * columns[column] * random.normal() },
            // Keras: channels are last in memory.
            tensor("dense/kernel", [128, 96]) { row, column in rows[row] * columns[column] * random.normal() },
            tensor("channels.weight", [128, 96]) { row, _ in centers[row] + random.normal() },
            tensor("places.weight", [128, 96]) { _, column in centers[column] + random.normal() },
            tensor("bank.weight", [64, 128]) { row, column in 9 * sin(Float((row + 1) * column) / 40) },
            tensor("long.weight", [300, 400]) { _, _ in random.normal() },
            tensor("outlier.weight", [70, 75]) { row, column in (row * column % 97 == 5 ? 60 : 1) * random.normal() },
            tensor("short", [4999]) { _, _ in random.normal() },
        ]
        try Data(Safetensors(tensors).bytes).write(to: URL(filePath: path))
    }
}
