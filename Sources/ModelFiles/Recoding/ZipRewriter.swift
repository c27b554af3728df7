/// Writes a ZIP again with the content of some entries in another form and everything else as it is.
struct ZipRewriter {
    /// Appends an entry's content, which lies at a range of the file, in its new form.
    typealias Converter = (ZipDirectory.Entry, Range<Int>, inout OutputFile) throws(ModelFileError) -> Void

    private let file: MappedFile
    private let directory: ZipDirectory

    init(_ file: MappedFile, _ directory: ZipDirectory) {
        self.file = file
        self.directory = directory
    }

    /// An integer that is another in the new file.
    private struct Correction {
        /// Where it is in the new file.
        let offset: Int
        let width: Int
        let value: Int
    }

    /// What changes for an entry: the place of its local header and, when it is converted, the size of its content.
    private struct Move {
        var header: Int
        var size: Int?
    }

    /// Writes the file.
    ///
    /// - Parameters:
    ///   - methods: the compression method that each entry to convert has then, by place in the directory.
    ///   - output: an empty file.
    ///   - convert: appends the new content of an entry.
    /// - Throws: ``ModelFileError`` when entries overlap or disagree with the directory, when a size or place does not fit its
    ///   field any more, and what `convert` throws.
    func write(
        _ methods: [Int: UInt16], to output: inout OutputFile, _ convert: Converter
    ) throws(ModelFileError) {
        var corrections: [Correction] = []
        var moves: [Int: Move] = [:]
        var position = 0
        for index in directory.entries.indices.sorted(by: {
            directory.entries[$0].header < directory.entries[$1].header
        }) {
            let entry = directory.entries[index]
            // The bytes up to here are copied or replaced: the distance is what replacing them changed.
            let shift = output.size - position
            moves[index] = Move(header: entry.header + shift)
            guard let method = methods[index] else { continue }
            let local = try LocalHeader(entry, in: file, end: directory.start)
            guard entry.header >= position else {
                throw problem(entry, expected: "bytes of its own", found: "an overlap with another entry")
            }
            try output.append(position..<local.content.lowerBound, of: file)
            let start = output.size
            try convert(entry, local.content, &output)
            position = local.content.upperBound
            let size = output.size - start
            moves[index]?.size = size
            corrections.append(Correction(offset: local.method + shift, width: 2, value: Int(method)))
            for field in local.sizes {
                let isAfter = field.offset >= position
                corrections.append(
                    try correction(
                        at: field.offset + (isAfter ? output.size - position : shift), width: field.width, size))
            }
        }
        let shift = output.size - position
        try output.append(position..<file.size, of: file)
        for (index, entry) in directory.entries.enumerated() {
            guard let move = moves[index] else { continue }
            if let size = move.size, let method = methods[index] {
                corrections.append(Correction(offset: entry.crcField - 6 + shift, width: 2, value: Int(method)))
                let field = entry.compressedSizeField
                corrections.append(try correction(at: field.offset + shift, width: field.width, size))
            }
            let field = entry.headerField
            corrections.append(try correction(at: field.offset + shift, width: field.width, move.header))
        }
        for field in directory.positions {
            corrections.append(
                try correction(at: field.offset + shift, width: field.width, field.value + shift))
        }
        for correction in corrections {
            try output.correct(correction.value, width: correction.width, at: correction.offset)
        }
    }

    private func correction(at offset: Int, width: Int, _ value: Int) throws(ModelFileError) -> Correction {
        guard width == 8 || value < 0xffff_ffff else { throw tooLarge }
        return Correction(offset: offset, width: width, value: value)
    }

    private var tooLarge: ModelFileError {
        .unsupported(
            path: file.path, found: "a compressed ZIP file that takes 4 GiB or more uncompressed",
            advice: "save it without compression")
    }

    private func problem(_ entry: ZipDirectory.Entry, expected: String, found: String) -> ModelFileError {
        .malformed(path: file.path, part: "ZIP entry \(quoted(entry.name))", expected: expected, found: found)
    }
}

