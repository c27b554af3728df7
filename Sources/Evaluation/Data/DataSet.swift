import Execution
import Glibc
import ModelFiles
import ModelGraph

/// What a network is given, and what it should make of it.
public struct Sample: Sendable {
    /// A value for each input that is not the same for all samples; its first dimension is the batch, of size 1, where samples can
    /// be joined.
    public let inputs: [String: TensorValue]
    /// The right answer, or several, one for each position of the output; `nil` without labels.
    public let label: [Double]?
}

/// Samples for a network, read from files as they are asked for.
public struct DataSet: Sendable {
    /// The file or folder, as errors name it.
    public let path: String
    /// The number of samples, at least one.
    public let count: Int
    /// Whether samples have labels.
    public let hasLabels: Bool
    /// Whether samples of the same sizes may be joined along the first dimension.
    public let joins: Bool
    /// Values that are the same for all samples.
    public let shared: [String: TensorValue]
    private let read: @Sendable (Int) throws(DataError) -> Sample

    /// - Throws: `DataError.file` when there are no samples.
    init(
        path: String, count: Int, hasLabels: Bool, joins: Bool, shared: [String: TensorValue] = [:],
        read: @escaping @Sendable (Int) throws(DataError) -> Sample
    ) throws(DataError) {
        guard count > 0 else { throw .file(path: path, part: "content", expected: "samples", found: "none") }
        self.path = path
        self.count = count
        self.hasLabels = hasLabels
        self.joins = joins
        self.shared = shared
        self.read = read
    }

    /// A sample by its number, below `count`.
    public func sample(_ index: Int) throws(DataError) -> Sample { try read(index) }

    /// Samples that a network wants together; `nil` where it leaves that open, or samples are not joined.
    func fixedBatch(for ports: [NetworkPort]) -> Int? {
        guard joins else { return nil }
        return ports.filter { shared[$0.name] == nil }.compactMap { $0.shape?.first?.size }.first
    }

    /// The inputs of some samples together.
    ///
    /// - Parameter width: samples in all; the last one is repeated where there are fewer.
    /// - Throws: `DataError.input` for samples of several sizes.
    func joined(_ samples: ArraySlice<Sample>, _ width: Int) throws(DataError) -> [String: TensorValue] {
        var values = shared
        guard let first = samples.first, let last = samples.last else { return values }
        for (name, value) in first.inputs {
            guard width > 1 else {
                values[name] = value
                continue
            }
            let parts = samples.compactMap { $0.inputs[name] }
            let padding = last.inputs[name].map { Array(repeating: $0, count: width - parts.count) } ?? []
            let shape = [width * (value.shape.first ?? 1)] + value.shape.dropFirst()
            let bytes = (parts + padding).flatMap(\.bytes)
            guard let joined = TensorValue(type: value.type, shape: shape, bytes: bytes) else {
                throw .input(path: path, input: name, expected: "samples of one size", found: "several sizes")
            }
            values[name] = joined
        }
        return values
    }

    /// Opens samples for a network, in any of the forms that docs/data.md describes: an array archive or an array, IDX files, a
    /// folder of files.
    ///
    /// - Parameters:
    ///   - path: the file or folder.
    ///   - labels: a file of labels, for forms that keep them apart.
    ///   - ports: the network's inputs.
    ///   - scaling: what becomes of the samples of pictures.
    /// - Throws: `DataError`.
    public static func open(
        _ path: String, labels: String?, for ports: [NetworkPort], scaling: PictureScaling
    ) throws(DataError) -> DataSet {
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            guard labels == nil else {
                throw .option("--labels", expected: "none, as a folder has its labels.csv", found: labels ?? "")
            }
            return try folder(path, for: try onlyPort(ports, path), scaling)
        }
        let file = try readingData { () throws(ModelFileError) in try MappedFile(path) }
        if IDXFile.recognizes(file) {
            return try pictures(IDXFile(file), labels: labels, for: try onlyPort(ports, path), scaling)
        }
        let isGzip = file.withAllBytes { $0.starts(with: [0x1f, 0x8b]) }
        guard !isGzip else {
            throw .file(
                path: path, part: "content", expected: "arrays, IDX or a folder", found: "a gzip file (gunzip it first)"
            )
        }
        return try arrays(try ArrayFile(path), labels: labels, for: ports)
    }

    /// The input of a network that has one.
    private static func onlyPort(_ ports: [NetworkPort], _ path: String) throws(DataError) -> NetworkPort {
        guard ports.count == 1 else {
            throw .file(
                path: path, part: "data",
                expected: "an array archive (.npz), as the network has inputs "
                    + ports.map(\.name).joined(separator: ", "), found: "one value for each sample")
        }
        return ports[0]
    }
}

/// Labels of samples in a file of their own: IDX, or an array.
struct LabelFile: Sendable {
    private enum Content {
        case idx(IDXFile)
        case array(ArrayFile, name: String)
    }

    let path: String
    let count: Int
    private let content: Content

    init(_ path: String) throws(DataError) {
        self.path = path
        let file = try readingData { () throws(ModelFileError) in try MappedFile(path) }
        if IDXFile.recognizes(file) {
            let idx = try IDXFile(file)
            content = .idx(idx)
            count = idx.count
        } else {
            let arrays = try ArrayFile(path)
            guard let name = arrays.only, let shape = arrays.header(name)?.shape, let first = shape.first else {
                throw .file(
                    path: path, part: "labels", expected: "one array with a row for each sample",
                    found: arrays.names.joined(separator: ", "))
            }
            content = .array(arrays, name: name)
            count = first
        }
    }

    init(_ arrays: ArrayFile, name: String) throws(DataError) {
        path = arrays.path
        guard let first = arrays.header(name)?.shape.first else {
            throw .file(
                path: path, part: "array \(quoted(name))", expected: "a label for each sample", found: "a scalar")
        }
        content = .array(arrays, name: name)
        count = first
    }

    /// The labels of a sample.
    func label(_ index: Int) throws(DataError) -> [Double] {
        switch content {
        case .idx(let file): return file.numbers(index)
        case .array(let file, let name):
            var row = file.row(index, of: name)
            if row == nil { row = try file.value(name).row(index) }
            guard let numbers = row?.numbers else {
                throw .file(path: path, part: "labels", expected: "numbers", found: "another array")
            }
            return numbers
        }
    }
}
