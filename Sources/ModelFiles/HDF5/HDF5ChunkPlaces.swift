extension HDF5Contents {
    /// Chunks of a dataset that are looked up at most, where that takes as long as there are chunks: each has a place in the
    /// packed file's manifest.
    private static let maximumChunks = 1 << 18
    /// The same where a look-up takes as long as there are chunks before: these take seconds.
    private static let maximumChunksOneByOne = 1 << 14

    /// Looks up where the chunks of floats are; a dataset of which that cannot be told stays as it is.
    ///
    /// - Parameters:
    ///   - file: the file that this is the contents of.
    ///   - name: its name for the system.
    ///   - library: libhdf5.
    mutating func locateChunks(
        of file: MappedFile, named name: String, _ library: HDF5Library
    ) throws(ModelFileError) {
        let isChosen = datasets.map {
            if case .chunks = $0.storage { $0.dtype?.isPackableFloat == true } else { false }
        }
        guard isChosen.contains(true) else { return }
        let handle = try HDF5Handle(
            library.openFile(name, 0, 0), library.closeFile, path: file.path, part: "HDF5 file")
        for index in datasets.indices where isChosen[index] {
            let dataset = datasets[index]
            guard case .chunks(_, let sizes) = dataset.storage else { continue }
            let object = try HDF5Handle(
                library.openObject(handle.id, dataset.path, 0), library.closeObject, path: file.path,
                part: "dataset \(quoted(dataset.path))")
            datasets[index].storage = try Self.locate(dataset, sizes, object.id, file, library)
        }
    }

    private static func locate(
        _ dataset: HDF5Dataset, _ sizes: [Int], _ object: Int64, _ file: MappedFile, _ library: HDF5Library
    ) throws(ModelFileError) -> HDF5Dataset.Storage {
        let space = try HDF5Handle(
            library.datasetSpace(object), library.closeSpace, path: file.path,
            part: "dataset \(quoted(dataset.path))")
        var found: UInt64 = 0
        let expected = elementCount(zip(dataset.shape, sizes).map { ($0 - 1) / $1 + 1 })
        guard library.chunkCount(object, space.id, &found) >= 0, let count = expected, found == UInt64(count),
            count <= maximumChunks
        else { return .other("in chunks that are missing or too many") }
        var chunks = library.visitedChunks(of: object, count: count)
        if chunks == nil {
            // As in what a walk through groups tells apart: the second word is the address.
            var information = [UInt64](repeating: 0, count: 64)
            if library.objectInfo(object, &information, 1) >= 0 {
                chunks = file.withAllBytes {
                    HDF5ChunkTree.chunks(of: $0, header: information[1], rank: sizes.count, count: count)
                }
            }
        }
        if chunks == nil {
            guard count <= maximumChunksOneByOne else { return .other("in chunks that are missing or too many") }
            chunks = library.chunksOneByOne(of: object, space.id, rank: sizes.count, count: count)
        }
        guard let chunks, let length = dataset.length, let elements = elementCount(dataset.shape),
            let volume = elementCount(sizes), let chunkBytes = byteCount(volume, bits: length / elements * 8),
            chunks.allSatisfy({
                $0.offset <= file.size && $0.length <= file.size - $0.offset
                    // No filter makes more of a byte: such a size is forged, and must not be allocated.
                    && chunkBytes / Deflate.maximumRatio <= $0.length
            })
        else { return .other("in chunks outside of the file") }
        return .chunks(chunks, sizes: sizes)
    }
}

extension HDF5Library {
    /// The chunks of an open dataset in one go; nil where the library cannot, and of a damaged dataset.
    fileprivate func visitedChunks(of dataset: Int64, count: Int) -> [HDF5Dataset.Chunk]? {
        guard let visitChunks else { return nil }
        final class Visit {
            var chunks: [HDF5Dataset.Chunk] = []
            let limit: Int
            init(limit: Int) { self.limit = limit }
        }
        let visit = Visit(limit: count)
        let status = visitChunks(
            dataset, Self.all,
            { _, _, address, length, context in
                guard let context else { return -1 }
                let visit = Unmanaged<Visit>.fromOpaque(context).takeUnretainedValue()
                guard let offset = Int(exactly: address), let length = Int(exactly: length),
                    visit.chunks.count < visit.limit
                else { return -1 }
                visit.chunks.append(.init(offset: offset, length: length))
                return 0
            }, Unmanaged.passUnretained(visit).toOpaque())
        return withExtendedLifetime(visit) { status >= 0 && visit.chunks.count == count ? visit.chunks : nil }
    }

    fileprivate func chunksOneByOne(
        of dataset: Int64, _ space: Int64, rank: Int, count: Int
    ) -> [HDF5Dataset.Chunk]? {
        var chunks: [HDF5Dataset.Chunk] = []
        var position = [UInt64](repeating: 0, count: rank + 1)
        for index in 0..<count {
            var (mask, address, length) = (UInt32(0), Self.noAddress, UInt64(0))
            guard chunkInfo(dataset, space, UInt64(index), &position, &mask, &address, &length) >= 0,
                let offset = Int(exactly: address), let size = Int(exactly: length)
            else { return nil }
            chunks.append(.init(offset: offset, length: size))
        }
        return chunks
    }
}
