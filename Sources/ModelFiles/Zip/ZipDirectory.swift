/// An entry of a ZIP file.
public struct ZipListing: Sendable {
    public let name: String
    /// Size of its content, and of that as it lies in the file.
    public let size: Int
    public let compressedSize: Int
    public let crc: UInt32
    /// Where the content lies in the file; `nil` when it is compressed.
    public let place: Range<Int>?
}

/// The entries of a ZIP file as its central directory lists them.
///
/// ZIP libraries give an entry's content but not its place in the file, which is what is needed here. Source: PKWARE's
/// APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3.
struct ZipDirectory {
    /// An integer and where it stands in the file.
    struct Field {
        let offset: Int
        /// Its size in bytes.
        let width: Int
        let value: Int
    }

    struct Entry {
        let name: String
        let flags: UInt16
        let method: UInt16
        let crc: UInt32
        /// Size of the content in the file.
        let compressedSizeField: Field
        let size: Int
        /// Offset of the local header.
        let headerField: Field
        /// Offset of the CRC-32 field in the central directory.
        let crcField: Int

        var compressedSize: Int { compressedSizeField.value }
        var header: Int { headerField.value }
    }

    let entries: [Entry]
    /// Offset of the central directory; entries lie before it.
    let start: Int
    /// Where the end records say the directory, and the ZIP64 end record, are.
    let positions: [Field]

    /// Whether a file is a ZIP, even one whose first entry is damaged.
    static func isPresent(in bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.starts(with: [0x50, 0x4b, 0x03, 0x04]) || findEnd(bytes) != nil
    }

    /// Lists the entries of a file, of which those that are compressed have no place.
    ///
    /// - Throws: what ``init(_:path:)`` and ``storedEntries(_:path:passingOver:)`` throw.
    static func listing(of file: MappedFile) throws(ModelFileError) -> [ZipListing] {
        try file.withAllBytes { bytes throws(ModelFileError) in
            let directory = try ZipDirectory(bytes, path: file.path)
            let stored = try directory.storedEntries(bytes, path: file.path, passingOver: { _ in true })
            // By bytes: strings are equal when they look the same.
            let places = Dictionary(stored.map { (Array($0.name.utf8), $0.extent.range) }) { first, _ in first }
            return directory.entries.map {
                ZipListing(
                    name: $0.name, size: $0.size, compressedSize: $0.compressedSize, crc: $0.crc,
                    place: places[Array($0.name.utf8)]
                )
            }
        }
    }

    /// Names of a file's entries; none when it is no ZIP, or its directory is damaged.
    static func entryNames(of file: MappedFile) -> [String] {
        file.withAllBytes { bytes in
            guard isPresent(in: bytes), let directory = try? ZipDirectory(bytes, path: file.path) else { return [] }
            return directory.entries.map(\.name)
        }
    }

