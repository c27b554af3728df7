import FoundationEssentials

/// The header of a safetensors file, checked against the format's rules.
///
/// An 8-byte little-endian length, a JSON object of that length that begins with `{`, then the tensors' bytes, which it must
/// index entirely: no hole, no overlap. Source: "Format" in the README of huggingface/safetensors.
struct SafetensorsHeader {
    /// The tensors in the order of their bytes, extents relative to the file's start.
    let tensors: [TensorRecord]
    /// What `__metadata__` says.
    let metadata: [String: String]

    /// The longest header the reference implementation takes.
    static let maximumLength = 100_000_000

    /// Reads and checks the header.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - file: index for the extents.
    ///   - path: named in errors.
    init(_ bytes: UnsafeRawBufferPointer, file: Int, path: String) throws(ModelFileError) {
        var reader = try ByteReader(bytes, path: path, part: "safetensors header")
        let length = try reader.integer(UInt64.self)
        guard length <= UInt64(Self.maximumLength) else {
            throw .malformed(
                path: path, part: "safetensors header length", expected: "at most \(Self.maximumLength) bytes",
                found: "\(length)")
        }
        guard Int(length) <= reader.remaining else {
            throw .malformed(
                path: path, part: "safetensors header length", expected: "\(length) bytes behind it",
                found: "\(reader.remaining): the file is truncated")
        }
        let json = try reader.take(Int(length))
        let decoded = try Self.decode(json, path: path)
        let entries = decoded.entries
        metadata = decoded.metadata
        let dataStart = reader.offset
        let dataLength = reader.remaining

        // Before anything is said of single tensors, of which the last ones' bytes would be missing.
        let end = entries.values.reduce(0) { max($0, $1.offsets.max() ?? 0) }
        guard end <= dataLength else {
            throw .malformed(
                path: path, part: "safetensors data", expected: "\(end) bytes, as the header says",
                found: "\(dataLength): the file is truncated")
        }
        var records: [TensorRecord] = []
        records.reserveCapacity(entries.count)
        for (name, entry) in entries {
            records.append(try Self.record(name, entry, file, dataStart: dataStart, dataLength: dataLength, path: path))
        }
        records.sort { ($0.extent.offset, $0.extent.length, $0.name) < ($1.extent.offset, $1.extent.length, $1.name) }
        var position = dataStart
        for record in records {
            guard record.extent.offset == position else {
                throw .invalidTensor(
                    path: path, tensor: record.name,
                    expected: "data that begins at \(position - dataStart), without hole or overlap",
                    found: "\(record.extent.offset - dataStart)")
            }
            position += record.extent.length
        }
        guard position == bytes.count else {
            throw .malformed(
                path: path, part: "safetensors data", expected: "\(position - dataStart) bytes, as the header says",
                found: "\(dataLength)")
        }
        tensors = records
    }

    private static func record(
        _ name: String, _ entry: SafetensorsEntry, _ file: Int, dataStart: Int, dataLength: Int, path: String
    ) throws(ModelFileError) -> TensorRecord {
        let dtype = DType(rawValue: entry.dtype)
        guard entry.offsets.count == 2, 0 <= entry.offsets[0], entry.offsets[0] <= entry.offsets[1],
            entry.offsets[1] <= dataLength
        else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "two rising data offsets up to \(dataLength)",
                found: "\(entry.offsets.prefix(4))")
        }
        let length = entry.offsets[1] - entry.offsets[0]
        guard let count = elementCount(entry.shape) else {
            throw .invalidTensor(
                path: path, tensor: name, expected: "a shape of at most \(length) bytes",
                found: described(dtype, entry.shape))
        }
        // Of a type not known here only this much can be said: its elements fill the bytes evenly.
        let consistent =
            if let bits = dtype.bitWidth { byteCount(count, bits: bits) == length } else {
                count == 0 ? length == 0 : length > 0 && (byteCount(length, bits: 64) ?? 0).isMultiple(of: count)
            }
        guard consistent else {
            throw .invalidTensor(
                path: path, tensor: name,
                expected: dtype.bitWidth.flatMap { byteCount(count, bits: $0) }.map {
                    "\($0) bytes for \(described(dtype, entry.shape))"
                }
                    ?? "bytes for \(described(dtype, entry.shape))",
                found: "\(length) bytes")
        }
        return TensorRecord(
            name: name, dtype: dtype, shape: entry.shape,
            extent: Extent(file: file, offset: dataStart + entry.offsets[0], length: length),
            memoryOrder: Array(entry.shape.indices))
    }

    private static func decode(
        _ json: UnsafeRawBufferPointer, path: String
    ) throws(ModelFileError) -> SafetensorsEntries {
        let decoded: SafetensorsEntries = try decodeJSON(json, path: path, part: "safetensors header")
        // JSONDecoder silently keeps one of two equal keys.
        let keys = countKeys(json, depth: 2)
        guard keys[1] == decoded.keyCount, keys[2] == decoded.innerKeyCount else {
            throw .malformed(
                path: path, part: "safetensors header", expected: "distinct keys", found: "a key that occurs twice")
        }
        return decoded
    }
}

/// What the header says of one tensor.
struct SafetensorsEntry: Decodable {
    let dtype: String
    let shape: [Int]
    let offsets: [Int]
    let keyCount: Int

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NameKey.self)
        dtype = try container.decode(String.self, forKey: NameKey("dtype"))
        shape = try container.decode([Int].self, forKey: NameKey("shape"))
        offsets = try container.decode([Int].self, forKey: NameKey("data_offsets"))
        keyCount = container.allKeys.count
    }
}

/// The header's object: a tensor under each key, but for `__metadata__`.
private struct SafetensorsEntries: Decodable {
    var entries: [String: SafetensorsEntry] = [:]
    var metadata: [String: String] = [:]
    let keyCount: Int
    var innerKeyCount = 0

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: NameKey.self)
        keyCount = container.allKeys.count
        for key in container.allKeys {
            if key.stringValue == "__metadata__" {
                metadata = try container.decode([String: String].self, forKey: key)
                innerKeyCount += metadata.count
            } else {
                let entry = try container.decode(SafetensorsEntry.self, forKey: key)
                innerKeyCount += entry.keyCount
                entries[key.stringValue] = entry
            }
        }
    }
}
