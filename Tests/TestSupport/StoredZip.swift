import CDeflate
import CXXHash

/// A ZIP as a list of entries, to be changed and written again, stored.
public struct StoredZip: Sendable {
    public var entries: [(name: String, bytes: [UInt8])] = []
    /// Names of the entries that are written deflated.
    public var deflated: Set<String> = []

    /// A ZIP without entries.
    public init() {}

    /// Reads the entries that a ZIP's directory lists, with the CRC-32 that it says they have.
    ///
    /// - Returns: `nil` for anything but a ZIP of stored and deflated entries.
    public init?(_ file: [UInt8]) {
        func number(_ offset: Int, _ size: Int) -> Int? {
            guard offset >= 0, offset + size <= file.count else { return nil }
            return (0..<size).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) }
        }
        guard
            let end = stride(from: file.count - 22, through: 0, by: -1).first(where: { number($0, 4) == 0x0605_4b50 }),
            let count = number(end + 10, 2), var at = number(end + 16, 4)
        else { return nil }
        for _ in 0..<count {
            guard number(at, 4) == 0x0201_4b50, let method = number(at + 10, 2), method == 0 || method == 8,
                let size = number(at + 24, 4), let stored = number(at + 20, 4),
                let nameLength = number(at + 28, 2), let extra = number(at + 30, 2), let comment = number(at + 32, 2),
                let local = number(at + 42, 4), let localName = number(local + 26, 2),
                let localExtra = number(local + 28, 2),
                let crc = number(at + 16, 4)
            else { return nil }
            let start = local + 30 + localName + localExtra
            guard start + stored <= file.count else { return nil }
            let content = Array(file[start..<start + stored])
            let bytes = method == 8 ? inflate(content, size) : content
            guard bytes.count == size, Int(crc32(bytes)) == crc else { return nil }
            entries.append((String(decoding: file[at + 46..<at + 46 + nameLength], as: UTF8.self), bytes))
            at += 46 + nameLength + extra + comment
        }
    }

    /// The bytes of the entry of that name; setting `nil` removes it.
    public subscript(_ name: String) -> [UInt8]? {
        get { entries.first { $0.name == name }?.bytes }
        set {
            let index = entries.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let bytes?): entries[index].bytes = bytes
            case (let index?, nil): entries.remove(at: index)
            case (nil, let bytes?): entries.append((name, bytes))
            case (nil, nil): break
            }
        }
    }

    /// The file, with a comment at its end.
    public func bytes(comment: [UInt8]) -> [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for (name, bytes) in entries {
            let content = deflated.contains(name) ? deflate(bytes) : bytes
            let common =
                littleEndian(UInt16(20)) + littleEndian(UInt16(0x800)) + [deflated.contains(name) ? 8 : 0, 0]
                + [0, 0, 0x21, 0] + littleEndian(crc32(bytes))
                + littleEndian(UInt32(content.count)) + littleEndian(UInt32(bytes.count))
                + littleEndian(UInt16(name.utf8.count)) + [0, 0]
            directory += [0x50, 0x4b, 1, 2, 20, 0] + common + [UInt8](repeating: 0, count: 10)
            directory += littleEndian(UInt32(file.count)) + Array(name.utf8)
            file += [0x50, 0x4b, 3, 4] + common + Array(name.utf8) + content
        }
        let end =
            [0x50, 0x4b, 5, 6, 0, 0, 0, 0] + littleEndian(UInt16(entries.count)) + littleEndian(UInt16(entries.count))
            + littleEndian(UInt32(directory.count)) + littleEndian(UInt32(file.count))
            + littleEndian(UInt16(comment.count))
        return file + directory + end + comment
    }

    /// The file as a packed one: its comment holds the hash of all that is before the hash.
    public var packed: [UInt8] {
        let prefix = Array("wcodec 1 xxh3-128 ".utf8)
        var file = bytes(comment: prefix + [UInt8](repeating: 48, count: 32))
        file.removeLast(32)
        return file + Array(xxh3(file).utf8)
    }
}

private func deflate(_ bytes: [UInt8]) -> [UInt8] {
    guard let compressor = libdeflate_alloc_compressor(6) else { return [] }
    defer { libdeflate_free_compressor(compressor) }
    let bound = libdeflate_deflate_compress_bound(compressor, bytes.count)
    return [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
        count = libdeflate_deflate_compress(compressor, bytes, bytes.count, buffer.baseAddress, bound)
    }
}

/// Inflates a raw deflate stream; empty when it does not give so many bytes.
public func inflate(_ bytes: [UInt8], _ size: Int) -> [UInt8] {
    guard let decompressor = libdeflate_alloc_decompressor() else { return [] }
    defer { libdeflate_free_decompressor(decompressor) }
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        let result = libdeflate_deflate_decompress(
            decompressor, bytes, bytes.count, buffer.baseAddress, size, nil)
        count = result == LIBDEFLATE_SUCCESS ? size : 0
    }
}

/// XXH3-128 as hexadecimal digits.
public func xxh3(_ bytes: [UInt8]) -> String {
    let hash = bytes.withUnsafeBytes { XXH3_128bits($0.baseAddress, $0.count) }
    return [hash.high64, hash.low64].map { word in
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
}
