import Codecs
import Execution
import ModelFiles

/// An array in the IDX format, in which MNIST comes: big-endian, its first dimension counts samples.
///
/// Source: "The IDX file format" at the end of the page of the MNIST database (Y. LeCun, C. Cortes, C. Burges).
struct IDXFile: Sendable {
    let path: String
    /// Sizes, the number of samples first.
    let shape: [Int]
    private let type: ElementType
    private let file: MappedFile
    private let start: Int

    private enum ElementType: UInt8 {
        case unsignedByte = 0x08
        case byte = 0x09
        case short = 0x0b
        case int = 0x0c
        case float = 0x0d
        case double = 0x0e

        var size: Int {
            switch self {
            case .unsignedByte, .byte: 1
            case .short: 2
            case .int, .float: 4
            case .double: 8
            }
        }

        var dtype: DType {
            switch self {
            case .unsignedByte: .u8
            case .byte: .i8
            case .short: .i16
            case .int: .i32
            case .float: .f32
            case .double: .f64
            }
        }
    }

    /// Whether a file begins as an array of at least one dimension in this format does.
    static func recognizes(_ file: MappedFile) -> Bool {
        file.withAllBytes { bytes in
            bytes.count >= 8 && bytes[0] == 0 && bytes[1] == 0 && ElementType(rawValue: bytes[2]) != nil && bytes[3] > 0
        }
    }

    /// Reads the header of a file that `recognizes` accepts.
    ///
    /// - Throws: `DataError.file` when the file has another size than its header says.
    init(_ file: MappedFile) throws(DataError) {
        path = file.path
        self.file = file
        let header = file.withAllBytes { bytes -> (ElementType, [Int])? in
            let end = 4 + 4 * Int(bytes[3])
            guard let type = ElementType(rawValue: bytes[2]), bytes.count >= end else { return nil }
            return (
                type, stride(from: 4, to: end, by: 4).map { at in bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } }
            )
        }
        guard let (type, shape) = header else {
            throw .file(path: path, part: "IDX header", expected: "all its sizes", found: "\(file.size) bytes")
        }
        self.type = type
        self.shape = shape
        start = 4 + 4 * shape.count
        guard let size = TensorValue.byteCount(type.dtype, shape), size == file.size - start else {
            throw .file(
                path: path, part: "IDX file", expected: "the bytes of \(type.dtype) \(dimensions(shape))",
                found: "\(file.size - start)")
        }
    }

    /// The number of samples.
    var count: Int { shape[0] }

    /// A sample as a gray picture; `nil` where samples are none.
    func picture(_ index: Int) -> Picture? {
        guard type == .unsignedByte, shape.count == 3 else { return nil }
        return Picture(width: shape[2], height: shape[1], gray: bytes(index))
    }

    /// A sample, with a first size of 1.
    func value(_ index: Int) -> TensorValue? {
        TensorValue(type: type.dtype, shape: [1] + shape.dropFirst(), bytes: bytes(index))
    }

    /// The elements of a sample as numbers.
    func numbers(_ index: Int) -> [Double] { value(index)?.numbers ?? [] }

    /// The elements of a sample, little-endian.
    private func bytes(_ index: Int) -> [UInt8] {
        let size = (file.size - start) / max(count, 1)
        return file.withBytes(start + index * size..<start + (index + 1) * size) { bytes in
            guard type.size > 1 else { return Array(bytes) }
            return (0..<bytes.count).map { bytes[$0 / type.size * type.size + type.size - 1 - $0 % type.size] }
        }
    }
}

extension DataSet {
    /// Samples of an IDX file, and labels of another one.
    static func pictures(
        _ file: IDXFile, labels: String?, for port: NetworkPort, _ scaling: PictureScaling
    ) throws(DataError) -> DataSet {
        let answers = try (labels ?? file.neighborWithLabels).map { (path) throws(DataError) in try LabelFile(path) }
        if let answers, answers.count != file.count {
            throw .file(
                path: answers.path, part: "labels", expected: "\(file.count), one for each sample of \(file.path)",
                found: "\(answers.count)")
        }
        return try DataSet(path: file.path, count: file.count, hasLabels: answers != nil, joins: true) {
            (index) throws(DataError) in
            let value: TensorValue
            if let picture = file.picture(index), let input = PictureInput(port), input.channels == 1 {
                value = try input.value(of: picture, scaling, path: file.path)
            } else if let raw = file.value(index), raw.type == port.type, port.accepts(raw.shape) {
                value = raw
            } else {
                throw .input(
                    path: file.path, input: port.name, expected: port.text,
                    found: file.value(index).map(\.text) ?? "another array")
            }
            return Sample(inputs: [port.name: value], label: try answers?.label(index))
        }
    }
}

extension IDXFile {
    /// The file of labels that MNIST's names put beside one of pictures; `nil` when there is none.
    fileprivate var neighborWithLabels: String? {
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
        let name = path.dropFirst(folder.count)
        let other = name.replacing("images", with: "labels").replacing("idx3", with: "idx1")
        guard other != name, (try? MappedFile("\(folder)\(other)")) != nil else { return nil }
        return "\(folder)\(other)"
    }
}
