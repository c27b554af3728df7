/// Writes stored ZIP files by hand, with whatever is to be wrong with them.
struct ZipWriter {
    struct Entry {
        var name: String
        var method: UInt16 = 0
        var flags: UInt16 = 0
        var hasDescriptor = false
        var hasDescriptorSignature = true
        var isZip64 = false
        var localName: String?
        /// Where the directory says the local header is, when that is to be wrong.
        var header: Int?
        var localCRC: UInt32?
    }

    private(set) var bytes: [UInt8] = []
    private var directory: [UInt8] = []
    private var count = 0

    mutating func add(_ name: String, _ data: [UInt8]) { add(Entry(name: name), data) }

    mutating func add(_ entry: Entry, _ data: [UInt8]) {
        let crc = crc32(data)
        let size = UInt32(data.count)
        let header = entry.header ?? bytes.count
        let flags = entry.flags | (entry.hasDescriptor ? 8 : 0)
        let local = Array((entry.localName ?? entry.name).utf8)
        bytes += [0x50, 0x4b, 3, 4] + littleEndian(UInt16(20)) + littleEndian(flags) + littleEndian(entry.method)
        bytes += [0, 0, 0, 0] + littleEndian(entry.hasDescriptor ? 0 : entry.localCRC ?? crc)
        bytes += littleEndian(entry.hasDescriptor ? 0 : size) + littleEndian(entry.hasDescriptor ? 0 : size)
        bytes += littleEndian(UInt16(local.count)) + [0, 0] + local + data
        if entry.hasDescriptor {
            bytes += entry.hasDescriptorSignature ? [0x50, 0x4b, 7, 8] : []
            bytes += littleEndian(crc) + littleEndian(size) + littleEndian(size)
        }
        let extra =
            entry.isZip64
            ? littleEndian(UInt16(1)) + littleEndian(UInt16(24)) + littleEndian(UInt64(size))
                + littleEndian(UInt64(size))
                + littleEndian(UInt64(header)) : []
        directory += [0x50, 0x4b, 1, 2] + littleEndian(UInt16(20)) + littleEndian(UInt16(20)) + littleEndian(flags)
        directory += littleEndian(entry.method) + [0, 0, 0, 0] + littleEndian(crc)
        directory += entry.isZip64 ? [UInt8](repeating: 0xff, count: 8) : littleEndian(size) + littleEndian(size)
        directory += littleEndian(UInt16(entry.name.utf8.count)) + littleEndian(UInt16(extra.count))
        directory += [UInt8](repeating: 0, count: 10)
        directory += entry.isZip64 ? [0xff, 0xff, 0xff, 0xff] : littleEndian(UInt32(truncatingIfNeeded: header))
        directory += Array(entry.name.utf8) + extra
        count += 1
    }

    /// The file: entries, directory and end record, with ZIP64 records and a comment as asked for.
    func finished(zip64: Bool = false, comment: String = "", disk: UInt16 = 0) -> [UInt8] {
        var file = bytes + directory
        if zip64 {
            let record = file.count
            file += [0x50, 0x4b, 6, 6] + littleEndian(UInt64(44)) + [45, 0, 45, 0] + [UInt8](repeating: 0, count: 8)
            file += littleEndian(UInt64(count)) + littleEndian(UInt64(count))
            file += littleEndian(UInt64(directory.count)) + littleEndian(UInt64(bytes.count))
            file += [0x50, 0x4b, 6, 7, 0, 0, 0, 0] + littleEndian(UInt64(record)) + [1, 0, 0, 0]
        }
        file += [0x50, 0x4b, 5, 6] + littleEndian(disk) + littleEndian(UInt16(0))
        if zip64 {
            file += [UInt8](repeating: 0xff, count: 12)
        } else {
            file += littleEndian(UInt16(count)) + littleEndian(UInt16(count))
            file += littleEndian(UInt32(directory.count)) + littleEndian(UInt32(bytes.count))
        }
        return file + littleEndian(UInt16(comment.utf8.count)) + comment.utf8
    }
}