    /// Reads the central directory of `bytes`, a whole file.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws(ModelFileError) {
        let part = "ZIP directory"
        guard let end = Self.findEnd(bytes) else {
            throw .malformed(
                path: path, part: part, expected: "an end record", found: "none: the file may be cut short")
        }
        var record = try ByteReader(bytes, at: end + 4, path: path, part: part)
        let disk = try record.integer(UInt16.self)
        let directoryDisk = try record.integer(UInt16.self)
        let countHere = try record.integer(UInt16.self)
        var count = Int(try record.integer(UInt16.self))
        var size = Int(try record.integer(UInt32.self))
        var offset = Int(try record.integer(UInt32.self))
        var positions = offset == 0xffff_ffff ? [] : [Field(offset: end + 16, width: 4, value: offset)]
        guard disk == directoryDisk, Int(countHere) == count, disk == 0 || disk == .max else {
            throw .malformed(path: path, part: part, expected: "one file", found: "a part of a split archive")
        }
        if count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
            let record = try Self.zip64End(bytes, before: end, path: path)
            (count, size, offset) = (record.count, record.size, record.offset.value)
            positions += [record.offset, record.position]
        }
        guard offset <= end, size <= end - offset, count <= size / 46 else {
            throw .malformed(
                path: path, part: part, expected: "\(count) entries before offset \(end)",
                found: "\(size) bytes at offset \(offset)")
        }
        var reader = try ByteReader(
            UnsafeRawBufferPointer(rebasing: bytes[..<(offset + size)]), at: offset, path: path, part: part)
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count { entries.append(try Self.entry(&reader)) }
        guard reader.remaining == 0 else {
            throw .malformed(
                path: path, part: part, expected: "\(count) entries in \(size) bytes",
                found: "\(reader.remaining) bytes more")
        }
        self.entries = entries
        self.positions = positions
        start = offset
    }

    /// The offset of the end record: the last one whose comment reaches to the end of the file.
    private static func findEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 22 else { return nil }
        let last = bytes.count - 22
        for offset in stride(from: last, through: max(0, last - 0xffff), by: -1)
        where bytes[offset] == 0x50 && bytes.starts(with: [0x50, 0x4b, 0x05, 0x06], at: offset) {
            if Int(bytes[offset + 20]) | Int(bytes[offset + 21]) << 8 == last - offset { return offset }
        }
        return nil
    }

    private static func zip64End(
        _ bytes: UnsafeRawBufferPointer, before end: Int, path: String
    ) throws(ModelFileError) -> (count: Int, size: Int, offset: Field, position: Field) {
        let part = "ZIP64 end record"
        guard bytes.starts(with: [0x50, 0x4b, 0x06, 0x07], at: end - 20) else {
            throw .malformed(path: path, part: part, expected: "a locator at offset \(end - 20)", found: "none")
        }
        var locator = try ByteReader(bytes, at: end - 12, path: path, part: part)
        let position = try locator.size()
        var record = try ByteReader(bytes, at: position, path: path, part: part)
        guard try record.integer(UInt32.self) == 0x0606_4b50 else {
            throw .malformed(path: path, part: part, expected: "a record at offset \(position)", found: "other bytes")
        }
        // Its own size, two versions, two disk numbers and the count on this disk.
        try record.skip(8 + 2 + 2 + 4 + 4 + 8)
        let (count, size) = (try record.size(), try record.size())
        let offset = Field(offset: record.offset, width: 8, value: try record.size())
        return (count, size, offset, Field(offset: end - 12, width: 8, value: position))
    }

    private static func entry(_ reader: inout ByteReader) throws(ModelFileError) -> Entry {
        let start = reader.offset
        guard try reader.integer(UInt32.self) == 0x0201_4b50 else {
            throw .malformed(
                path: reader.path, part: reader.part, expected: "an entry at offset \(start)", found: "other bytes")
        }
        try reader.skip(4)
        let flags = try reader.integer(UInt16.self)
        let method = try reader.integer(UInt16.self)
        try reader.skip(4)
        let crc = try reader.integer(UInt32.self)
        var compressed = Field(offset: reader.offset, width: 4, value: Int(try reader.integer(UInt32.self)))
        var size = Int(try reader.integer(UInt32.self))
        let nameLength = Int(try reader.integer(UInt16.self))
        let extraLength = Int(try reader.integer(UInt16.self))
        let commentLength = Int(try reader.integer(UInt16.self))
        try reader.skip(8)
        var header = Field(offset: reader.offset, width: 4, value: Int(try reader.integer(UInt32.self)))
        let name = String(decoding: try reader.take(nameLength), as: UTF8.self)
        let extraStart = reader.offset
        var extra = try ByteReader(try reader.take(extraLength), path: reader.path, part: "ZIP entry \(quoted(name))")
        try reader.skip(commentLength)
        // Sizes that do not fit 32 bits stand in an extra field, only those, in this order.
        while extra.remaining >= 4 {
            let kind = try extra.integer(UInt16.self)
            let length = Int(try extra.integer(UInt16.self))
            let fieldStart = extraStart + extra.offset
            var field = try ByteReader(try extra.take(length), path: reader.path, part: extra.part)
            func wide(_ field: inout ByteReader) throws(ModelFileError) -> Field {
                Field(offset: fieldStart + field.offset, width: 8, value: try field.size())
            }
            guard kind == 1 else { continue }
            if size == 0xffff_ffff { size = try field.size() }
            if compressed.width == 4, compressed.value == 0xffff_ffff { compressed = try wide(&field) }
            if header.width == 4, header.value == 0xffff_ffff { header = try wide(&field) }
        }
        return Entry(
            name: name, flags: flags, method: method, crc: crc, compressedSizeField: compressed, size: size,
            headerField: header, crcField: start + 16)
    }
}