/// The places of an entry's content, and of the fields around it that say how it is compressed.
private struct LocalHeader {
    let content: Range<Int>
    /// Offset of the compression method.
    let method: Int
    /// Fields that hold the compressed size: in the local header, its ZIP64 field, or the data descriptor.
    let sizes: [ZipDirectory.Field]

    /// - Parameters:
    ///   - entry: as the directory has it.
    ///   - end: offset that the entry must not reach beyond.
    init(_ entry: ZipDirectory.Entry, in file: MappedFile, end: Int) throws(ModelFileError) {
        let part = "ZIP entry \(quoted(entry.name))"
        func disagreement(_ expected: String) -> ModelFileError {
            .malformed(path: file.path, part: part, expected: expected, found: "other bytes")
        }
        (content, method, sizes) = try file.withAllBytes { (bytes) throws(ModelFileError) in
            var reader = try ByteReader(
                UnsafeRawBufferPointer(rebasing: bytes[..<end]), at: entry.header, path: file.path, part: part)
            guard try reader.integer(UInt32.self) == 0x0403_4b50 else {
                throw disagreement("a local header at offset \(entry.header)")
            }
            try reader.skip(2)
            let flags = try reader.integer(UInt16.self)
            let method = reader.offset
            guard try reader.integer(UInt16.self) == entry.method else {
                throw disagreement("compression method \(entry.method) in its local header")
            }
            try reader.skip(8)
            var sizes: [ZipDirectory.Field] = []
            let compressed = ZipDirectory.Field(
                offset: reader.offset, width: 4, value: Int(try reader.integer(UInt32.self)))
            try reader.skip(4)
            let nameLength = Int(try reader.integer(UInt16.self))
            let extraLength = Int(try reader.integer(UInt16.self))
            try reader.skip(nameLength)
            let extraEnd = reader.offset + extraLength
            if compressed.value == 0xffff_ffff {
                // In a local header the field has both sizes.
                while reader.offset + 20 <= extraEnd {
                    let kind = try reader.integer(UInt16.self)
                    let length = Int(try reader.integer(UInt16.self))
                    if kind == 1, length >= 16 {
                        try reader.skip(8)
                        sizes.append(.init(offset: reader.offset, width: 8, value: try reader.size()))
                        break
                    }
                    try reader.skip(length)
                }
            } else if compressed.value != 0 || flags & 8 == 0 {
                sizes.append(compressed)
            }
            guard reader.offset <= extraEnd, flags & 8 != 0 || sizes.count == 1 else {
                throw disagreement("its sizes in its local header")
            }
            try reader.skip(extraEnd - reader.offset)
            let start = reader.offset
            try reader.skip(entry.compressedSize)
            let content = start..<reader.offset
            // Before a data descriptor a size may be zero, in either field.
            sizes.removeAll { flags & 8 != 0 && $0.value == 0 }
            guard sizes.allSatisfy({ $0.value == entry.compressedSize }) else {
                throw disagreement("\(entry.compressedSize) bytes in its local header")
            }
            if flags & 8 != 0 { sizes.append(try Self.descriptorSize(entry, &reader)) }
            return (content, method, sizes)
        }
    }

    /// The compressed size in the data descriptor that follows the content, of 4 or 8 bytes.
    private static func descriptorSize(
        _ entry: ZipDirectory.Entry, _ reader: inout ByteReader
    ) throws(ModelFileError) -> ZipDirectory.Field {
        var crc = try reader.integer(UInt32.self)
        if crc == 0x0807_4b50 { crc = try reader.integer(UInt32.self) }
        let offset = reader.offset
        let first = Int(try reader.integer(UInt32.self))
        let second = Int(try reader.integer(UInt32.self))
        let value = entry.compressedSize
        if crc == entry.crc, first == value, second == entry.size {
            return .init(offset: offset, width: 4, value: value)
        }
        guard crc == entry.crc, first == value & 0xffff_ffff, second == value >> 32, try reader.size() == entry.size
        else {
            throw .malformed(
                path: reader.path, part: reader.part, expected: "the directory's sizes in its data descriptor",
                found: "others")
        }
        return .init(offset: offset, width: 8, value: value)
    }
}
