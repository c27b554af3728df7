import FoundationEssentials
import ModelFiles

/// The header of a safetensors file: length, then JSON, padded with spaces so that the data begins at a multiple of 8.
enum SafetensorsHeader {
    private struct Entry: Encodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    private enum Value: Encodable {
        case tensor(Entry)
        case metadata([String: String])

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .tensor(let entry): try entry.encode(to: encoder)
            case .metadata(let fields): try fields.encode(to: encoder)
            }
        }
    }

    /// The header of a file that holds these tensors one after the other.
    ///
    /// - Parameters:
    ///   - tensors: names, types and shapes, and how many bytes each has there.
    ///   - metadata: `__metadata__`, which is left out when empty.
    static func bytes(
        for tensors: [(record: TensorRecord, bytes: Int)], metadata: [String: String] = [:]
    ) throws -> [UInt8] {
        var values: [String: Value] = metadata.isEmpty ? [:] : ["__metadata__": .metadata(metadata)]
        var offset = 0
        for (tensor, bytes) in tensors {
            values[tensor.name] = .tensor(
                Entry(dtype: tensor.dtype.rawValue, shape: tensor.shape, data_offsets: [offset, offset + bytes]))
            offset += bytes
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var json = Array(try encoder.encode(values))
        json += Array(repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        return (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) } + json
    }
}
