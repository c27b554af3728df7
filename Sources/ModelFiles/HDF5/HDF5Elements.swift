extension HDF5Library {
    /// Reads a chunked dataset's elements in order, a row of chunks at a time, so that each chunk is decompressed once.
    ///
    /// - Parameters:
    ///   - dataset: as it was described.
    ///   - file: identifier of the open file.
    ///   - path: for errors.
    ///   - take: receives the elements of whole rows.
    func forEachSlab(
        of dataset: HDF5Dataset, in file: Int64, path: String,
        _ take: (UnsafeRawBufferPointer) throws(ModelFileError) -> Void
    ) throws(ModelFileError) {
        let part = "dataset \(quoted(dataset.path))"
        guard case .chunks(_, let sizes) = dataset.storage, let bytes = dataset.length, let rows = dataset.shape.first,
            rows > 0
        else { return }
        let object = try HDF5Handle(openObject(file, dataset.path, 0), closeObject, path: path, part: part)
        let type = try HDF5Handle(datasetType(object.id), closeType, path: path, part: part)
        let space = try HDF5Handle(datasetSpace(object.id), closeSpace, path: path, part: part)
        var counts = dataset.shape.map(UInt64.init)
        var start = [UInt64](repeating: 0, count: counts.count)
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: bytes / rows * min(sizes[0], rows), alignment: 16)
        defer { buffer.deallocate() }
        for row in stride(from: 0, to: rows, by: sizes[0]) {
            let height = min(sizes[0], rows - row)
            start[0] = UInt64(row)
            counts[0] = UInt64(height)
            let memory = try HDF5Handle(
                makeSpace(Int32(counts.count), counts, nil), closeSpace, path: path, part: part)
            // 0 selects the block and nothing else.
            guard selectBlock(space.id, 0, start, nil, counts, nil) >= 0,
                read(object.id, type.id, memory.id, space.id, 0, buffer.baseAddress) >= 0
            else {
                throw .malformed(
                    path: path, part: part, expected: "chunks that libhdf5 can decompress", found: "damaged ones")
            }
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<(bytes / rows * height)]))
        }
    }

    /// Writes all elements of a chunked dataset, whose chunks may be anything.
    ///
    /// - Parameters:
    ///   - dataset: as it was described.
    ///   - bytes: its elements, row-major.
    ///   - file: identifier of a file open for writing.
    ///   - path: for errors.
    func writeWhole(
        _ dataset: HDF5Dataset, _ bytes: UnsafeRawBufferPointer, in file: Int64, path: String
    ) throws(ModelFileError) {
        let part = "dataset \(quoted(dataset.path))"
        guard case .chunks(let chunks, let sizes) = dataset.storage, !chunks.isEmpty, dataset.length == bytes.count,
            let bits = dataset.dtype?.bitWidth
        else {
            throw .malformed(path: path, part: part, expected: "\(bytes.count) bytes in chunks", found: "another")
        }
        try blankEdges(of: dataset, in: file, chunk: sizes, elementSize: bits / 8, part, path: path)
        let object = try HDF5Handle(openObject(file, dataset.path, 0), closeObject, path: path, part: part)
        let type = try HDF5Handle(datasetType(object.id), closeType, path: path, part: part)
        guard write(object.id, type.id, Self.all, Self.all, 0, bytes.baseAddress) >= 0 else {
            throw .unreadable(path: path, reason: "\(part) cannot be written")
        }
    }

    /// Makes the chunks that reach beyond the dataset's sides valid.
    ///
    /// The library reads what they hold before it writes a part of them; the others it replaces unread. An open dataset
    /// remembers of the chunk it looked up last that filters apply to it: hence a handle of their own, closed at the end.
    private func blankEdges(
        of dataset: HDF5Dataset, in file: Int64, chunk: [Int], elementSize: Int, _ part: String, path: String
    ) throws(ModelFileError) {
        let shape = dataset.shape
        let counts = zip(shape, chunk).map { ($0 - 1) / $1 + 1 }
        guard zip(shape, chunk).contains(where: { $0 % $1 != 0 }), let total = elementCount(counts) else { return }
        let object = try HDF5Handle(openObject(file, dataset.path, 0), closeObject, path: path, part: part)
        let zeros = [UInt8](repeating: 0, count: chunk.reduce(elementSize, *))
        for index in 0..<total {
            var rest = index
            var position = [UInt64](repeating: 0, count: shape.count)
            var isEdge = false
            for axis in shape.indices.reversed() {
                let place = rest % counts[axis] * chunk[axis]
                rest /= counts[axis]
                position[axis] = UInt64(place)
                if shape[axis] - place < chunk[axis] { isEdge = true }
            }
            // The mask leaves every filter out.
            guard !isEdge || writeChunk(object.id, 0, .max, position, zeros.count, zeros) >= 0 else {
                throw .unreadable(path: path, reason: "\(part) cannot be written")
            }
        }
    }
}
