/// An entry of a ZIP file that is stored as it is, and where.
struct StoredEntry {
    let name: String
    /// The content's bytes in the file.
    let extent: Extent
    /// Offsets of the CRC-32 fields over the content: central directory, and local header or data descriptor.
    let crcFields: [Int]
}

extension ZipDirectory {
    /// Finds the content of every entry.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - path: named in errors.
    ///   - passesOver: which entries may be compressed; such ones are left out of the result.
    /// - Throws: ``ModelFileError/malformed(path:part:expected:found:)`` when an entry is compressed, encrypted, repeated,
    ///   outside of the file or overlaps another, or its local header disagrees with the directory.
    func storedEntries(
        _ bytes: UnsafeRawBufferPointer, path: String, passingOver passesOver: (String) -> Bool = { _ in false }
    ) throws(ModelFileError) -> [StoredEntry] {
        var stored: [StoredEntry] = []
        var runs: [(start: Int, end: Int, name: String)] = []
        // By bytes: strings are equal when they look the same.
        var names: Set<[UInt8]> = []
        for entry in entries {
            guard names.insert(Array(entry.name.utf8)).inserted else {
                throw problem(entry, path, expected: "one entry of this name", found: "two")
            }
            let isOpaque = entry.method != 0 && passesOver(entry.name)
            let (found, end) = try locate(entry, bytes, mustBeStored: !isOpaque, path: path)
            if !isOpaque { stored.append(found) }
            runs.append((entry.header, end, entry.name))
        }
        runs.sort { $0.start < $1.start }
        for (run, next) in zip(runs, runs.dropFirst()) where run.end > next.start {
            throw .malformed(
                path: path, part: "ZIP entry \(quoted(next.name))", expected: "bytes of its own",
                found: "an overlap with \(quoted(run.name))")
        }
        return stored
    }

    private func locate(
        _ entry: Entry, _ bytes: UnsafeRawBufferPointer, mustBeStored: Bool, path: String
    ) throws(ModelFileError) -> (StoredEntry, end: Int) {
        guard entry.method == 0 || !mustBeStored else {
            throw problem(entry, path, expected: "stored bytes", found: "compression method \(entry.method)")
        }
        // Bit 0 encrypts the content, bit 13 the directory.
        guard entry.flags & 0x2001 == 0 else {
            throw problem(entry, path, expected: "plain bytes", found: "encryption")
        }
        guard entry.size == entry.compressedSize || !mustBeStored else {
            throw problem(entry, path, expected: "\(entry.size) stored bytes", found: "\(entry.compressedSize)")
        }
        var reader = try ByteReader(
            UnsafeRawBufferPointer(rebasing: bytes[..<start]), at: entry.header, path: path,
            part: "ZIP entry \(quoted(entry.name))")
        guard try reader.integer(UInt32.self) == 0x0403_4b50 else {
            throw problem(entry, path, expected: "a local header at offset \(entry.header)", found: "other bytes")
        }
        try reader.skip(2)
        let flags = try reader.integer(UInt16.self)
        let method = try reader.integer(UInt16.self)
        try reader.skip(4)
        let localField = reader.offset
        let localCRC = try reader.integer(UInt32.self)
        try reader.skip(8)
        let nameLength = Int(try reader.integer(UInt16.self))
        let extraLength = Int(try reader.integer(UInt16.self))
        let name = String(decoding: try reader.take(nameLength), as: UTF8.self)
        guard name == entry.name, method == entry.method, flags & 0x2009 == entry.flags & 0x2009 else {
            throw problem(entry, path, expected: "the same name, method and flags in its local header", found: "others")
        }
        try reader.skip(extraLength)
        let content = Extent(file: 0, offset: reader.offset, length: entry.compressedSize)
        try reader.skip(entry.compressedSize)

        var fields = [entry.crcField]
        let hasDescriptor = flags & 8 != 0
        // Before a data descriptor the local field is zero, or already right.
        if !hasDescriptor || localCRC != 0 {
            guard localCRC == entry.crc else {
                throw problem(entry, path, expected: "the directory's CRC-32 in its local header", found: "another")
            }
            fields.append(localField)
        }
        if hasDescriptor {
            var crc = try reader.integer(UInt32.self)
            // The signature is optional; a CRC-32 may look like one, and then stands twice or is followed by the size.
            if crc == 0x0807_4b50 { crc = try reader.integer(UInt32.self) }
            guard crc == entry.crc else {
                throw problem(entry, path, expected: "the directory's CRC-32 in its data descriptor", found: "another")
            }
            fields.append(reader.offset - 4)
            // Two sizes, of 4 bytes at least.
            try reader.skip(8)
        }
        return (StoredEntry(name: entry.name, extent: content, crcFields: fields), reader.offset)
    }

    private func problem(_ entry: Entry, _ path: String, expected: String, found: String) -> ModelFileError {
        .malformed(path: path, part: "ZIP entry \(quoted(entry.name))", expected: expected, found: found)
    }
}
