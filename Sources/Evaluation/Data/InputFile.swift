import Codecs
import Execution
import ModelFiles
import ModelGraph

/// A file with what a network takes: arrays, a picture or a sound, told apart by its content.
public struct InputFile: Sendable {
    private enum Content {
        case arrays(ArrayFile)
        case picture(MappedFile)
        case sound(MappedFile)
    }

    public let path: String
    private let content: Content

    /// - Throws: `DataError` for a file that cannot be read or holds something else.
    public init(_ path: String) throws(DataError) {
        self.path = path
        let file = try readingData { () throws(ModelFileError) in try MappedFile(path) }
        content = try file.withAllBytes { (bytes) throws(DataError) -> Content in
            if Picture.recognizes(bytes) { return .picture(file) }
            if Sound.recognizes(bytes) { return .sound(file) }
            if bytes.starts(with: [0xff, 0xd8, 0xff]) {
                throw .file(path: path, part: "content", expected: "a PNG picture", found: "a JPEG one")
            }
            return .arrays(try ArrayFile(path))
        }
    }

    /// Names of its arrays, where they have names.
    public var names: [String]? {
        guard case .arrays(let file) = content, !file.isSingle else { return nil }
        return file.names
    }

    /// What it holds for an input.
    ///
    /// - Parameters:
    ///   - port: the input.
    ///   - name: the array, of a file of several.
    ///   - shape: sizes to give an array or sound instead of its own.
    ///   - scaling: what becomes of a picture's samples.
    /// - Throws: `DataError.input` when it does not fit.
    public func value(
        for port: NetworkPort, array name: String? = nil, shape: [Int]? = nil, scaling: PictureScaling
    ) throws(DataError) -> TensorValue {
        switch content {
        case .arrays(let file):
            guard let name = name ?? file.only else {
                throw .input(
                    path: path, input: port.name, expected: "one array",
                    found: "several (\(file.names.joined(separator: ", ")))")
            }
            return try fitted(try file.value(name), to: port, shape)
        case .picture(let file):
            guard let input = PictureInput(port) else {
                throw .input(path: path, input: port.name, expected: port.text, found: "a picture")
            }
            return try input.value(of: try picture(in: file, channels: input.channels), scaling, path: path)
        case .sound(let file): return try fitted(try sound(in: file, port), to: port, shape)
        }
    }

    /// A value that the input accepts: as it is, with the sizes asked for, or with a batch dimension of 1 before its own.
    private func fitted(_ value: TensorValue, to port: NetworkPort, _ shape: [Int]?) throws(DataError) -> TensorValue {
        var value = value
        if let shape {
            guard let reshaped = value.reshaped(shape) else {
                throw .input(
                    path: path, input: port.name, expected: "the elements of \(dimensions(shape))", found: value.text)
            }
            value = reshaped
        } else if let rank = port.shape?.count, rank == value.shape.count + 1 {
            value = value.reshaped([1] + value.shape) ?? value
        }
        guard value.type == port.type, port.accepts(value.shape) else {
            throw .input(path: path, input: port.name, expected: port.text, found: value.text)
        }
        return value
    }

    private func picture(in file: MappedFile, channels: Int) throws(DataError) -> Picture {
        try file.withAllBytes { (bytes) throws(DataError) in
            try decoding(path) { () throws(CodecError) in try Picture(png: bytes, channels: channels) }
        }
    }

    private func sound(in file: MappedFile, _ port: NetworkPort) throws(DataError) -> TensorValue {
        let sound = try file.withAllBytes { (bytes) throws(DataError) in
            try decoding(path) { () throws(CodecError) in try Sound(bytes) }
        }
        let moments = sound.samples.count / max(sound.channels, 1)
        let planes =
            sound.channels == 1
            ? sound.samples
            : (0..<sound.channels).flatMap { channel in
                (0..<moments).map { sound.samples[$0 * sound.channels + channel] }
            }
        let bytes = planes.withUnsafeBytes { Array($0) }
        let shape = sound.channels == 1 && port.shape?.count != 3 ? [moments] : [sound.channels, moments]
        guard let value = TensorValue(type: .f32, shape: shape, bytes: bytes) else {
            throw .input(path: path, input: port.name, expected: port.text, found: "a sound")
        }
        return value
    }
}
