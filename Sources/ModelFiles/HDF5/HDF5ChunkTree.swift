/// Where the chunks of a dataset are, read from the file itself.
///
/// libhdf5 before 1.14 gives the chunks one by one, each time walking over those before it. Files of the oldest format, which
/// h5py and Keras write, list them in a B-tree that is easily read. Source: HDF5 File Format Specification 3.0, sections II.A
/// (superblock), III.A.1 (B-tree, version 1), IV.A.1.a (object header, version 1) and IV.A.2.i (data layout, version 3).
struct HDF5ChunkTree {
    private let bytes: UnsafeRawBufferPointer
    /// Sizes of the dataset, and one of its elements.
    private let dimensions: Int
    /// Chunks that there should be.
    private let count: Int

    /// The chunks of the dataset whose object header is at an address.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - header: the address.
    ///   - rank: dimensions of the dataset.
    ///   - count: chunks that it should have.
    /// - Returns: nil for files of a newer form, and for damaged ones.
    static func chunks(
        of bytes: UnsafeRawBufferPointer, header: UInt64, rank: Int, count: Int
    ) -> [HDF5Dataset.Chunk]? {
        guard hasOldSuperblock(bytes) else { return nil }
        let tree = HDF5ChunkTree(bytes: bytes, dimensions: rank + 1, count: count)
        guard let start = Int(exactly: header), let root = try? tree.root(header: start) else { return nil }
        return try? tree.leaves(below: root)
    }

    private static func hasOldSuperblock(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.starts(with: HDF5Contents.signature), bytes.count >= 64, bytes[8] <= 1 else { return false }
        // Addresses and lengths of 8 bytes, counted from the file's beginning.
        let base = bytes[8] == 0 ? 24 : 28
        return bytes[13] == 8 && bytes[14] == 8 && bytes[base..<base + 8].allSatisfy { $0 == 0 }
    }

    private func reader(at offset: Int) throws(ModelFileError) -> ByteReader {
        try ByteReader(bytes, at: offset, path: "", part: "")
    }

    /// The address of the tree's root, as the dataset's layout says.
    private func root(header: Int) throws(ModelFileError) -> Int? {
        var reader = try reader(at: header)
        guard try reader.integer(UInt8.self) == 1 else { return nil }
        try reader.skip(7)
        let size = Int(try reader.integer(UInt32.self))
        try reader.skip(4)
        var blocks = [(start: reader.offset, size: size)]
        var next = 0
        // A header of ordinary size continues once or twice.
        while next < blocks.count, next < 64 {
            let block = blocks[next]
            next += 1
            var reader = try self.reader(at: block.start)
            guard block.size <= reader.remaining else { return nil }
            let end = block.start + block.size
            while reader.offset + 8 <= end {
                let type = try reader.integer(UInt16.self)
                let length = Int(try reader.integer(UInt16.self))
                let flags = try reader.integer(UInt8.self)
                try reader.skip(3)
                var message = reader
                try reader.skip(length)
                switch type {
                case 0x10 where length >= 16: blocks.append((try message.size(), try message.size()))
                case 8 where length >= 11 && flags & 2 == 0:
                    // Version 3, chunked, so many dimensions.
                    guard try message.integer(UInt8.self) == 3, try message.integer(UInt8.self) == 2,
                        Int(try message.integer(UInt8.self)) == dimensions
                    else { return nil }
                    return try message.size()
                default: break
                }
            }
        }
        return nil
    }

    private func leaves(below root: Int?) throws(ModelFileError) -> [HDF5Dataset.Chunk]? {
        guard let root else { return nil }
        var chunks: [HDF5Dataset.Chunk] = []
        var nodes: [(address: Int, level: UInt8?)] = [(root, nil)]
        // A node has a chunk below it, so that there are no more of a level than chunks.
        var visits = 2 * count + 256
        while let node = nodes.popLast() {
            visits -= 1
            var reader = try reader(at: node.address)
            guard visits >= 0, try reader.integer(UInt32.self) == 0x4545_5254, try reader.integer(UInt8.self) == 1
            else { return nil }
            let level = try reader.integer(UInt8.self)
            guard node.level == nil || node.level == level else { return nil }
            let entries = Int(try reader.integer(UInt16.self))
            try reader.skip(16)
            guard entries <= reader.remaining / (16 + 8 * dimensions), chunks.count + entries <= count else {
                return nil
            }
            for _ in 0..<entries {
                let length = Int(try reader.integer(UInt32.self))
                try reader.skip(4 + 8 * dimensions)
                let address = try reader.size()
                if level == 0 {
                    chunks.append(.init(offset: address, length: length))
                } else {
                    nodes.append((address, level - 1))
                }
            }
        }
        return chunks.count == count ? chunks : nil
    }
}
