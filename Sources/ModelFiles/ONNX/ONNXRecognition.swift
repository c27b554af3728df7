extension ONNX {
    /// Whether the bytes are a protocol buffer with the fields of ONNX's `ModelProto`.
    ///
    /// There is no signature. The top-level fields are followed until the version and the graph have been seen; the graph must
    /// begin as one, and may end beyond a truncated file.
    static func recognizes(_ file: MappedFile) -> Bool {
        file.withAllBytes { bytes in
            var reader = HeadReader(bytes: bytes)
            var hasVersion = false
            var hasGraph = false
            while !(hasVersion && hasGraph) {
                guard let (number, wireType) = reader.tag() else { return false }
                switch (number, wireType) {
                case (1, 0):
                    guard let version = reader.varint(), version < 1 << 16 else { return false }
                    hasVersion = true
                case (7, 2):
                    guard let length = reader.varint(), length > 0, beginsAsGraph(reader) else { return false }
                    hasGraph = true
                    guard hasVersion || reader.skip(length) else { return false }
                case (1...8, _) where (wireType == 0) != (number == 1 || number == 5): return false
                default:
                    guard reader.skipValue(wireType) else { return false }
                }
            }
            return true
        }
    }

    /// Whether a nested message starts with a field that `GraphProto` has, or one that no version of it has had yet.
    private static func beginsAsGraph(_ reader: HeadReader) -> Bool {
        var reader = reader
        guard let (number, wireType) = reader.tag() else { return true }
        return number > 16 || wireType == 2 && [1, 2, 5, 10, 11, 12, 13, 14, 15, 16].contains(number)
    }
}

/// Reads the beginning of what may be a protocol buffer.
private struct HeadReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func tag() -> (number: UInt64, wireType: UInt64)? {
        guard let tag = varint(), (1..<1 << 29).contains(tag >> 3) else { return nil }
        return (tag >> 3, tag & 7)
    }

    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard offset < bytes.count else { return nil }
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    /// Whether that many bytes were there to be skipped.
    mutating func skip(_ count: UInt64) -> Bool {
        guard count <= UInt64(bytes.count - offset) else { return false }
        offset += Int(count)
        return true
    }

    mutating func skipValue(_ wireType: UInt64) -> Bool {
        switch wireType {
        case 0: varint() != nil
        case 1: skip(8)
        case 2: varint().map { skip($0) } ?? false
        case 3: skipGroup()
        case 5: skip(4)
        default: false
        }
    }

    private mutating func skipGroup() -> Bool {
        var open = 1
        while open > 0 {
            guard let (_, wireType) = tag() else { return false }
            switch wireType {
            case 3: open += 1
            case 4: open -= 1
            default: guard skipValue(wireType) else { return false }
            }
        }
        return true
    }
}
