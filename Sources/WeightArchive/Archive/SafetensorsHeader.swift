import FoundationEssentials
import ModelFiles

/// The header of a safetensors file: length, then JSON, padded with spaces so that the data begins at a multiple of 8.
enum SafetensorsHeader {
    private struct Entry: Encodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }

    /// The header of a file that holds these tensors one after the other.
    static func bytes(for tensors: [TensorRecord]) throws -> [UInt8] {
        var entries: [String: Entry] = [:]
        var offset = 0
        for tensor in tensors {
            let end = offset + tensor.extent.length
            entries[tensor.name] = Entry(
                dtype: tensor.dtype.rawValue, shape: tensor.shape, data_offsets: [offset, end])
            offset = end
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var json = Array(try encoder.encode(entries))
        json += Array(repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
        return (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) } + json
    }
}
