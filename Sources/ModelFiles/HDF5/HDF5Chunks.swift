/// How an HDF5 file with chunked datasets is made of its plain form.
///
/// The plain form is the file without the bytes of those datasets' chunks, and behind it their elements, row-major. To make
/// the file, the gaps are filled with zeros and libhdf5 writes every dataset whole, compressing it as the file says.
public struct HDF5Chunks: Hashable, Sendable, Codable {
    /// A dataset whose elements are in the plain form.
    struct Dataset: Hashable, Codable {
        /// Its path in the file.
        let path: String
        /// Offset and number of the bytes of its elements in the plain form.
        let at: [Int]
    }

    /// Size of the file that the gaps are in.
    let size: Int
    /// Offset in that file and number of the bytes that the plain form leaves out, in order, apart.
    let gaps: [[Int]]
    let datasets: [Dataset]

    /// The plain form of a file with chunked datasets of floats; nil when there are none.
    ///
    /// - Parameters:
    ///   - file: an HDF5 file.
    ///   - datasets: what is in it, chunks looked up.
    ///   - library: libhdf5.
    /// - Returns: the plain form, how it is turned back, and where in it the elements of each chunked dataset are.
    static func plainForm(
        of file: MappedFile, _ datasets: [HDF5Dataset], _ library: HDF5Library
    ) throws(ModelFileError) -> (file: MappedFile, chunks: HDF5Chunks, offsets: [Int: Int])? {
        var taken: [Range<Int>] = []
        var chosen: [Int] = []
        /// Datasets under several names have the same chunks.
        var firstWithChunk: [Int: Int] = [:]
        var repeated: [Int: Int] = [:]
        for (index, dataset) in datasets.enumerated() {
            if case .contiguous(let offset) = dataset.storage, let length = dataset.length, length > 0 {
                taken.append(offset..<offset + length)
            }
            guard case .chunks(let chunks, _) = dataset.storage, let chunk = chunks.first?.offset else { continue }
            if let first = firstWithChunk[chunk] {
                repeated[index] = first
                continue
            }
            firstWithChunk[chunk] = index
            chosen.append(index)
        }
        guard !chosen.isEmpty else { return nil }
        var gaps: [[Int]] = []
        for index in chosen {
            if case .chunks(let chunks, _) = datasets[index].storage { gaps += chunks.map { [$0.offset, $0.length] } }
        }
        gaps.sort { $0[0] < $1[0] }
        let ranges =
            (gaps.map { ($0[0]..<$0[0] + $0[1], isGap: true) } + taken.map { ($0, isGap: false) })
            .sorted { $0.0.lowerBound < $1.0.lowerBound }
        for ((range, isGap), (next, isNextGap)) in zip(ranges, ranges.dropFirst())
        where range.upperBound > next.lowerBound {
            // Contiguous datasets under several names are the same run.
            guard range == next, !isGap, !isNextGap else {
                throw .malformed(
                    path: file.path, part: "HDF5 file", expected: "datasets with bytes of their own",
                    found: "an overlap at offset \(next.lowerBound)")
            }
        }
        var position = file.size - gaps.reduce(0) { $0 + $1[1] }
        var places: [Dataset] = []
        var offsets: [Int: Int] = [:]
        for index in chosen {
            let length = datasets[index].length ?? 0
            places.append(Dataset(path: datasets[index].path, at: [position, length]))
            offsets[index] = position
            position += length
        }
        for (index, first) in repeated { offsets[index] = offsets[first] }
        let result = HDF5Chunks(size: file.size, gaps: gaps, datasets: places)
        let plain = try MappedFile.temporary(for: file) { (descriptor) throws(ModelFileError) in
            var output = OutputFile(descriptor, path: file.path)
            var position = 0
            for gap in gaps {
                try output.append(position..<gap[0], of: file)
                position = gap[0] + gap[1]
            }
            try output.append(position..<file.size, of: file)
            let handle = try HDF5Handle(
                library.openFile(file.path, 0, 0), library.closeFile, path: file.path, part: "HDF5 file")
            for index in chosen {
                try library.forEachSlab(of: datasets[index], in: handle.id, path: file.path) {
                    (bytes) throws(ModelFileError) in try output.append(bytes)
                }
            }
        }
        return (plain, result, offsets)
    }

    /// Tells where a byte of the file that is in no gap is in the plain form.
    var places: (Int) -> Int {
        var lengths = [0]
        for gap in gaps { lengths.append(lengths[lengths.count - 1] + gap[1]) }
        let starts = gaps.map { $0[0] }
        return { offset in
            var (low, high) = (0, starts.count)
            while low < high {
                let middle = (low + high) / 2
                if starts[middle] < offset { low = middle + 1 } else { high = middle }
            }
            return offset - lengths[low]
        }
    }

    /// Writes the file of a plain form.
    func restore(_ plain: MappedFile, to descriptor: Int32, path: String) throws(ModelFileError) {
        func malformed(_ expected: String, _ found: String) -> ModelFileError {
            .malformed(path: path, part: "recoding", expected: expected, found: found)
        }
        var output = OutputFile(descriptor, path: path)
        var position = 0
        var elements = 0
        for dataset in datasets {
            guard dataset.at.count == 2, dataset.at[0] >= 0, dataset.at[1] >= 0, dataset.at[0] <= plain.size,
                dataset.at[1] <= plain.size - dataset.at[0], elements <= plain.size
            else { throw malformed("datasets within the plain form", "\(dataset.at)") }
            elements += dataset.at[1]
        }
        for gap in gaps {
            guard gap.count == 2, gap[1] >= 0, gap[0] >= output.size, gap[0] <= size, gap[1] <= size - gap[0],
                gap[0] - output.size <= plain.size - position
            else { throw malformed("gaps in order within \(size) bytes", "\(gap)") }
            let length = gap[0] - output.size
            try output.append(position..<position + length, of: plain)
            position += length
            try output.appendZeros(gap[1])
        }
        guard size >= output.size, elements <= plain.size - position,
            size - output.size == plain.size - position - elements
        else {
            throw malformed("\(size) bytes", "\(plain.size - position - elements) after \(output.size)")
        }
        try output.append(position..<position + size - output.size, of: plain)
        let name = "/proc/self/fd/\(descriptor)"
        try HDF5Library.with(path: path) { (library) throws(ModelFileError) in
            // Only what hard links lead to: through others a forged path could reach into another file.
            var contents = try HDF5Contents(name, size: size, library, path: path)
            try contents.locateChunks(of: MappedFile(name), named: name, library)
            let byPath = Dictionary(contents.datasets.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
            let file = try HDF5Handle(library.openFile(name, 1, 0), library.closeFile, path: path, part: "HDF5 file")
            for dataset in datasets {
                guard let target = byPath[dataset.path] else { throw malformed("a dataset", quoted(dataset.path)) }
                let range = dataset.at[0]..<dataset.at[0] + dataset.at[1]
                try plain.withBytes(range) { (bytes) throws(ModelFileError) in
                    try library.writeWhole(target, bytes, in: file.id, path: path)
                }
                plain.release(range)
            }
        }
    }
}
